"""The behaviours of extensions: for each one, what the extension does with a request and when."""

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
from tests.chaos.plan import Behaviour, Source

if TYPE_CHECKING:
    from tests.chaos.extension import SimulatedExtension, Task

# Against REQUEST_TIMEOUT_MS 4000, RECONNECT_GRACE_MS 1500 and HEARTBEAT_TIMEOUT_MS 5000 of the run.
WITHIN_GRACE_S = 0.4
BEYOND_GRACE_S = 4.0
SILENCE_S = 6.0
FREEZE_S = 7.0
AGAIN_S = 0.05
UPLOAD_TRIES = 5

Moment = tuple[float, Callable[[], None]]

GARBAGE: tuple[str | bytes, ...] = (
    "{",
    "[]",
    '{"type": "make_coffee"}',
    '{"type": "image_generated"}',
    '{"type": "image_generation_progress", "requestId": "x", "progress": 1e400}',
    "\x00" * 40,
    b"\xff\xfe",
    json.dumps({"type": "image_generated", "requestId": "no-such-request", "imageUrl": "https://example.com/x.png"}),
)


def begin(extension: SimulatedExtension, task: Task) -> None:
    """Schedule everything that the extension does with the request."""
    task.stubborn = task.plan.behaviour in {Behaviour.LATE, Behaviour.SILENT, Behaviour.FREEZE, Behaviour.FORGET}
    for after_s, action in _steps(extension, task):
        extension.schedule.after(after_s, _unless_finished(task, action))


def deliver(extension: SimulatedExtension, task: Task, tries_left: int = UPLOAD_TRIES) -> None:
    """Report the pictures of the request."""
    stamps = [_stamp(extension, task, position) for position in range(int(task.job["parameters"]["numberOfImages"]))]
    try:
        urls = [_image_url(extension, task, stamp, tries_left) for stamp in stamps]
    except OSError:  # the web process is down and will be restarted
        again = partial(deliver, extension, task, tries_left - 1)
        extension.schedule.after(1.0, _unless_finished(task, again))
        return
    more = {"imageUrls": urls} if len(urls) > 1 else {}
    metadata = {"model": task.job["model"], "prompt": task.job["prompt"], "width": 8, "height": 8}
    task.delivered = True
    extension.report(task, "image_generated", {"imageUrl": urls[0], "metadata": metadata, **more})


def _steps(extension: SimulatedExtension, task: Task) -> Iterator[Moment]:
    behaviour, work_s = task.plan.behaviour, task.plan.work_s
    yield work_s / 3, partial(_progress, extension, task, 30)
    yield from _odd_steps(extension, task)
    if behaviour in FAILURES:
        yield work_s, partial(_fail, extension, task, behaviour)
    elif behaviour is not Behaviour.CRASH:
        yield DELIVERED_S.get(behaviour, work_s), partial(deliver, extension, task)


def _odd_steps(extension: SimulatedExtension, task: Task) -> Iterator[Moment]:
    behaviour, half_s = task.plan.behaviour, task.plan.work_s / 2
    if behaviour in ODD:
        yield half_s, partial(ODD[behaviour], extension, task)
    elif behaviour is Behaviour.SLOW:
        yield from ((0.8 * n, partial(_progress, extension, task, 31 + 10 * n)) for n in range(6))
    elif behaviour is Behaviour.GARBAGE:
        yield from ((half_s, partial(extension.send, garbage)) for garbage in GARBAGE)
    elif behaviour is Behaviour.TWICE:
        yield 2 * half_s + AGAIN_S, partial(deliver, extension, task)
    elif behaviour is Behaviour.CONTRADICT:
        yield (
            2 * half_s + AGAIN_S,
            partial(_fail, extension, task, Behaviour.REFUSED if task.number % 2 else Behaviour.FAIL),
        )


# When the result is delivered, if not at the end of the planned work.
DELIVERED_S = {Behaviour.SLOW: 5.0, Behaviour.SILENT: SILENCE_S, Behaviour.FORGET: 2.0}

FAILURES: dict[Behaviour, tuple[str, dict[str, object]]] = {
    Behaviour.FAIL: ("The page crashed", {}),
    Behaviour.LIMITED: ("Rate limit exceeded", {"reason": "Too many requests in the last hour", "retryAfterMs": 800}),
    Behaviour.REFUSED: ("Refused by the content policy", {}),
}


def _unless_finished(task: Task, action: Callable[[], None]) -> Callable[[], None]:
    def do() -> None:
        if not task.over:
            action()

    return do


def _progress(extension: SimulatedExtension, task: Task, percent: int) -> None:
    extension.report(task, "image_generation_progress", {"progress": percent, "status": "Generating image..."})


def _fail(extension: SimulatedExtension, task: Task, behaviour: Behaviour) -> None:
    error, more = FAILURES[behaviour]
    if not task.delivered:
        extension.forget(task.job["requestId"])
    body = {k: v for k, v in more.items() if k == "reason" or not extension.plan.literal}
    extension.report(task, "image_generation_failed", {"error": error, **body})


def _return(extension: SimulatedExtension, task: Task) -> None:
    extension.vanish(WITHIN_GRACE_S)


def _be_late(extension: SimulatedExtension, task: Task) -> None:
    extension.vanish(BEYOND_GRACE_S)


def _crash(extension: SimulatedExtension, task: Task) -> None:
    for request_id, each in list(extension.tasks.items()):
        each.over = True
        extension.forget(request_id)
    extension.vanish(WITHIN_GRACE_S)


def _mute(extension: SimulatedExtension, task: Task) -> None:
    extension.mute_until = time.monotonic() + SILENCE_S


def _freeze(extension: SimulatedExtension, task: Task) -> None:
    extension.frozen_until = time.monotonic() + FREEZE_S


def _release(extension: SimulatedExtension, task: Task) -> None:
    extension.release(task)
    extension.send_heartbeat()


# What happens halfway through the work.
ODD: dict[Behaviour, Callable[[SimulatedExtension, Task], None]] = {
    Behaviour.RETURN: _return,
    Behaviour.LATE: _be_late,
    Behaviour.CRASH: _crash,
    Behaviour.SILENT: _mute,
    Behaviour.FREEZE: _freeze,
    Behaviour.FORGET: _release,
}


def _stamp(extension: SimulatedExtension, task: Task, position: int) -> Stamp:
    return Stamp(task.number, extension.plan.index, task.serial, position)


def _image_url(extension: SimulatedExtension, task: Task, stamp: Stamp, tries_left: int) -> str:
    source = task.plan.source
    if source is Source.UPLOAD and tries_left:
        return _upload(extension, task, stamp)
    if source in {Source.DATA, Source.UPLOAD}:
        return "data:image/png;base64," + b64encode(pictures.draw(stamp)).decode()
    return extension.host.url(stamp, source)


def _upload(extension: SimulatedExtension, task: Task, stamp: Stamp) -> str:
    """Upload the picture and return its URL. If the upload is rejected, reporting its URL will be rejected too. Raises OSError."""
    target = task.job["upload"]
    url = f"{target['url']}&position={stamp.position}"
    request = urllib.request.Request(url, pictures.draw(stamp), target["headers"], method=target["method"])
    base, location = target["url"].partition("?")[0], f"{task.attempt}/{stamp.position}"
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            image_url: str = json.load(answer)["imageUrl"]
        extension.records.uploaded.append(Uploaded(task.job["requestId"], task.attempt, stamp.position))
        return image_url
    except urllib.error.HTTPError as refusal:
        with refusal:
            if refusal.code >= 500:
                raise OSError(refusal.code) from None
            return f"{base}/{location}"
