"""A test picture, from its submission to bytes on this machine."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from imagefleet.client import Client
from imagefleet.doctor.findings import Broken
from imagefleet.errors import ImagefleetError, TimedOut
from imagefleet.models import COMPLETED, ImageRequest, Status

PROMPT = "A test picture for imagefleet doctor: a lighthouse at dawn"
SIZE_PX = 256
GRACE_S = 30.0  # the deadline of the request comes after our own time-out, which says more
LOOK = "Look at its requests with `imagefleet list`, and at the server's log."


def check_picture(
    address: str, key: str | None, user_id: str | None, timeout_s: float, progress: Callable[[Status], object]
) -> str:
    """Submit a request, wait until it is completed, and save its picture. What is left of it is removed in the end."""
    started = time.monotonic()
    with Client(address, key=key, patience_s=5.0) as client:
        request_id = _submitted(client, user_id, timeout_s)
        result = _waited_for(client, request_id, timeout_s, progress)
        size = _downloaded(client, result)
        with contextlib.suppress(ImagefleetError):  # retention removes it later
            client.remove_pictures(request_id)
    model = result.metadata.model or "any model"
    return f"{size:,} bytes, made with {model} in {time.monotonic() - started:.1f} s"


def _submitted(client: Client, user_id: str | None, timeout_s: float) -> str:
    try:
        return client.submit(
            PROMPT, width=SIZE_PX, height=SIZE_PX, user_id=user_id, deadline_ms=round((timeout_s + GRACE_S) * 1000)
        ).request_id
    except ImagefleetError as error:
        raise Broken(error.code or "NOT_SUBMITTED", f"it was not accepted: {error.detail}", LOOK) from None


def _waited_for(
    client: Client, request_id: str, timeout_s: float, progress: Callable[[Status], object]
) -> ImageRequest:
    seen: list[Status] = []

    def note(status: Status) -> None:
        seen[:] = [status]
        progress(status)

    try:
        result = client.wait(request_id, progress=note, timeout_s=timeout_s)
    except KeyboardInterrupt:
        _cancel(client, request_id)
        raise
    except TimedOut:
        _cancel(client, request_id)
        raise _stuck(seen[-1] if seen else None, timeout_s) from None
    except ImagefleetError as error:
        step = f"while it was {seen[-1].status}" if seen else "before its status was known"
        raise Broken(error.code or "NO_ANSWER", f"the server was lost {step}: {error.detail}", LOOK) from None
    if result.status != COMPLETED:
        why = " ".join(filter(None, (result.error, result.reason))) or result.status
        raise Broken(result.code or "ERR_GENERATION_FAILED", f"it {result.status}: {why}", _advice(result))
    return result


def _cancel(client: Client, request_id: str) -> None:
    """If that fails, its deadline ends it soon."""
    with contextlib.suppress(ImagefleetError):
        client.cancel(request_id)


def _stuck(last: Status | None, timeout_s: float) -> Broken:
    """At which step it is after that time, and why."""
    if last is None:
        return Broken("NO_STATUS", f"its status was not known within {timeout_s:g} s", LOOK)
    if last.queue is not None:
        code = last.queue.reason_code or "WAITS"
        detail = f"after {timeout_s:g} s it still waited for an extension: {last.queue.reason}"
        return Broken(code, detail, last.queue.remedy or LOOK)
    message = f" ({last.message})" if last.message else ""
    detail = f"after {timeout_s:g} s it was still {last.status}, at {last.progress} %{message}"
    remedy = {
        "accepted": "Look at the worker for hand-offs: an extension is free, and it was not assigned.",
        "processing": "Look at the extension that makes it (`imagefleet fleet`), or wait longer with --timeout.",
        "downloading": "Look at the worker for downloads, and at the storage.",
    }
    return Broken("TOO_SLOW", detail, remedy.get(last.status, LOOK))


def _advice(result: ImageRequest) -> str:
    if result.code == "ERR_DOWNLOAD_FAILED":
        return "Look at what the extension delivers, and at the storage and the scanner of the server."
    if result.code == "ERR_TIMEOUT":
        return "Look at the extension that made it (`imagefleet fleet`), or wait longer with --timeout."
    return "Look at the extension that made it (`imagefleet fleet`) and at its generator."


def _downloaded(client: Client, result: ImageRequest) -> int:
    if not result.images:
        raise Broken("NO_PICTURE", "it is completed without a picture", LOOK)
    with tempfile.TemporaryDirectory(prefix="imagefleet-doctor-") as folder:
        try:
            return client.download(result.images[0], Path(folder) / "test.png").stat().st_size
        except ImagefleetError as error:
            remedy = "Look at the storage of the server, or at the CDN or the proxy in front of it."
            raise Broken(error.code or "NOT_DOWNLOADED", f"it cannot be downloaded: {error.detail}", remedy) from None
        except OSError as error:
            detail = f"this machine cannot save it ({error.strerror or error})"
            raise Broken("NOT_SAVED", detail, "Free space for temporary files (TMPDIR).") from None
