"""How stored pictures are sent: which file an address means, and the answer with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Self

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed
from werkzeug.wsgi import FileWrapper, wrap_file

from app.container import Services
from app.db.images import StoredImage
from app.domain.errors import InvalidRequest, NotFound, Unavailable
from app.domain.images import PictureError, Rendition, is_file_name, parse_rendition_name, rendition_name
from app.web import redirects
from app.web.picture_access import Permission
from app.web.redirects import CROSS_ORIGIN

PNG = "image/png"
CONTENT_TYPES = {
    None: PNG,
    Rendition.SMALL: "image/webp",
    Rendition.LARGE: "image/webp",
    Rendition.WEBP: "image/webp",
    Rendition.JPEG: "image/jpeg",
}
PIECE_BYTES = 65_536
NO_IMAGE = "Not found: there is no image with this name."


@dataclass(frozen=True, slots=True)
class Wanted:
    """The file that is asked for: a picture, or a rendition of it."""

    picture: str
    rendition: Rendition | None = None

    @classmethod
    def read(cls, name: str, picture_format: str | None) -> Self:
        """The file of this name, in this format if one is given. Raises NotFound, InvalidRequest."""
        if is_file_name(name):
            return cls(name, Rendition(picture_format) if picture_format not in (None, "png") else None)
        found = parse_rendition_name(name)
        if found is None:
            raise NotFound(NO_IMAGE)
        if picture_format is not None:
            raise InvalidRequest("format cannot be sent for a thumbnail or a converted image.", field="format")
        return cls(*found)

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.picture if self.rendition is None else rendition_name(self.picture, self.rendition)

    def etag(self, image: StoredImage) -> str:
        """Different for each rendition."""
        return image.sha256 if self.rendition is None else f"{image.sha256}-{self.rendition}"


def response(services: Services, wanted: Wanted, permission: Permission) -> Response:
    """The file, or the part of it that is asked for, or where it is.

    Raises NotFound, InvalidRequest, Unavailable, PreconditionFailed.
    """
    image = services.lookup.picture(wanted.picture)
    if image is None:
        raise NotFound(NO_IMAGE)
    try:
        # an address that a storage has signed is valid for GET only
        elsewhere = None if request.method == "HEAD" else redirects.elsewhere(services.ports, wanted.name, permission)
        if elsewhere is not None:
            _ensure(services, image, wanted)
            return elsewhere
        content = _opened(services, image, wanted)
    except PictureError as error:
        raise Unavailable(str(error)) from error
    if content is None:
        raise NotFound(NO_IMAGE)
    return _sent(content, wanted, image, permission)


def _ensure(services: Services, image: StoredImage, wanted: Wanted) -> None:
    """Raises NotFound if a rendition cannot be made since its picture is gone, and as `Renditions.ensure`."""
    if wanted.rendition is not None and not services.renditions.ensure(image, wanted.rendition):
        raise NotFound(NO_IMAGE)


def _opened(services: Services, image: StoredImage, wanted: Wanted) -> BinaryIO | None:
    if wanted.rendition is None:
        return services.ports.store.open(image.file)
    return services.renditions.open(image, wanted.rendition)


def _sent(content: BinaryIO, wanted: Wanted, image: StoredImage, permission: Permission) -> Response:
    size, etag = content.seek(0, 2), wanted.etag(image)
    content.seek(0)
    answer = Response(
        _in_pieces(content),
        content_type=CONTENT_TYPES[wanted.rendition],
        headers={**CROSS_ORIGIN, **permission.caching()},
        direct_passthrough=True,
    )
    answer.call_on_close(content.close)
    answer.content_length = size
    answer.set_etag(etag)
    _check_if_match(etag)
    _adapt_range(size)
    answer.make_conditional(request, accept_ranges=True, complete_length=size)
    return answer


def _in_pieces(content: BinaryIO) -> Iterable[bytes]:
    """The server's own wrapper may be faster for a whole file, but cannot seek: it would read all that is before a part."""
    return FileWrapper(content, PIECE_BYTES) if request.range else wrap_file(request.environ, content, PIECE_BYTES)


def _check_if_match(etag: str) -> None:
    """werkzeug would take `*` for an ETag, and send the image with 412. Raises PreconditionFailed."""
    wanted = request.if_match
    if request.environ.pop("HTTP_IF_MATCH", None) is not None and not (wanted.star_tag or wanted.is_strong(etag)):
        raise PreconditionFailed


def _adapt_range(size: int) -> None:
    """An invalid Range is ignored (RFC 9110, section 14.2), and so is one of several parts, which are not supported.

    The last N bytes of a file with fewer are the whole file (section 14.1.2), which werkzeug would refuse.
    """
    wanted = request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) > 1:
        request.environ.pop("HTTP_RANGE", None)
    elif wanted.ranges[0][0] <= -size:
        request.environ["HTTP_RANGE"] = "bytes=0-"
