"""A call of an OpenAI client as a request: a new one, or the one that it repeats."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress

from flask import g, request
from flask_limiter import Limiter

from app import logs
from app.container import Services
from app.domain.errors import InvalidImage, InvalidRequest, Refusal
from app.domain.idempotency import body_hash
from app.domain.image_request import DEFAULT_USER, ImageRequest
from app.domain.input_images import FIELD
from app.domain.input_references import InputReference
from app.services.repeats import Joined, RepeatableCall
from app.web import limits
from app.web.idempotency import parsed_body
from app.web.openai.forms import MASK, FormPicture, PictureCall
from app.web.openai.schemas import ImagesRequest

TAG = "OpenAI"
RETRY_COUNT = "X-Stainless-Retry-Count"
OPERATION = "openai images"
REPEATS_MS = 3_600_000  # how long after a call its repeats are recognized

log = logs.get(__name__)


class Calls:
    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._submit = limits.per_submission(limiter, services.settings.limits, limits.REQUESTS)(self._submitted)

    def accepted(self, body: ImagesRequest, form: PictureCall | None = None) -> str:
        """The id of the request that the call makes, or that it repeats, which costs nothing; from the pictures of the form.

        Raises what submissions raise.
        """
        sent = parsed_body(body) if form is None else {"body": parsed_body(body), "pictures": form.sent}
        body_id, repeat = body_hash(sent), _is_repeat()
        call = RepeatableCall.of(g.user_id, OPERATION, body_id, REPEATS_MS, repeat=repeat)
        try:
            self._services.repeats.check(call)
            return self._submit(body, call, () if form is None else form.pictures)
        except Joined as joined:
            log.info("A repeated call joined its request", action="openai.joined", request_id=joined.request_id)
            return joined.request_id

    def _submitted(self, body: ImagesRequest, call: RepeatableCall, pictures: Sequence[FormPicture]) -> str:
        with ExitStack() as uploaded:
            references = tuple(self._uploaded(each, uploaded) for each in pictures)
            order = ImageRequest(
                body.prompt, body.model, g.user_id, _parameters(body), inputs=references, previews=body.previews
            )
            try:
                return self._services.submission.submit(order, g.correlation_id, call).job.id
            except InvalidRequest as refusal:
                if refusal.field and refusal.field.startswith(FIELD):  # the only thing that can be wrong with them
                    raise InvalidRequest("mask must have the same size as the first image.", field=MASK) from refusal
                raise

    def _uploaded(self, picture: FormPicture, uploaded: ExitStack) -> InputReference:
        """The picture as an input, for as long as it takes to submit the request, which then has a copy of its own."""
        try:
            stored = self._services.inputs.receive(g.user_id, picture.stream)
        except (InvalidRequest, InvalidImage) as refusal:
            raise type(refusal)(f"{picture.field} cannot be used: {refusal}", field=picture.field) from refusal
        uploaded.callback(self._forget, stored.id)
        return InputReference(input_id=stored.id, role=picture.role)

    def _forget(self, input_id: str) -> None:
        with suppress(Refusal):  # then it expires
            self._services.inputs.remove(input_id, None)


def owner(body: ImagesRequest) -> str:
    """The user that the request belongs to. With a credential `user` is a user of the caller's own, not one of ours."""
    return g.caller.user_id or body.user or DEFAULT_USER


def _parameters(body: ImagesRequest) -> dict[str, object]:
    passed_on = {} if body.user is None or not g.caller.authenticated else {"user": body.user}
    return body.parameters() | passed_on


def _is_repeat() -> bool:
    count = request.headers.get(RETRY_COUNT, "")
    return count.isascii() and count.isdigit() and count.strip("0") != ""
