"""The Python library: ask an Imagefleet server for pictures.

    with Imagefleet("http://localhost:3000") as fleet:
        accepted = fleet.generate("A lighthouse at dawn", width=1024, height=768)
        result = fleet.wait(accepted.request_id)
        for image in result.images:
            fleet.download(image, "lighthouse.png")

Every method raises the errors of `imagefleet.errors` and nothing else but OSError for the local disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from imagefleet.answers import Accepted, Cancelled, Event, GeneratedImage, ImageStatus, StoredImage
from imagefleet.defaults import DEFAULT_URL
from imagefleet.downloads import save
from imagefleet.endurance import Endurance
from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, Refused, TimedOut
from imagefleet.fleet_answers import ExtensionState
from imagefleet.following import Follower
from imagefleet.sse import messages
from imagefleet.transport import PATIENCE_S, READ_S, Call, Transport
from imagefleet.wire import Fields, decode, encode

EVENTS_READ_S = 60.0
FAULTS_S = 120.0
PAGE_SIZE = 50
Progress = Callable[[ImageStatus], None]


class Imagefleet:
    """A server and how to ask it. `patience_s` is how many seconds a single question bears faults, where that is safe.

    `key` is an API key or a token, where the server lets in only those who show one.
    Connections are kept and shared between threads; `close` them, or use this in a `with`.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, key: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._transport = Transport(base_url, key)
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
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
    ) -> Accepted:
        """Submit a request; what is left out is the server's default. Sizes in px.

        `parameters` travel to the extension as they are; the named ones win over them. It is sent again only where the
        server certainly did not take it; ConnectionLost says that nobody knows, so look with `list` before asking again.
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
            "parameters": {**(parameters or {}), **_given(named)} or None,
            "userId": user_id,
            "deadlineMs": deadline_ms,
        }
        headers = {"Content-Type": "application/json"}
        call = Call("POST", "/api/images/generate", headers=headers, body=encode(_given(whole)).encode())
        return Accepted.read(self._transport.ask(call, patience_s=self._patience_s))

    def status(self, request_id: str, *, wait: int | None = None, since: int | None = None) -> ImageStatus:
        """How far the request is; with `wait`, the answer comes once it is newer than version `since`, or after `wait` s."""
        return ImageStatus.read(self._ask(_status_call(request_id, wait, since, read_s=READ_S + (wait or 0))))

    def get(self, request_id: str) -> GeneratedImage:
        """All that is known of the request, with its pictures once it is completed."""
        return GeneratedImage.read(self._ask(Call("GET", _path(request_id))))

    def wait(self, request_id: str, progress: Progress | None = None, timeout_s: float | None = None) -> GeneratedImage:
        """Follow the request until it is completed, failed or cancelled, and return the result, whichever it is.

        `progress` hears each new state, the first at once. Faults on the way are borne until `timeout_s`; without a
        timeout, until there was no answer for two minutes. Raises TimedOut when the time is over; the request goes on.
        """
        endurance = Endurance(FAULTS_S, timeout_s)
        follower = Follower(progress or (lambda _: None))
        while True:
            try:
                if self._follow(request_id, follower, endurance.left_s()):
                    return GeneratedImage.read(self._transport.ask(Call("GET", _path(request_id)), patience_s=0.0))
            except ImagefleetError as error:
                endurance.bear(error)
                continue
            endurance.relieve()
            if endurance.left_s() <= 0:
                raise TimedOut(f"Request {request_id} is not finished yet; it goes on.")

    def cancel(self, request_id: str) -> Cancelled:
        """Call the request off. Refused with ERR_ALREADY_FINISHED where it has ended otherwise."""
        return Cancelled.read(self._ask(Call("DELETE", _path(request_id))))

    def list(
        self, *, user_id: str | None = None, status: str | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[GeneratedImage]:
        """The requests, newest first; each page of up to `page_size` (1..100) is asked for when it is needed."""
        query = {"userId": user_id, "status": status, "limit": page_size}
        return map(GeneratedImage.read, self._listed("/api/images", query, "images"))

    def extensions(self, *, connected: bool | None = None, page_size: int = PAGE_SIZE) -> Iterator[ExtensionState]:
        """The fleet, in the order of the extensions' ids; for operators, where the server wants a key."""
        query = {"connected": None if connected is None else str(connected).lower(), "limit": page_size}
        return map(ExtensionState.read, self._listed("/api/extensions", query, "extensions"))

    def events(self, request_id: str, *, last_event_id: int | None = None) -> Iterator[Event]:
        """What happens to the request, as it happens, each fact once, until its last; faults on the way are borne.

        Facts carry their number `seq`; with `last_event_id` only later ones come. Progress comes in between.
        """
        endurance, last = Endurance(FAULTS_S), last_event_id
        while True:
            try:
                with contextlib.closing(self._stream(request_id, last)) as stream:
                    for event in stream:
                        if not _is_known(event, last):
                            endurance.relieve()
                            last = last if event.seq is None else event.seq
                            yield event
                return
            except ImagefleetError as error:
                endurance.bear(error)

    def download(self, image: StoredImage, to: str | Path) -> Path:
        """Save the picture as the file `to`, which is there whole and checked, or not at all. Returns its path."""
        target, endurance = Path(to), Endurance(self._patience_s)
        call = Call("GET", quote(image.image_path, safe="/%"), headers={"Accept": "image/*"})
        while True:
            try:
                with self._transport.open(call) as response:
                    save(self._transport.pieces(response), image, target)
                return target
            except ImagefleetError as error:
                endurance.bear(error)

    def websocket_url(self) -> str:
        """Where extensions connect."""
        return self._ask(Call("GET", "/api/websocket/info")).text("url")

    def image_url(self, image: StoredImage) -> str:
        """Where the picture can be fetched from this server."""
        return self._transport.url(image.image_path)

    def _ask(self, call: Call) -> Fields:
        return self._transport.ask(call, patience_s=self._patience_s)

    def _listed(self, path: str, query: Mapping[str, Any], name: str) -> Iterator[Fields]:
        """What the pages of a list have under `name`; each page is asked for when it is needed."""
        cursor: str | None = None
        while True:
            page = self._ask(Call("GET", path, {**query, "cursor": cursor}))
            yield from page.parts(name)
            following = page.optional_text("next_cursor")
            if not following:
                return
            if following == cursor:
                raise BadAnswer("The server names the same page again and again.")
            cursor = following

    def _follow(self, request_id: str, follower: Follower, left_s: float) -> bool:
        """Ask once for news, for about `left_s` seconds at most. True where the request has ended."""
        wait = follower.ask(left_s)
        call = _status_call(request_id, wait, follower.version, read_s=wait + min(READ_S, left_s - wait + 1.0))
        return follower.take(ImageStatus.read(self._transport.ask(call, patience_s=0.0)))

    def _stream(self, request_id: str, last: int | None) -> Generator[Event, None, None]:
        """One connection's events. Raises ConnectionLost where it ended and the request had not."""
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
        raise ConnectionLost("The stream of events ended before the request did.")


def _status_call(request_id: str, wait: int | None, since: int | None, *, read_s: float) -> Call:
    return Call("GET", f"{_path(request_id)}/status", {"wait": wait, "since": since}, read_s=read_s)


def _path(request_id: str) -> str:
    if not request_id.strip("."):
        raise Refused(f"{request_id!r} is not a request's id.")
    return f"/api/images/{quote(request_id, safe='')}"


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _is_known(event: Event, last: int | None) -> bool:
    return event.seq is not None and last is not None and event.seq <= last
