"""The library for programs with async: the same as `Client`, and cancellation."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from imagefleet import AsyncClient, Client, NotFound, StoredPicture, TimedOut, Unreachable
from tests.support.ports import free_port
from tests.support.scripted_batch import BATCH, ScriptedBatch
from tests.support.scripted_server import CUT, RecordedRequest, Reply, ScriptedServer, refusal
from tests.support.waiting import until
from tests.support.wire_answers import EVENTS, GENERATE, ID, IMAGE, STATUS, accepted, event, result, status, stream

T = TypeVar("T")
PATH = "/generated-images/a.png"
CONTENT = bytes(range(256)) * 1000
PICTURE = StoredPicture(image_path=PATH, bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


def run(scripted: ScriptedServer, use: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """The outcome of `use` with a client of the scripted server."""

    async def main() -> T:
        async with AsyncClient(scripted.url, patience_s=5.0) as client:
            return await use(client)

    return asyncio.run(main())


async def everything(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def methods(kind: type) -> dict[str, Callable[..., object]]:
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    ours, theirs = methods(Client), methods(AsyncClient)
    assert list(ours) == list(theirs)
    for name, method in ours.items():
        mine, other = inspect.signature(method), inspect.signature(theirs[name])
        assert mine.parameters == other.parameters, name
        assert str(other.return_annotation).replace("AsyncGenerator[", "Iterator[") == mine.return_annotation, name
        assert inspect.getdoc(method) == inspect.getdoc(theirs[name]), name


def test_calls_are_retried_with_the_same_key(scripted: ScriptedServer) -> None:
    scripted.on("POST", GENERATE, CUT, refusal(503, "ERR_UNAVAILABLE", "Later."), accepted())
    faults: list[object] = []
    answer = run(scripted, lambda client: client.submit("A fox", on_retry=lambda error, _: faults.append(error)))
    assert answer.request_id == ID
    assert len(faults) == 2
    assert len({attempt.headers["idempotency-key"] for attempt in scripted.requests}) == 1


def test_refusals_have_the_same_classes(scripted: ScriptedServer) -> None:
    with pytest.raises(NotFound, match="Not found"):
        run(scripted, lambda client: client.get(ID))


def test_lists_are_fetched_page_by_page(scripted: ScriptedServer) -> None:
    page = {"requestId": ID, "status": "accepted"}
    scripted.on("GET", "/api/images", Reply({"images": [page, page], "nextCursor": "n"}), Reply({"images": [page]}))
    assert len(run(scripted, lambda client: everything(client.list()))) == 3


def test_waiting_and_events_survive_faults(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("accepted", 1), CUT, status("completed", 2))
    scripted.on("GET", IMAGE, result())
    one, two = event("OneEvent", 1), event("ImageGeneratedEvent", 2)
    scripted.on("GET", EVENTS, stream(one, cut=True), stream(two))

    async def use(client: AsyncClient) -> tuple[str, list[int | None]]:
        found = await client.wait(ID)
        return found.status, [each.seq async for each in client.stream(ID)]

    assert run(scripted, use) == ("completed", [1, 2])
    assert scripted.requests_to("GET", EVENTS)[1].headers["last-event-id"] == "1"


def test_waiting_ends_after_its_timeout(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("accepted", 1))
    with pytest.raises(TimedOut, match="it continues"):
        run(scripted, lambda client: client.wait(ID, timeout_s=0.3))


def test_downloads_are_resumed_and_verified(scripted: ScriptedServer, tmp_path: Path) -> None:
    half = len(CONTENT) // 2
    scripted.on(
        "GET",
        PATH,
        Reply(CONTENT[:half], headers={"Content-Length": str(len(CONTENT)), "ETag": '"e"'}, cut=True),
        Reply(CONTENT[half:], 206, headers={"Content-Range": f"bytes {half}-{len(CONTENT) - 1}/{len(CONTENT)}"}),
    )
    saved = run(scripted, lambda client: client.download(PICTURE, tmp_path / "a.png"))
    assert saved.read_bytes() == CONTENT
    assert scripted.requests[1].headers["range"] == f"bytes={half}-"
    assert list(tmp_path.iterdir()) == [saved]


def test_a_batch_is_followed_across_faults(scripted: ScriptedServer) -> None:
    ScriptedBatch(scripted, 30, cut_every=7).end_all()
    found = run(scripted, lambda client: everything(client.follow_batch(BATCH)))
    assert sorted(item.index for item in found) == list(range(1, 31))


def test_the_error_names_an_unreachable_server() -> None:
    async def use() -> None:
        async with AsyncClient(url, patience_s=0.2) as client:
            await client.health()

    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=f"Cannot connect to {url}: connection refused"):
        asyncio.run(use())


def _hanging(scripted: ScriptedServer) -> Callable[[RecordedRequest], Reply]:
    def hang(_: RecordedRequest) -> Reply:
        scripted.closing.wait(30)
        return CUT

    return hang


def test_a_cancelled_task_ends_at_once_and_leaves_the_client_usable(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, _hanging(scripted))
    scripted.on("GET", IMAGE, result())

    async def use(client: AsyncClient) -> str:
        waiting = asyncio.create_task(client.wait(ID))
        await asyncio.to_thread(until, lambda: scripted.requests_to("GET", STATUS))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return (await client.get(ID)).status

    assert run(scripted, use) == "completed"


def test_a_timeout_of_anyio_ends_a_stream(scripted: ScriptedServer) -> None:
    def pieces() -> object:
        yield event("OneEvent", 1)
        scripted.closing.wait(30)

    scripted.on("GET", EVENTS, lambda _: Reply(pieces(), headers={"Content-Type": "text/event-stream"}))  # type: ignore[arg-type]

    async def use(client: AsyncClient) -> list[int | None]:
        async with aclosing(client.stream(ID)) as events:
            seen = [(await anext(events)).seq]
            with anyio.move_on_after(0.2) as scope:
                await anext(events)
        assert scope.cancelled_caught
        return seen

    assert run(scripted, use) == [1]


def test_tasks_share_a_client(scripted: ScriptedServer) -> None:
    scripted.on("GET", STATUS, status("completed", 2))

    async def use(client: AsyncClient) -> list[str]:
        found = await asyncio.gather(*(client.status(ID) for _ in range(50)))
        return [each.status for each in found]

    assert run(scripted, use) == ["completed"] * 50
