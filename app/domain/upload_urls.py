"""Uploads by extensions: the signed URL that permits one, and the URL that identifies the uploaded picture."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import NamedTuple, Self

from app.domain.errors import Forbidden

_UPLOAD_URL = re.compile(
    r"https?://[^/?#]+(?:/[^?#]*)?/api/uploads/([0-9a-f-]{36})/([0-9]{1,9})/([0-9]{1,2})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """Permits one attempt to upload its pictures. `expires_at` is in ms since the epoch."""

    request_id: str
    attempt: int
    expires_at: int

    def signature(self, key: bytes) -> str:
        """HMAC-SHA256 over the grant, in hex."""
        text = f"upload\n{self.request_id}\n{self.attempt}\n{self.expires_at}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def query(self, key: bytes) -> str:
        """The grant as the query string of the upload URL."""
        return f"attempt={self.attempt}&expires={self.expires_at}&signature={self.signature(key)}"

    def check(self, key: bytes, signature: str, now_ms: int) -> None:
        """Raises Forbidden if the signature is invalid or the grant has expired."""
        if not hmac.compare_digest(self.signature(key).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("signature is invalid for this upload: use the upload.url of generate_image unchanged.")
        if now_ms > self.expires_at:
            raise Forbidden("This upload URL has expired.")


class UploadLocation(NamedTuple):
    """Identifies an uploaded picture by its request, the attempt that uploaded it, and its position, from 0."""

    request_id: str
    attempt: int
    position: int

    @property
    def path(self) -> str:
        """The path of the upload's URL, relative to the public URL of this service."""
        return f"/api/uploads/{self.request_id}/{self.attempt}/{self.position}"

    @classmethod
    def from_url(cls, url: str) -> Self | None:
        """The upload that a URL ending in `path` identifies, whether or not it exists; None for any other URL."""
        found = _UPLOAD_URL.fullmatch(url)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))
