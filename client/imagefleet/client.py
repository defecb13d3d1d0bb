"""The Python library: generate pictures with an Imagefleet server.

    with Imagefleet("http://localhost:3000") as fleet:
        accepted = fleet.generate("A lighthouse at dawn", width=1024, height=768)
        result = fleet.wait(accepted.request_id)
        for image in result.images:
            fleet.download(image, "lighthouse.png")

Methods raise the errors of `imagefleet.errors`, and OSError if a file cannot be written.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from imagefleet.answers import Accepted, Cancelled, Event, GeneratedImage, ImageStatus, StoredImage
from imagefleet.defaults import DEFAULT_URL
from imagefleet.downloads import save
from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, Refused, TimedOut
from imagefleet.fleet_answers import ExtensionState
from imagefleet.following import Follower
from imagefleet.retrying import OnRetry, Retries
from imagefleet.sse import messages
from imagefleet.transport import IDEMPOTENCY_KEY, PATIENCE_S, READ_S, Call, Transport
from imagefleet.wire import Fields, decode, encode

EVENTS_READ_S = 60.0
FAULTS_S = 120.0
PAGE_SIZE = 50
Progress = Callable[[ImageStatus], None]


class Imagefleet:
    """A client of one server. `patience_s` is how many seconds a call is retried after a fault, if that is safe.

    `key` is an API key or a token, if the server requires one.
    Connections are pooled and shared between threads; call `close`, or use the client in a `with`.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, key: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._transport = Transport(base_url, key)
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._transport.close()

    def generate(
        self,
        prompt: str,
        *,
        model: str | None = None,
        width: int | None = None,
        height: int | None = None,
        quality: str | None = None,
        style: str | None = None,
        number_of_images: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        deadline_ms: int | None = None,
        cache: str | None = None,
        idempotency_key: str | None = None,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> Accepted:
        """Submit a request; the server has defaults for what is left out. Sizes in px.

        `parameters` are passed to the extension unchanged; the named arguments override them. `deadline_ms` after its
        acceptance the request fails unless it is completed; until then it waits for an extension. `cache` is whether it
        may get the pictures of an identical request of yours: "prefer", or "only", which raises Refused with
        ERR_NOT_CACHED if none is completed.

        It is retried after every fault: the server accepts it once, since each attempt has the same Idempotency-Key. That
        is a new one for each call, or `idempotency_key`, 1 to 255 visible ASCII characters. With a key of your own, the
        same call gets the same answer for a day, also from another process. A rate limit is waited out for up to `refused_s` seconds, by default for `patience_s`; `on_retry`
        is called before each pause with the error and the seconds that the pause takes.
        """
        named = {
            "width": width,
            "height": height,
            "quality": quality,
            "style": style,
            "numberOfImages": number_of_images,
        }
        whole = {
            "prompt": prompt,
            "model": model,
            "parameters": {**(parameters or {}), **_without_none(named)} or None,
            "userId": user_id,
            "deadlineMs": deadline_ms,
            "cache": cache,
        }
        headers = {"Content-Type": "application/json", IDEMPOTENCY_KEY: _quoted(idempotency_key or str(uuid.uuid4()))}
        call = Call("POST", "/api/images/generate", headers=headers, body=encode(_without_none(whole)).encode())
        return Accepted.read(
            self._transport.fetch(call, patience_s=self._patience_s, refused_s=refused_s, on_retry=on_retry)
        )

    def status(self, request_id: str, *, wait: int | None = None, since: int | None = None) -> ImageStatus:
        """The status of the request; with `wait`, returns once it is newer than version `since`, or after `wait` s."""
        return ImageStatus.read(self._fetch(_status_call(request_id, wait, since, read_s=READ_S + (wait or 0))))

    def get(self, request_id: str) -> GeneratedImage:
        """The request in full, with its pictures once it is completed."""
        return GeneratedImage.read(self._fetch(Call("GET", _path(request_id))))

    def wait(
        self,
        request_id: str,
        progress: Progress | None = None,
        timeout_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> GeneratedImage:
        """Wait until the request is completed, failed or cancelled, and return it.

        `progress` is called with each new status, the first time at once. Faults are retried until `timeout_s`; without
        a timeout, until nothing succeeded for two minutes. `on_retry` is called with each fault and the seconds until the
        next attempt; after a fault `progress` is called even if nothing changed. Raises TimedOut after `timeout_s`; the
        request continues.
        """
        retries = Retries(FAULTS_S, timeout_s, on_retry=on_retry)
        follower = Follower(progress or (lambda _: None))
        while True:
            try:
                if self._follow(request_id, follower, retries.left_s()):
                    return GeneratedImage.read(self._transport.fetch(Call("GET", _path(request_id)), patience_s=0.0))
            except ImagefleetError as error:
                retries.wait_or_raise(error)
                follower.forget()
                continue
            retries.reset()
            if retries.left_s() <= 0:
                raise TimedOut(f"Request {request_id} is not finished yet; it continues.")

    def cancel(self, request_id: str) -> Cancelled:
        """Cancel the request. Raises Refused with ERR_ALREADY_FINISHED if it has already completed or failed."""
        return Cancelled.read(self._fetch(Call("DELETE", _path(request_id))))

    def list(
        self, *, user_id: str | None = None, status: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[GeneratedImage]:
        """The requests, newest first; each page of up to `page_size` (1..100) is fetched when it is needed."""
        query = {"userId": user_id, "status": status, "limit": page_size}
        return map(GeneratedImage.read, self._pages("/api/images", query, "images"))

    def extensions(self, *, connected: bool | None = None, page_size: int = PAGE_SIZE) -> Iterator[ExtensionState]:
        """The extensions, ordered by ID. If the server requires a key, it must be an operator's."""
        query = {"connected": None if connected is None else str(connected).lower(), "limit": page_size}
        return map(ExtensionState.read, self._pages("/api/extensions", query, "extensions"))

    def events(self, request_id: str, *, last_event_id: int | None = None) -> Iterator[Event]:
        """The request's events as they happen, each stored event once, until the last one; faults are retried.

        Stored events have a number `seq`; with `last_event_id` only later ones are returned. Progress has none.
        """
        retries, last = Retries(FAULTS_S), last_event_id
        while True:
            try:
                with contextlib.closing(self._stream(request_id, last)) as stream:
                    for event in stream:
                        if not _is_known(event, last):
                            retries.reset()
                            last = last if event.seq is None else event.seq
                            yield event
                return
            except ImagefleetError as error:
                retries.wait_or_raise(error)

    def download(self, image: StoredImage, to: str | Path) -> Path:
        """Save the picture as the file `to`, whole and checked or not at all. Returns its path."""
        target, retries = Path(to), Retries(self._patience_s)
        call = Call("GET", quote(image.image_path, safe="/%"), headers={"Accept": "image/*"})
        while True:
            try:
                with self._transport.open(call) as response:
                    save(self._transport.pieces(response), image, target)
                return target
            except ImagefleetError as error:
                retries.wait_or_raise(error)

    def websocket_url(self) -> str:
        """The URL of the extensions' WebSocket."""
        return self._fetch(Call("GET", "/api/websocket/info")).text("url")

    def image_url(self, image: StoredImage) -> str:
        """The URL of the picture on this server."""
        return self._transport.url(image.image_path)

    def _fetch(self, call: Call) -> Fields:
        return self._transport.fetch(call, patience_s=self._patience_s)

    def _pages(self, path: str, query: Mapping[str, Any], name: str) -> Iterator[Fields]:
        """The items under `name` on all pages of a list; each page is fetched when it is needed."""
        cursor: str | None = None
        while True:
            page = self._fetch(Call("GET", path, {**query, "cursor": cursor}))
            yield from page.parts(name)
            following = page.optional_text("next_cursor")
            if not following:
                return
            if following == cursor:
                raise BadAnswer("The server returned the same page cursor twice.")
            cursor = following

    def _follow(self, request_id: str, follower: Follower, left_s: float) -> bool:
        """Poll once, for about `left_s` seconds at most. True if the request has ended."""
        wait = follower.next_wait_s(left_s)
        call = _status_call(request_id, wait, follower.version, read_s=wait + min(READ_S, left_s - wait + 1.0))
        return follower.update(ImageStatus.read(self._transport.fetch(call, patience_s=0.0)))

    def _stream(self, request_id: str, last: int | None) -> Generator[Event, None, None]:
        """The events of one connection. Raises ConnectionLost if it ends before the request does."""
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": str(last)})
        call = Call("GET", _path(request_id) + "/events", headers=headers, read_s=EVENTS_READ_S)
        with self._transport.open(call) as response:
            if response.status == 204:
                return
            for message in messages(self._transport.pieces(response)):
                event = Event.read(message.type, decode(message.data))
                yield event
                if event.is_final:
                    return
        raise ConnectionLost("The event stream ended before the request did.")


def _status_call(request_id: str, wait: int | None, since: int | None, *, read_s: float) -> Call:
    return Call("GET", f"{_path(request_id)}/status", {"wait": wait, "since": since}, read_s=read_s)


def _path(request_id: str) -> str:
    if not request_id.strip("."):
        raise Refused(f"{request_id!r} is not a valid request ID.")
    return f"/api/images/{quote(request_id, safe='')}"


def _quoted(key: str) -> str:
    """A string as a header field has it (RFC 9651, section 3.3.3)."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _is_known(event: Event, last: int | None) -> bool:
    return event.seq is not None and last is not None and event.seq <= last
