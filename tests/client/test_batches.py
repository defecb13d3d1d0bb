"""What the operations on batches, styles, the queue and webhooks send, against a scripted server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagefleet import Client, ConnectionLost, InvalidRequest, NewItem, ServiceUnavailable
from tests.support.scripted_batch import BATCH, PATH
from tests.support.scripted_server import CUT, Reply, ScriptedServer, refusal
from tests.support.wire_answers import ID, NOW

BATCHES = "/api/batches"
COUNTS = {"total": 3, "accepted": 3}
MADE = Reply({"batchId": BATCH, "status": "running", "counts": COUNTS, "createdAt": NOW}, 201)
STYLE = {"name": "noir", "template": "{prompt}", "shared": True}
WEBHOOK = {"webhookId": ID, "url": "https://a.example", "enabled": True, "events": ["image.completed"]}
DELIVERY = {"deliveryId": "7", "eventId": "e", "type": "webhook.test", "status": "pending"}


def test_items_may_be_texts_dicts_and_models(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", BATCHES, MADE)
    prompts: list[str | dict[str, Any] | NewItem] = [
        "A fox",
        {"prompt": "A hen", "custom_id": "hen"},
        NewItem(prompt="A cat", priority="low", keep=3),
    ]
    batch = fleet.batch(
        prompts,
        name="chapter",
        concurrency=4,
        style="noir",
        parameters={"width": 64},
        deadline_ms=9,
        webhook="https://a",
    )
    assert (batch.batch_id, batch.status, batch.counts.total, batch.counts.ended) == (BATCH, "running", 3, 0)
    assert scripted.requests[0].json == {
        "name": "chapter",
        "concurrency": 4,
        "webhook": {"url": "https://a"},
        "defaults": {"style": "noir", "parameters": {"width": 64}, "deadlineMs": 9},
        "items": [
            {"prompt": "A fox"},
            {"prompt": "A hen", "customId": "hen"},
            {"prompt": "A cat", "priority": "low", "keep": 3},
        ],
    }


def test_a_file_is_sent_as_it_is_with_the_rest_in_the_query(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", BATCHES, MADE)
    table = "prompt,customId\nZwölf Füchse,a\n".encode()
    fleet.batch(
        (table, "text/csv"),
        name="chapter",
        partial=True,
        deadline_ms=9,
        parameters={"width": 64, "hires": True},
        variables={"light": "moon & sun"},
        webhook="https://a",
    )
    sent = scripted.requests[0]
    assert (sent.body, sent.headers["content-type"]) == (table, "text/csv")
    assert sent.query == {
        "name": "chapter",
        "webhook": "https://a",
        "deadlineMs": "9",
        "param.width": "64",
        "param.hires": "true",
        "var.light": "moon & sun",
        "partial": "true",
    }


def test_a_batch_is_sent_again_with_the_same_key(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("POST", BATCHES, CUT, refusal(503, "ERR_UNAVAILABLE", "Later."), MADE)
    fleet.batch(["A fox"], idempotency_key="chapter-3")
    assert [each.headers["idempotency-key"] for each in scripted.requests] == ['"chapter-3"'] * 3
    assert len({each.body for each in scripted.requests}) == 1


def test_what_is_wrong_with_items_is_listed(fleet: Client, scripted: ScriptedServer) -> None:
    problem = {
        "code": "ERR_INVALID_BATCH",
        "detail": "1 of 2 items are invalid.",
        "errors": [{"line": 2, "customId": "b", "field": "prompt", "reason": "prompt must not be empty."}],
    }
    scripted.on("POST", BATCHES, Reply(problem, 400))
    with pytest.raises(InvalidRequest) as caught:
        fleet.batch(["A fox", ""])
    (error,) = caught.value.errors
    assert (error.line, error.custom_id, error.field, error.reason) == (2, "b", "prompt", "prompt must not be empty.")


STATE = Reply({"batchId": BATCH, "status": "paused"})
ONCE = [
    (lambda c: c.retry_batch(BATCH), "POST", f"{PATH}/retry", {}),
    (
        lambda c: c.retry_batch(BATCH, [4, {"custom_id": "a", "prompt": "B"}], status="failed"),
        "POST",
        f"{PATH}/retry",
        {"status": "failed", "items": [{"index": 4}, {"customId": "a", "prompt": "B"}]},
    ),
    (lambda c: c.add_to_batch(BATCH, ["A fox"]), "POST", f"{PATH}/items", {"items": [{"prompt": "A fox"}]}),
]
AGAIN = [
    (lambda c: c.pause_batch(BATCH), "POST", f"{PATH}/pause", None),
    (lambda c: c.resume_batch(BATCH), "POST", f"{PATH}/resume", None),
    (lambda c: c.cancel_batch(BATCH, "waiting"), "POST", f"{PATH}/cancel", {"scope": "waiting"}),
    (lambda c: c.change_batch(BATCH, concurrency=8), "PATCH", PATH, {"concurrency": 8}),
]
Case = tuple[Callable[[Client], Any], str, str, Any]


@pytest.mark.parametrize("case", AGAIN)
def test_what_may_be_done_twice_is_sent_again(fleet: Client, scripted: ScriptedServer, case: Case) -> None:
    use, method, path, body = case
    scripted.on(method, path, CUT, STATE)
    assert use(fleet).status == "paused"
    assert [each.json if each.body else None for each in scripted.requests] == [body, body]


@pytest.mark.parametrize("case", ONCE)
def test_what_would_be_done_twice_is_not_sent_again(fleet: Client, scripted: ScriptedServer, case: Case) -> None:
    use, method, path, body = case
    limited, unavailable = refusal(429, "ERR_RATE_LIMIT", "Slow."), refusal(503, "ERR_UNAVAILABLE", "Later.")
    scripted.on(method, path, CUT, unavailable, limited, STATE)
    with pytest.raises(ConnectionLost):
        use(fleet)
    with pytest.raises(ServiceUnavailable):  # it may have been accepted
        use(fleet)
    assert use(fleet).status == "paused"
    assert [each.json for each in scripted.requests] == [body] * 4


def test_waiting_for_a_batch_reports_its_progress(fleet: Client, scripted: ScriptedServer) -> None:
    def state(status: str, version: int) -> Reply:
        return Reply({"batchId": BATCH, "status": status, "version": version, "counts": {"completed": version}})

    scripted.on("GET", PATH, state("running", 1), CUT, state("running", 2), state("completed", 3))
    seen: list[int] = []
    assert fleet.wait_batch(BATCH, progress=lambda each: seen.append(each.counts.completed)).is_final
    assert seen == [1, 2, 3]


def test_results_are_read_line_by_line_and_once_though_the_list_breaks(fleet: Client, scripted: ScriptedServer) -> None:
    def line(index: int) -> bytes:
        pictures = [{"imagePath": f"/{index}.png", "sha256": "a"}]
        return json.dumps({"index": index, "requestId": ID, "status": "completed", "images": pictures}).encode() + b"\n"

    one, two, three = map(line, (1, 2, 3))
    broken = Reply([one, two[:9], two[9:], three[:20]], cut=True)
    scripted.on("GET", f"{PATH}/results", CUT, broken, Reply(one + two + three[:-1]), Reply(one + two + three))
    found = list(fleet.batch_results(BATCH))
    assert [(each.index, each.images[0].image_path) for each in found] == [(1, "/1.png"), (2, "/2.png"), (3, "/3.png")]
    assert scripted.requests[0].query == {"format": "jsonl"}


def test_an_archive_is_saved_whole(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", f"{PATH}/results", Reply([b"PK", b"1"], cut=True), Reply([b"PK", b"123"]))
    saved = fleet.download_results(BATCH, tmp_path / "chapter.zip")
    assert saved.read_bytes() == b"PK123"
    assert list(tmp_path.iterdir()) == [saved]
    assert scripted.requests[1].query == {"format": "zip"}
    assert "range" not in scripted.requests[1].headers


def test_a_key_is_exchanged_for_a_token(scripted: ScriptedServer) -> None:
    token = {"token": "eyJ", "tokenType": "Bearer", "expiresIn": 3600, "scope": "read write"}
    scripted.on("POST", "/api/auth/token", CUT, Reply(token))
    scripted.on("DELETE", "/api/auth/token", Reply(status=204))
    with Client(scripted.url, key="imgk_a_b") as client:
        issued = client.create_token()
    assert (issued.token, issued.expires_in) == ("eyJ", 3600)
    with Client(scripted.url, key=issued.token) as client:
        client.revoke_token()
    assert scripted.requests[-1].headers["authorization"] == "Bearer eyJ"


def test_styles_are_read_and_written(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/api/styles", Reply({"styles": [STYLE]}))
    scripted.on("GET", "/api/styles/chapter 3", Reply(STYLE))
    scripted.on("POST", "/api/styles", Reply(STYLE, 201))
    scripted.on("PUT", "/api/styles/chapter 3", Reply(STYLE))
    scripted.on("DELETE", "/api/styles/chapter 3", Reply(status=204))
    assert [style.name for style in fleet.styles(shared=True)] == ["noir"]
    assert fleet.get_style("chapter 3").template == "{prompt}"
    assert fleet.create_style("x", "{prompt}, {light}", variables={"light": None}).shared
    fleet.put_style("chapter 3", "{prompt}", shared=True)
    fleet.delete_style("chapter 3", shared=True, user_id="u")
    bodies = [each.json for each in scripted.requests if each.body]
    assert bodies == [
        {"name": "x", "template": "{prompt}, {light}", "variables": {"light": None}},
        {"template": "{prompt}"},
    ]
    assert scripted.requests[0].query == {"shared": "true", "limit": "50"}
    assert scripted.requests[-1].query == {"shared": "true", "userId": "u"}


def test_the_queue_is_read_paused_and_resumed(fleet: Client, scripted: ScriptedServer) -> None:
    paused = {"scope": "model", "model": "flux", "state": "paused", "since": NOW}
    queues = [{"model": "flux", "priority": "low", "depth": 2, "oldestSeconds": 1.5}]
    scripted.on("GET", "/api/queue", Reply({"waiting": 2, "queues": queues, "paused": [paused], "slots": {"total": 4}}))
    scripted.on("POST", "/api/queue/pause", Reply(paused))
    scripted.on("POST", "/api/queue/resume", CUT, Reply(status=204))
    state = fleet.queue()
    assert (state.waiting, state.queues[0].depth, state.paused[0].scope, state.slots.total) == (2, 2, "model", 4)
    until = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert fleet.pause_queue(model="flux", note="Repair", until=until).model == "flux"
    fleet.resume_queue()
    sent = [each.json for each in scripted.requests[1:]]
    assert sent == [{"model": "flux", "note": "Repair", "until": "2030-01-01T12:00:00.000Z"}, {}, {}]


def test_webhooks_are_defined_changed_and_looked_into(fleet: Client, scripted: ScriptedServer) -> None:
    one = f"/api/webhooks/{ID}"
    scripted.on("POST", "/api/webhooks", Reply({**WEBHOOK, "secret": "whsec_a"}, 201))
    scripted.on("GET", "/api/webhooks", Reply({"webhooks": [WEBHOOK]}))
    scripted.on("GET", one, Reply(WEBHOOK))
    scripted.on("PATCH", one, Reply({**WEBHOOK, "enabled": False}))
    scripted.on("DELETE", one, Reply(status=204))
    scripted.on("POST", f"{one}/rotate-secret", Reply({"secret": "whsec_b"}))
    scripted.on("POST", "/api/webhooks/account/rotate-secret", Reply({"secret": "whsec_c"}))
    scripted.on("POST", f"{one}/test", Reply(DELIVERY, 202))
    scripted.on("POST", f"{one}/redeliver", Reply({"count": 3}, 202))
    scripted.on("GET", f"{one}/deliveries", Reply({"deliveries": [DELIVERY]}))
    assert fleet.create_webhook("https://a.example", events=["image.completed"]).secret == "whsec_a"
    assert [each.webhook_id for each in fleet.webhooks(request_id=ID)] == [ID]
    assert fleet.get_webhook(ID).events == ("image.completed",)
    assert not fleet.change_webhook(ID, enabled=False).enabled
    assert fleet.rotate_webhook_secret(ID).secret + fleet.rotate_webhook_secret().secret == "whsec_bwhsec_c"
    assert fleet.test_webhook(ID).status == "pending"
    assert fleet.redeliver(ID, delivery_id="7").count == 3
    assert [each.delivery_id for each in fleet.webhook_deliveries(ID, status="failed")] == ["7"]
    fleet.delete_webhook(ID)


def test_models_and_health_are_read(fleet: Client, scripted: ScriptedServer) -> None:
    scripted.on("GET", "/v1/models", Reply({"object": "list", "data": [{"id": "flux", "owned_by": "imagefleet"}]}))
    scripted.on("GET", "/health", Reply({"status": "unhealthy", "database": False, "timestamp": NOW}, 503))
    assert [model.id for model in fleet.models()] == ["flux"]
    assert (fleet.health().status, fleet.health().database) == ("unhealthy", False)
