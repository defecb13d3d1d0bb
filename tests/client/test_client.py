"""The library's requests and responses, against a scripted server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from imagefleet.calls.base import Call
from imagefleet.client import Client
from imagefleet.errors import BadAnswer, Refused, Unreachable
from imagefleet.transport import Transport
from tests.support.ports import free_port
from tests.support.scripted_server import CUT, Reply, ScriptedServer, refusal
from tests.support.wire_answers import GENERATE, ID, IMAGE, NOW, STATUS, accepted, image, result, status

NOON = datetime(2024, 1, 14, 12, tzinfo=UTC)


def test_a_request_has_the_field_names_of_the_contract(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    answer = fleet.submit(
        "A fox",
        model="dall-e-3",
        width=640,
        number_of_images=2,
        parameters={"seed": 7, "width": 1},
        user_id="u",
        deadline_ms=5000,
    )
    assert (answer.request_id, answer.status, answer.correlation_id, answer.timestamp) == (ID, "accepted", "c1", NOON)
    assert scripted.requests_to("POST", GENERATE)[0].json == {
        "prompt": "A fox",
        "model": "dall-e-3",
        "parameters": {"seed": 7, "width": 640, "numberOfImages": 2},
        "userId": "u",
        "deadlineMs": 5000,
    }


def test_omitted_options_are_not_sent(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    fleet.submit("Ein Fuchs im März")
    assert scripted.requests_to("POST", GENERATE)[0].json == {"prompt": "Ein Fuchs im März"}


@pytest.mark.parametrize("reply", [refusal(429, "ERR_RATE_LIMIT", "Slow."), refusal(503, "ERR_UNAVAILABLE", "Later.")])
def test_a_submission_that_was_not_accepted_is_sent_again(
    fleet: Client, scripted: ScriptedServer, reply: Reply
) -> None:
    scripted.on("POST", GENERATE, reply, accepted())
    assert fleet.submit("A fox").request_id == ID
    assert len(scripted.requests_to("POST", GENERATE)) == 2


@pytest.mark.parametrize(
    "reply", [CUT, Reply(b"<h1>Bad gateway</h1>", 502), refusal(503, "ERR_UNAVAILABLE", "Later."), refusal(504, "", "")]
)
def test_a_submission_with_unknown_outcome_is_sent_again_with_the_same_key(
    fleet: Client, scripted: ScriptedServer, reply: Reply
) -> None:
    scripted.on("POST", GENERATE, reply, reply, accepted())
    assert fleet.submit("A fox").request_id == ID
    attempts = scripted.requests_to("POST", GENERATE)
    assert len(attempts) == 3
    assert len({(attempt.headers["idempotency-key"], attempt.body) for attempt in attempts}) == 1


def test_a_submission_that_broke_the_server_is_not_sent_again(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, refusal(500, "ERR_INTERNAL", "Oh."), accepted())
    with pytest.raises(Refused):
        fleet.submit("A fox")
    assert len(scripted.requests_to("POST", GENERATE)) == 1


def test_each_submission_has_a_key_of_its_own_in_quotes(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, accepted())
    for _ in range(2):
        fleet.submit("A fox")
    keys = [attempt.headers["idempotency-key"] for attempt in scripted.requests_to("POST", GENERATE)]
    assert len(set(keys)) == 2
    assert all(re.fullmatch(r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', key) for key in keys)


@pytest.mark.parametrize(("key", "sent"), [("chapter-1,7", '"chapter-1,7"'), ('a"b\\c', r'"a\"b\\c"')])
def test_a_key_of_the_callers_own_is_sent(fleet: Client, scripted: ScriptedServer, key: str, sent: str) -> None:
    scripted.on("POST", GENERATE, accepted())
    fleet.submit("A fox", idempotency_key=key)
    assert scripted.requests_to("POST", GENERATE)[0].headers["idempotency-key"] == sent


@pytest.mark.parametrize("key", ["", "a\nb", "schlüssel", "x" * 256])
def test_a_key_that_no_header_can_hold_is_refused_before_anything_is_sent(
    fleet: Client, scripted: ScriptedServer, key: str
) -> None:
    with pytest.raises(ValueError, match="1 to 255 visible ASCII"):
        fleet.submit("A fox", idempotency_key=key)
    assert scripted.requests == []


def test_the_retry_after_of_the_server_is_followed(fleet: Client, scripted: ScriptedServer) -> None:
    times: list[float] = []

    def record(_: object) -> Reply:
        times.append(datetime.now(UTC).timestamp())
        return accepted() if len(times) > 1 else refusal(429, "ERR_RATE_LIMIT", "Slow.", Retry_After="1")

    scripted.on("POST", GENERATE, record)
    fleet.submit("A fox")
    assert times[1] - times[0] >= 0.99


def test_a_too_long_retry_after_is_raised_as_an_error(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, refusal(429, "ERR_RATE_LIMIT", "Ten a minute.", Retry_After="43"))
    with pytest.raises(Refused) as caught:
        fleet.submit("A fox")
    assert (caught.value.code, caught.value.status, caught.value.retry_after_s) == ("ERR_RATE_LIMIT", 429, 43.0)
    assert len(scripted.requests_to("POST", GENERATE)) == 1


@pytest.mark.usefixtures("two_hours_ahead")
@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S", "%a %b %d %H:%M:%S %Y"])
def test_a_retry_after_may_be_a_date_in_utc(fleet: Client, scripted: ScriptedServer, form: str) -> None:
    until = f"{datetime.now(UTC) + timedelta(hours=1):{form}}"
    scripted.on("POST", GENERATE, refusal(429, "ERR_RATE_LIMIT", "Ten an hour.", Retry_After=until))
    with pytest.raises(Refused) as caught:
        fleet.submit("A fox")
    assert caught.value.retry_after_s == pytest.approx(3600, abs=60)


def test_an_error_has_all_fields_of_the_problem(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, refusal(400, "ERR_INVALID_PROMPT", "prompt must not be empty."))
    with pytest.raises(Refused) as caught:
        fleet.submit("")
    error = caught.value
    assert (error.detail, error.code, error.status) == ("prompt must not be empty.", "ERR_INVALID_PROMPT", 400)
    assert error.correlation_id == "corr-0001"


def test_a_call_is_retried_after_a_fault(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, CUT, Reply(b"<h1>Bad gateway</h1>", 502), status("processing", 3, progress=40))
    answer = fleet.status(ID)
    assert (answer.status, answer.progress, answer.version, answer.is_final) == ("processing", 40, 3, False)


def test_the_error_names_an_unreachable_server(scripted: ScriptedServer) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, patience_s=0.2) as fleet, pytest.raises(Unreachable, match=f"{url}: connection refused"):
        fleet.submit("A fox")


def test_a_status_contains_queue_and_failure(fleet: Client, scripted: ScriptedServer) -> None:
    eta = {"p50": "2024-01-14T12:01:00.000Z", "p90": "2024-01-14T12:02:00.000Z", "p50Seconds": 60, "p90Seconds": 120}
    why = {"reason": "All extensions are busy.", "reasonCode": "BUSY", "remedy": "Wait."}
    queue = {"position": 3, **why, "eta": eta}
    scripted.on(
        "GET", STATUS, status("accepted", 1, queue=queue), status("failed", 2, code="ERR_TIMEOUT", error="Late.")
    )
    waiting, failed = fleet.status(ID), fleet.status(ID, wait=5, since=1)
    assert waiting.queue is not None
    assert waiting.queue.eta is not None
    assert (waiting.queue.position, waiting.queue.reason) == (3, "All extensions are busy.")
    assert (waiting.queue.reason_code, waiting.queue.remedy) == ("BUSY", "Wait.")
    assert (waiting.queue.eta.p50, waiting.queue.eta.p90) == tuple(
        datetime(2024, 1, 14, 12, minute, tzinfo=UTC) for minute in (1, 2)
    )
    assert (failed.code, failed.error, failed.is_final) == ("ERR_TIMEOUT", "Late.", True)
    assert scripted.requests_to("GET", STATUS)[1].query == {"wait": "5", "since": "1"}


def test_a_result_contains_its_pictures(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", IMAGE, result(images=[image("/generated-images/a.png"), image("/generated-images/b.png")]))
    found = fleet.get(ID)
    assert [each.image_path for each in found.images] == ["/generated-images/a.png", "/generated-images/b.png"]
    assert (found.progress, found.metadata.model) == (100, "m")
    assert fleet.image_url(found.images[0]) == f"{scripted.url}/generated-images/a.png"


def test_a_server_with_only_the_original_contract_is_supported(fleet: Client, scripted: ScriptedServer) -> None:
    metadata = {"model": "dall-e-3", "prompt": "p", "width": 1024, "height": 768, "generatedAt": NOW}
    scripted.on(
        "GET",
        IMAGE,
        result(imageUrl="https://example.com/a.png", imagePath="/generated-images/a.png", metadata=metadata),
    )
    (only,) = fleet.get(ID).images
    assert (only.image_path, only.width, only.height, only.bytes) == ("/generated-images/a.png", 1024, 768, None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"<html>Welcome to the wireless network</html>"),
        Reply(b"[]"),
        Reply(b"[" * 100_000),
        Reply({"status": "accepted"}),
        Reply({"requestId": ID, "status": "accepted", "progress": "much"}),
        Reply({"requestId": ID, "status": "accepted", "timestamp": "yesterday"}),
        Reply({"requestId": ID, "status": "accepted", "queue": []}),
        Reply(status=302, headers={"Location": STATUS}),
    ],
)
def test_an_unexpected_response_is_reported_as_such(fleet: Client, scripted: ScriptedServer, reply: Reply) -> None:
    scripted.on("GET", STATUS, reply)
    with pytest.raises(BadAnswer):
        fleet.status(ID)


def test_an_id_cannot_change_the_path(fleet: Client, scripted: ScriptedServer) -> None:
    for strange in ("", "..", "."):
        with pytest.raises(Refused):
            fleet.get(strange)
    with pytest.raises(Refused):
        fleet.cancel("../../health?x=1#y")
    assert [each.path for each in scripted.requests] == ["/api/images/../../health?x=1#y"]


def test_cancelling_returns_the_outcome(fleet: Client, scripted: ScriptedServer) -> None:
    gone = Reply({"requestId": ID, "status": "cancelled", "message": "cancelled", "timestamp": NOW})
    scripted.on("DELETE", IMAGE, CUT, gone, refusal(409, "ERR_ALREADY_FINISHED", "It has already ended."))
    assert fleet.cancel(ID).status == "cancelled"
    with pytest.raises(Refused, match="already ended"):
        fleet.cancel(ID)


def test_a_list_is_fetched_page_by_page_as_it_is_read(fleet: Client, scripted: ScriptedServer) -> None:
    page = {"requestId": ID, "status": "accepted"}
    scripted.on("GET", "/api/images", Reply({"images": [page, page], "nextCursor": "n"}), Reply({"images": [page]}))
    listed = fleet.list(user_id="u", status="accepted", page_size=2)
    assert scripted.requests == []
    next(listed)
    assert [each.query for each in scripted.requests] == [{"userId": "u", "status": "accepted", "limit": "2"}]
    assert len(list(listed)) == 2
    assert scripted.requests[1].query["cursor"] == "n"


def test_an_endless_list_is_not_followed(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/api/images", Reply({"images": [], "nextCursor": "n"}))
    with pytest.raises(BadAnswer, match="same page cursor"):
        list(fleet.list())


def test_a_key_is_not_sent_to_other_servers(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("completed", 2))
    with Client(scripted.url, key="imgk_a_b") as fleet:
        fleet.status(ID)
    assert scripted.requests[0].headers["authorization"] == "Bearer imgk_a_b"
    with ScriptedServer() as elsewhere:
        elsewhere.on("PUT", "/upload", Reply({"imageUrl": "x"}))
        Transport(scripted.url, "imgk_a_b").fetch(Call("PUT", f"{elsewhere.url}/upload", body=b"x"))
        assert "authorization" not in elsewhere.requests[0].headers
