"""What extensions do with a request: for each act the moments at which something happens."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from tests.chaos import pictures
from tests.chaos.history import Uploaded
from tests.chaos.pictures import Stamp
from tests.chaos.plan import Act, Source

if TYPE_CHECKING:
    from tests.chaos.extension import Simulated, Task

# Against REQUEST_TIMEOUT_MS 4000, RECONNECT_GRACE_MS 1500 and HEARTBEAT_TIMEOUT_MS 5000 of the run.
WITHIN_GRACE_S = 0.4
BEYOND_GRACE_S = 4.0
SILENCE_S = 6.0
FREEZE_S = 7.0
AGAIN_S = 0.05
UPLOAD_TRIES = 5

Moment = tuple[float, Callable[[], None]]

RUBBISH: tuple[str | bytes, ...] = (
    "{",
    "[]",
    '{"type": "make_coffee"}',
    '{"type": "image_generated"}',
    '{"type": "image_generation_progress", "requestId": "x", "progress": 1e400}',
    "\x00" * 40,
    b"\xff\xfe",
    json.dumps({"type": "image_generated", "requestId": "no-such-request", "imageUrl": "https://example.com/x.png"}),
)


def begin(extension: Simulated, task: Task) -> None:
    """Put on the agenda what happens with the request."""
    task.stubborn = task.turn.act in {Act.LATE, Act.SILENT, Act.FREEZE, Act.FORGET}
    for after_s, thing in _moments(extension, task):
        extension.agenda.after(after_s, _unless_over(task, thing))


def deliver(extension: Simulated, task: Task, tries_left: int = UPLOAD_TRIES) -> None:
    """Report the pictures of the request."""
    stamps = [_stamp(extension, task, position) for position in range(int(task.job["parameters"]["numberOfImages"]))]
    try:
        urls = [_handed_over(extension, task, stamp, tries_left) for stamp in stamps]
    except OSError:  # the web process that takes uploads is down: it will be back
        again = partial(deliver, extension, task, tries_left - 1)
        extension.agenda.after(1.0, _unless_over(task, again))
        return
    more = {"imageUrls": urls} if len(urls) > 1 else {}
    metadata = {"model": task.job["model"], "prompt": task.job["prompt"], "width": 8, "height": 8}
    task.delivered = True
    extension.report(task, "image_generated", {"imageUrl": urls[0], "metadata": metadata, **more})


def _moments(extension: Simulated, task: Task) -> Iterator[Moment]:
    act, work_s = task.turn.act, task.turn.work_s
    yield work_s / 3, partial(_progress, extension, task, 30)
    yield from _odd_moments(extension, task)
    if act in FAILURES:
        yield work_s, partial(_fail, extension, task, act)
    elif act is not Act.CRASH:
        yield DELIVERED_S.get(act, work_s), partial(deliver, extension, task)


def _odd_moments(extension: Simulated, task: Task) -> Iterator[Moment]:
    act, half_s = task.turn.act, task.turn.work_s / 2
    if act in ODD:
        yield half_s, partial(ODD[act], extension, task)
    elif act is Act.SLOW:
        yield from ((0.8 * n, partial(_progress, extension, task, 31 + 10 * n)) for n in range(6))
    elif act is Act.RUBBISH:
        yield from ((half_s, partial(extension.say, rubbish)) for rubbish in RUBBISH)
    elif act is Act.TWICE:
        yield 2 * half_s + AGAIN_S, partial(deliver, extension, task)
    elif act is Act.CONTRADICT:
        yield 2 * half_s + AGAIN_S, partial(_fail, extension, task, Act.REFUSED if task.order % 2 else Act.FAIL)


# When the result is there, where the work itself does not say so.
DELIVERED_S = {Act.SLOW: 5.0, Act.SILENT: SILENCE_S, Act.FORGET: 2.0}

FAILURES: dict[Act, tuple[str, dict[str, object]]] = {
    Act.FAIL: ("The page crashed", {}),
    Act.LIMITED: ("Rate limit exceeded", {"reason": "Too many requests in the last hour", "retryAfterMs": 800}),
    Act.REFUSED: ("Refused by the content policy", {}),
}


def _unless_over(task: Task, thing: Callable[[], None]) -> Callable[[], None]:
    def do() -> None:
        if not task.over:
            thing()

    return do


def _progress(extension: Simulated, task: Task, percent: int) -> None:
    extension.report(task, "image_generation_progress", {"progress": percent, "status": "Generating image..."})


def _fail(extension: Simulated, task: Task, act: Act) -> None:
    error, more = FAILURES[act]
    if not task.delivered:
        extension.forget(task.job["requestId"])
    body = {k: v for k, v in more.items() if k == "reason" or not extension.member.literal}
    extension.report(task, "image_generation_failed", {"error": error, **body})


def _return(extension: Simulated, task: Task) -> None:
    extension.vanish(WITHIN_GRACE_S)


def _be_late(extension: Simulated, task: Task) -> None:
    extension.vanish(BEYOND_GRACE_S)


def _crash(extension: Simulated, task: Task) -> None:
    for request_id, each in list(extension.tasks.items()):
        each.over = True
        extension.forget(request_id)
    extension.vanish(WITHIN_GRACE_S)


def _mute(extension: Simulated, task: Task) -> None:
    extension.mute_until = time.monotonic() + SILENCE_S


def _freeze(extension: Simulated, task: Task) -> None:
    extension.frozen_until = time.monotonic() + FREEZE_S


def _let_go(extension: Simulated, task: Task) -> None:
    extension.let_go(task)
    extension.beat()


# What happens halfway through the work.
ODD: dict[Act, Callable[[Simulated, Task], None]] = {
    Act.RETURN: _return,
    Act.LATE: _be_late,
    Act.CRASH: _crash,
    Act.SILENT: _mute,
    Act.FREEZE: _freeze,
    Act.FORGET: _let_go,
}


def _stamp(extension: Simulated, task: Task, position: int) -> Stamp:
    return Stamp(task.order, extension.member.index, task.serial, position)


def _handed_over(extension: Simulated, task: Task, stamp: Stamp, tries_left: int) -> str:
    source = task.turn.source
    if source is Source.UPLOAD and tries_left:
        return _upload(extension, task, stamp)
    if source in {Source.DATA, Source.UPLOAD}:
        return "data:image/png;base64," + b64encode(pictures.draw(stamp)).decode()
    return extension.host.url(stamp, source)


def _upload(extension: Simulated, task: Task, stamp: Stamp) -> str:
    """Hand the picture over; where that is refused, what it names will be refused as well. Raises OSError."""
    target = task.job["upload"]
    url = f"{target['url']}&position={stamp.position}"
    request = urllib.request.Request(url, pictures.draw(stamp), target["headers"], method=target["method"])
    base, place = target["url"].partition("?")[0], f"{task.attempt}/{stamp.position}"
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            image_url: str = json.load(answer)["imageUrl"]
        extension.records.uploaded.append(Uploaded(task.job["requestId"], task.attempt, stamp.position))
        return image_url
    except urllib.error.HTTPError as refusal:
        with refusal:
            if refusal.code >= 500:
                raise OSError(refusal.code) from None
            return f"{base}/{place}"
