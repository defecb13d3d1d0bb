"""Which class of error a refusal has."""

from __future__ import annotations

import pytest

from app.domain.errors import IdempotencyKeyReused, Refusal
from imagefleet import errors
from imagefleet.client import Client
from imagefleet.errors import Refused, error_of
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.wire_answers import ID, IMAGE


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ERR_INVALID_PROMPT", 400, errors.InvalidRequest),
        ("ERR_INVALID_BATCH", 400, errors.InvalidRequest),
        ("ERR_PAYLOAD_TOO_LARGE", 413, errors.InvalidRequest),
        ("ERR_UNAUTHORIZED", 401, errors.Unauthorized),
        ("ERR_FORBIDDEN", 403, errors.Forbidden),
        ("ERR_NOT_FOUND", 404, errors.NotFound),
        ("ERR_NOT_CACHED", 404, errors.NotCached),
        ("ERR_GONE", 410, errors.Gone),
        ("ERR_ALREADY_FINISHED", 409, errors.AlreadyFinished),
        ("ERR_ALREADY_EXISTS", 409, errors.Conflict),
        ("ERR_IDEMPOTENCY_KEY_REUSED", 422, errors.IdempotencyKeyReused),
        ("ERR_RATE_LIMIT", 429, errors.RateLimited),
        ("ERR_QUOTA_EXCEEDED", 429, errors.QuotaExceeded),
        ("ERR_UNAVAILABLE", 503, errors.ServiceUnavailable),
        ("ERR_INTERNAL", 500, errors.ServerFailed),
        ("ERR_OF_TOMORROW", 404, errors.NotFound),
        ("ERR_OF_TOMORROW", 429, errors.RateLimited),
        ("ERR_OF_TOMORROW", 418, errors.InvalidRequest),
        ("ERR_OF_TOMORROW", 507, errors.ServerFailed),
        (None, 401, errors.Unauthorized),
        (None, None, Refused),
    ],
)
def test_a_refusal_has_the_class_of_its_code_or_else_of_its_status(
    code: str | None, status: int | None, kind: type[Refused]
) -> None:
    assert error_of(code, status) is kind


def test_a_refusal_in_the_form_of_openai_is_read_too(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/v1/models", Reply({"error": {"message": "No key.", "code": "invalid_api_key"}}, 401))
    with pytest.raises(errors.Unauthorized, match="No key") as caught:
        fleet.models()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    "body", [{"code": 7, "detail": None, "errors": "?"}, {"error": ["?"]}, {"errors": [None, 3]}, {}]
)
def test_a_strange_problem_is_a_refusal_all_the_same(
    fleet: Client, scripted: ScriptedServer, body: dict[str, object]
) -> None:
    scripted.on("GET", IMAGE, Reply(body, 404))
    with pytest.raises(errors.NotFound, match="HTTP status 404"):
        fleet.get(ID)


def test_every_refusal_of_the_server_has_a_class_that_suits_its_status() -> None:
    refusals = _kinds(Refusal) - {IdempotencyKeyReused}  # 422, which is no other code's
    assert len(refusals) > 20
    for each in refusals:
        assert issubclass(error_of(each.code, each.status), error_of(None, each.status)), each.code


def _kinds(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*(_kinds(each) for each in kind.__subclasses__()))
