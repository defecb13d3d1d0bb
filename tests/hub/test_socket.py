"""The socket's protocol with real gunicorn, Redis and sockets."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
import websocket

from app.adapters.background import BackgroundRunner
from app.adapters.bus import RedisBus
from app.adapters.redis_clients import redis_client
from app.db import fleet
from app.db.engine import Database
from tests.support.extension import Extension
from tests.support.pictures import plain
from tests.support.raw import CLOSE, TEXT, connected, frame, shake_hands, until_closed
from tests.support.service import Service, call
from tests.support.waiting import until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FOREIGN = "550e8400-e29b-41d4-a716-446655440000"


def data_url() -> str:
    return (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
        "rkJggg=="
    )


def test_the_authentication_messages_follow_the_contract(service: Service) -> None:
    extension = service.extension("greeting", "nothing")
    first = extension.receive("authentication_required")
    assert set(first) == {"type", "timestamp"}
    assert TIME.fullmatch(first["timestamp"])
    success = extension.authenticate()
    assert set(success) == {"type", "extensionId", "timestamp", "limits"}
    assert success["extensionId"] == "greeting"
    assert success["limits"] == {"maxMessageBytes": 1_048_576, "maxImageBytes": 10_485_760}
    extension.disconnect()


def test_an_offer_follows_the_contract_with_documented_additions(service: Service) -> None:
    request_id = service.submit(model="shown", userId="ann", parameters={"width": 32})
    with service.extension("shown", "shown") as extension:
        job = extension.next_job()
        assert TIME.fullmatch(job.pop("timestamp"))
        upload = job.pop("upload")
        assert upload["url"].startswith(f"{service.url()}/api/uploads/{request_id}?")
        assert (upload["method"], upload["maxBytes"]) == ("PUT", 10_485_760)
        assert job.pop("lease")
        assert len(job.pop("correlationId")) == 36
        assert job == {
            "type": "generate_image",
            "requestId": request_id,
            "prompt": "a red fox",
            "model": "shown",
            "parameters": {"width": 32},
            "userId": "ann",
        }
        service.delete(f"/api/images/{request_id}")
        stop = extension.receive("cancel_generation")
        assert stop["requestId"] == request_id


def test_only_authenticate_is_accepted_before_authentication(service: Service) -> None:
    extension = service.extension("hasty", "nothing")
    for early in ({"type": "heartbeat", "extensionId": "hasty"}, {"type": "image_generated"}, {"type": "error"}):
        extension.send(early)
        assert extension.receive("error")["error"]
    extension.authenticate()
    extension.disconnect()


def test_an_extension_that_does_not_authenticate_in_time_is_disconnected(service: Service) -> None:
    extension = service.extension("mute")
    assert extension.closed() == 4001
    assert "authenticate" in extension.receive("error")["error"]


MALFORMED: list[tuple[Any, str]] = [
    ("", "not valid JSON"),
    ("{", "not valid JSON"),
    ("nonsense", "not valid JSON"),
    ("[1]", "object"),
    ("null", "object"),
    ('{"type": NaN}', "not valid JSON"),
    ("[" * 50_000, "not valid JSON"),
    ('{"type":"heartbeat","x":' + "[" * 40 + "]" * 40 + "}", "deeper"),
    ({}, "type"),
    ({"type": None}, "type"),
    ({"type": ["heartbeat"]}, "type"),
    ({"type": "unknown"}, "type"),
    ({"type": "generate_image", "requestId": FOREIGN}, "type"),
    ({"type": "authenticate"}, "extensionId"),
    ({"type": "authenticate", "extensionId": "a b"}, "extensionId"),
    ({"type": "authenticate", "extensionId": "a", "metadata": 5}, "metadata"),
    ({"type": "authenticate", "extensionId": "a", "metadata": {"capabilities": "all"}}, "capabilities"),
    ({"type": "authenticate", "extensionId": "a", "metadata": {"maxConcurrent": 10**9}}, "maxConcurrent"),
    ({"type": "authenticate", "extensionId": "a", "activeRequestIds": "x"}, "activeRequestIds"),
    ({"type": "heartbeat"}, "extensionId"),
    ({"type": "heartbeat", "extensionId": "other"}, "extensionId"),
    ({"type": "heartbeat", "extensionId": "odd", "status": []}, "status"),
    ({"type": "heartbeat", "extensionId": "odd", "status": {"available": "yes"}}, "available"),
    ({"type": "heartbeat", "extensionId": "odd", "status": {"activeRequests": -1}}, "activeRequests"),
    ({"type": "image_generated"}, "imageUrl"),
    ({"type": "image_generated", "requestId": FOREIGN}, "imageUrl"),
    ({"type": "image_generated", "requestId": FOREIGN, "imageUrl": "javascript:alert(1)"}, "imageUrl"),
    ({"type": "image_generated", "requestId": FOREIGN, "imageUrl": "file:///etc/passwd"}, "imageUrl"),
    ({"type": "image_generated", "requestId": FOREIGN, "imageUrl": "http://a/" + "x" * 9000}, "imageUrl"),
    ({"type": "image_generated", "requestId": FOREIGN, "imageUrls": []}, "imageUrls"),
    ({"type": "image_generated", "requestId": FOREIGN, "imageUrls": ["http://a/"] * 11}, "imageUrls"),
    ({"type": "image_generated", "requestId": {"a": 1}, "imageUrl": "http://a/"}, "requestId"),
    ({"type": "image_generation_failed", "requestId": FOREIGN}, "error"),
    ({"type": "image_generation_failed", "requestId": FOREIGN, "error": "x", "retryAfterMs": -5}, "retryAfterMs"),
    ({"type": "image_generation_progress", "requestId": FOREIGN}, "progress"),
    ({"type": "image_generation_progress", "requestId": FOREIGN, "progress": 101}, "progress"),
    ({"type": "image_generation_progress", "requestId": FOREIGN, "progress": -1}, "progress"),
    ({"type": "image_generation_progress", "requestId": FOREIGN, "progress": "50"}, "progress"),
    ({"type": "image_generation_progress", "requestId": FOREIGN, "progress": True}, "progress"),
]


def test_malformed_messages_are_answered_with_errors(service: Service) -> None:
    with service.extension("odd", "nothing") as extension:
        for message, name in MALFORMED:
            extension.send(message)
            error = extension.receive("error")
            assert name in error["error"], (message, error)
            assert TIME.fullmatch(error["timestamp"])
        extension.send_bytes(b"\x00\x01")
        assert "text" in extension.receive("error")["error"]
        extension.send_heartbeat()
        assert set(extension.receive("heartbeat_response")) == {"type", "timestamp"}


def test_an_extension_acts_only_on_jobs_that_it_holds(service: Service) -> None:
    request_id = service.submit(model="guarded")
    with service.extension("holder", "guarded") as holder, service.extension("thief", "nothing", web=1) as thief:
        job = holder.next_job()
        for report in (thief.done, thief.failed):
            report(job, "https://images.example/stolen.png")
            error = thief.receive("error")
            assert (error["code"], error["requestId"]) == ("ERR_LEASE_LOST", request_id)
        thief.progress(job, 99)
        assert thief.receive("error")["code"] == "ERR_LEASE_LOST"
        unknown = {**job, "requestId": FOREIGN}
        thief.done(unknown, data_url())
        assert thief.receive("error")["code"] == "ERR_LEASE_LOST"
        status = service.status(request_id)
        assert (status["status"], status["progress"]) == ("processing", 0)
        holder.done(job, data_url())
        holder.receive("image_generation_confirmed")
        holder.failed(job, "too late")
        assert holder.receive("error")["code"] == "ERR_LEASE_LOST"
    assert service.final(request_id)["status"] == "completed"


def test_a_newer_socket_of_the_same_extension_replaces_the_older(service: Service) -> None:
    request_id = service.submit(model="moving")
    with service.extension("mover", "moving") as older:
        job = older.next_job()
        older.progress(job, 30)
        newer = service.extension("mover", "moving", web=1, activeRequestIds=[request_id, FOREIGN])
        assert newer.authenticate()["activeRequestIds"] == [request_id]
        assert older.closed() == 4000
        newer.done(job, data_url())
        newer.receive("image_generation_confirmed")
        newer.disconnect()
    assert service.final(request_id)["status"] == "completed"


def test_the_fleet_is_counted_across_all_web_processes(service: Service) -> None:
    def counted(web: int) -> int:
        count: int = service.get("/api/websocket/info", web).json["activeConnections"]
        return count

    until(lambda: counted(0) == 0, what="the extensions of other tests to disconnect")
    with service.extension("one", "nothing"), service.extension("two", "nothing", web=1):
        assert [counted(0), counted(1)] == [2, 2]
    until(lambda: counted(1) == 0, what="both to disconnect")


def test_an_extension_that_answers_only_pings_keeps_its_job(service: Service) -> None:
    request_id = service.submit(model="silent")
    with service.extension("silent", "silent") as extension:
        job = extension.next_job()
        until(lambda: service.row(request_id).handed_over, what="the receipt to be recorded")
        extension.done(job, data_url())
        extension.receive("image_generation_confirmed")
    assert service.final(request_id)["status"] == "completed"


def test_an_unusable_report_ends_the_attempt_and_is_answered_with_its_request(service: Service) -> None:
    request_id = service.submit(model="rubbish")
    with service.extension("rubbish", "rubbish") as extension:
        extension.done(extension.next_job(), "file:///etc/passwd")
        error = extension.receive("error")
    assert error["requestId"] == request_id
    assert "imageUrl must be http://" in error["error"]
    until(lambda: service.row(request_id).strikes == 1, what="the attempt to end")


@pytest.mark.parametrize("binary", [False, True])
def test_a_final_report_that_cannot_even_be_read_ends_its_attempt_too(service: Service, binary: bool) -> None:
    model = f"unreadable-{binary}"
    request_id = service.submit(model=model)
    with service.extension(model, model) as extension:
        extension.next_job()
        report = f'{{"type": "image_generated", "requestId": "{request_id}", "imageUrl": "http://a/b'
        if binary:
            extension.send_bytes(f'{report}"}}'.encode())
        else:
            extension.send(report)
        assert extension.receive("error")["requestId"] == request_id
    until(lambda: service.row(request_id).strikes == 1, what="the attempt to end")


@pytest.mark.parametrize("order", [("requestId", "imageUrl"), ("imageUrl", "requestId")])
def test_a_picture_that_is_too_large_for_a_message_ends_its_attempt_with_advice(
    service: Service, order: tuple[str, str]
) -> None:
    model = f"large-{order[0]}"
    request_id = service.submit(model=model)
    with service.extension(model, model) as extension:
        assert extension.authentication_success["limits"]["maxMessageBytes"] == 1_048_576
        extension.next_job()
        fields = {"requestId": request_id, "imageUrl": f"data:image/png;base64,{'A' * 1_400_000}"}
        extension.send(json.dumps({"type": "image_generated", **{name: fields[name] for name in order}}))
        error = extension.receive("error")
        assert extension.closed() == 1009
    assert "1,048,576 characters" in error["error"]
    assert "upload" in error["error"]
    until(lambda: service.row(request_id).strikes == 1, what="the attempt to end")


def test_a_too_large_message_closes_only_its_own_socket(service: Service) -> None:
    with service.extension("loud", "nothing") as loud, service.extension("calm", "nothing") as calm:
        loud.send("x" * (1_048_576 + 1))
        assert loud.closed() == 1009
        calm.send_heartbeat()
        calm.receive("heartbeat_response")


def test_a_peer_that_sends_without_reading_learns_that_its_message_was_too_large(service: Service) -> None:
    with connected(service.ports[0]) as sock:
        shake_hands(sock)
        sock.sendall(frame(TEXT, b'{"type": "authenticate", "extensionId": "deaf"}'))
        sock.sendall(frame(TEXT, b"x" * 16 * 2**20) + frame(CLOSE, (1000).to_bytes(2, "big")))
        received = until_closed(sock)
    assert (1009).to_bytes(2, "big") + b"The extension's message has more than 1,048,576 characters" in received


def test_a_slow_reader_gets_every_message_whole(service: Service) -> None:
    """`socket.send` sends only part of a frame when its buffer is full, which simple-websocket ignores."""
    filler = ["x" * 1000] * 100
    small_buffer = ((socket.SOL_SOCKET, socket.SO_RCVBUF, 65536),)
    slow = websocket.create_connection(
        f"ws://127.0.0.1:{service.ports[0]}/ws", timeout=30, sockopt=small_buffer, skip_utf8_validation=True
    )
    slow.send(json.dumps({"type": "authenticate", "extensionId": "slow", "metadata": {"capabilities": ["nothing"]}}))
    while json.loads(slow.recv())["type"] != "authentication_success":
        pass
    ids = [f"request-{number}" for number in range(64)]
    publish_offers(service, "slow", [{"requestId": each, "filler": filler} for each in ids])
    for request_id in ids:
        offer = json.loads(slow.recv())
        assert (offer["requestId"], offer["filler"]) == (request_id, filler)
    slow.close()


def publish_offers(service: Service, extension_id: str, offers: list[dict[str, Any]]) -> None:
    """Publish these messages to the hub of the extension at once, as dispatchers do."""
    with closing(Database(service.env["DATABASE_URL"])) as database:
        target = database.read(lambda connection: fleet.socket_of(connection, extension_id))
    assert target is not None
    bus = RedisBus(redis_client(service.env["REDIS_URL"]), BackgroundRunner("test"))
    for offer in offers:
        head = {"do": "offer", "connection": target.connection_id, "requestId": offer["requestId"], "lease": "lease"}
        assert bus.publish_to_hub(target.hub_id, {**head, "message": offer})


def test_a_flood_does_not_delay_other_sockets(service: Service) -> None:
    flood = service.extension("flood", "nothing")
    flood.authenticate()
    heartbeat = json.dumps({"type": "heartbeat", "extensionId": "flood", "status": {"available": True}})
    with service.extension("steady", "nothing") as steady:
        for _ in range(50):
            for _ in range(40):
                flood.send(heartbeat)
            steady.send_heartbeat()
            steady.receive("heartbeat_response", timeout_s=10)
    flood.disconnect()


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Sec-WebSocket-Version": "13"}, "Sec-WebSocket-Key"),
        ({"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}, "Sec-WebSocket-Key"),
        ({"Sec-WebSocket-Version": "8", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-WebSocket-Version"),
        ({"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-WebSocket-Version"),
    ],
)
def test_an_invalid_handshake_is_status_of_refusal(service: Service, headers: dict[str, str], name: str) -> None:
    with closing(HTTPConnection("127.0.0.1", service.ports[0], timeout=10)) as http:
        http.request("GET", "/ws", headers={"Upgrade": "websocket", "Connection": "Upgrade", **headers})
        answer = http.getresponse()
        assert answer.status == 400
        assert name in json.load(answer)["detail"]


def test_a_plain_request_to_the_socket_path_is_explained(service: Service) -> None:
    answer = call("GET", service.url("/ws"))
    assert answer.status == 400
    assert "WebSocket" in answer.json["detail"]


def test_compression_is_not_negotiated(service: Service) -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    ws = websocket.create_connection(f"ws://127.0.0.1:{service.ports[0]}/ws", timeout=10, header=offer)
    assert "sec-websocket-extensions" not in (ws.getheaders() or {})
    ws.close()


def test_an_upload_url_is_valid_for_its_job_and_once(service: Service) -> None:
    request_id = service.submit(model="granted")
    with service.extension("granted", "granted") as extension:
        job = extension.next_job()
        for tampered in (
            {**job, "upload": {**job["upload"], "url": job["upload"]["url"].replace("signature=", "signature=0")}},
            {**job, "upload": {**job["upload"], "url": job["upload"]["url"].replace(request_id, FOREIGN)}},
            {**job, "upload": {**job["upload"], "url": job["upload"]["url"].replace("attempt=1", "attempt=2")}},
        ):
            assert _status_of_refusal(extension, tampered, b"x") == 403
        assert _status_of_refusal(extension, job, b"--form\r\n") == 400
        extension.upload(job, plain())
        assert _status_of_refusal(extension, job, b"second") == 409
        assert _status_of_upload(service, job, 10_485_761) == 413
        service.delete(f"/api/images/{request_id}")
        assert _status_of_refusal(extension, job, b"late", position=2) == 403


def _status_of_refusal(extension: Extension, job: dict[str, Any], data: bytes, position: int = 0) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        extension.upload(job, data, position)
    with caught.value:
        assert json.load(caught.value)["code"].startswith("ERR_")
    return caught.value.code


def _status_of_upload(service: Service, job: dict[str, Any], size: int) -> int:
    """The status of a request with a Content-Length of `size`, before its body is sent."""
    with closing(HTTPConnection("127.0.0.1", service.ports[0], timeout=10)) as http:
        http.putrequest("PUT", job["upload"]["url"].removeprefix(service.url()) + "&position=1")
        http.putheader("Content-Length", str(size))
        http.endheaders()
        return http.getresponse().status
