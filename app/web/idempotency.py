"""Submissions with an Idempotency-Key: a repetition gets the answer to the first, before any limit is charged."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import Flask, Response, g, request
from pydantic import BaseModel

from app.container import Services
from app.domain.idempotency import HEADER, KEY_CHARS, PATTERN, OwnedKey, body_hash, parse_key
from app.services.idempotency import AlreadyAnswered, KeyedRequest
from app.web.api import JSON, json_text

REPLAYED = "Idempotency-Replayed"
RESPONSE_HEADERS = (REPLAYED,)
REQUEST_HEADERS: Mapping[str, Mapping[str, str]] = {
    HEADER: {
        "description": f"Chosen by you at random, such as a UUID in quotes; up to {KEY_CHARS} characters. Sent again with the "
        "same key and body, the request is not submitted again, but gets the same answer.",
        "pattern": f"^({PATTERN})$",
    }
}

P = ParamSpec("P")
R = TypeVar("R")
Result = TypeVar("Result")


def install(app: Flask) -> None:
    """Send repetitions the answer to the first."""
    app.register_error_handler(AlreadyAnswered, _replayed)


def once_only(
    services: Services,
    operation: str,
    body_of: Callable[..., object],
    present: Callable[[Result], BaseModel],
    *,
    status: int = 200,
    expires: bool = True,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view be called once for each Idempotency-Key of `g.user_id`. Place it around the limits.

    The view passes `g.keyed_request`, which is None without a key, to the service, and returns `present` of its result.
    `body_of` is called with the view's arguments; its JSON is what a repetition must repeat. `operation` keeps the keys of
    different views apart; those that do not expire are kept as long as what the view makes.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            g.keyed_request = None
            if HEADER not in request.headers:
                return view(*args, **kwargs)
            lifetime_ms = services.settings.idempotency_key_ttl_ms if expires else None
            key = OwnedKey(g.user_id, operation, parse_key(request.headers[HEADER]))
            hashed = body_hash(body_of(*args, **kwargs))
            g.keyed_request = KeyedRequest(key, hashed, lambda made: json_text(present(made)), lifetime_ms, status)
            with services.idempotency.one_at_a_time(g.keyed_request):
                return view(*args, **kwargs)

        return call

    return decorate


def parsed_body(body: BaseModel) -> object:
    """What was sent, without fields that are null and before defaults are filled in."""
    # pydantic warns of each enum, whose value it has written before it looks for the enum
    return body.model_dump(mode="json", exclude_unset=True, warnings=False)


def _replayed(repetition: AlreadyAnswered) -> Response:
    answer = repetition.answer
    return Response(answer.body, answer.status, {REPLAYED: "true"}, content_type=JSON)
