"""A request that is posted to one web host and processed at another: its events and picture reach the first host."""

from __future__ import annotations

import json
import queue
import threading
import time
import urllib.request
from dataclasses import dataclass

from tests.chaos import pictures
from tests.chaos.pictures import Stamp
from tests.hosts.cluster import Cluster
from tests.support.extension import Extension
from tests.support.service import call

MODEL = "cross-host"  # only the extension of this request supports it
FIRST = 9_000  # beyond the numbers of the other requests
EXTENSION = 90
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class CrossHostTimes:
    """Latencies in ms: from the POST to the extension's socket, and from its report to the client's stream."""

    posted_at: str
    made_at: str
    handover_ms: float
    progress_ms: float


def cross_host(cluster: Cluster, posted_at: str, made_at: str, nth: int) -> CrossHostTimes:
    """Process one request across hosts. Raises AssertionError if any message does not arrive."""
    name = f"extension-{EXTENSION + nth}"
    with Extension(cluster.socket(made_at), name, MODEL) as extension:
        began = time.monotonic()
        answer = call(
            "POST",
            f"{cluster.url(posted_at)}/api/images/generate",
            {"prompt": f"cross-host {FIRST + nth}", "model": MODEL},
        )
        assert answer.status == 200, answer.content
        request_id = answer.json["requestId"]
        job = extension.next_job(WAIT_S)
        handover_s = time.monotonic() - began
        received = _follow(f"{cluster.url(posted_at)}/api/images/{request_id}/events")
        _until(received, "processing", 0)
        began = time.monotonic()
        extension.progress(job, 50)
        _until(received, "processing", 50)
        progress_s = time.monotonic() - began
        picture = pictures.draw(Stamp(FIRST + nth, EXTENSION + nth, 1, 0))
        extension.done(job, extension.upload(job, picture)["imageUrl"])
        _until(received, "completed", 100)
        extension.receive("image_generation_confirmed", timeout_s=WAIT_S)
    path = call("GET", f"{cluster.url(posted_at)}/api/images/{request_id}").json["imagePath"]
    assert pictures.read(call("GET", cluster.url(posted_at) + path).content) == pictures.read(picture)
    return CrossHostTimes(posted_at, made_at, 1000 * handover_s, 1000 * progress_s)


def _until(received: queue.Queue[dict], status: str, progress: int) -> None:
    """Read the stream until it reports this status and progress."""
    seen = []
    while True:
        try:
            seen.append(received.get(timeout=WAIT_S))
        except queue.Empty:
            raise AssertionError(f"the stream never reported {status}, {progress} %, but {seen}") from None
        if seen[-1]["status"] == status and seen[-1].get("progress", progress) >= progress:
            return


def _follow(url: str) -> queue.Queue[dict]:
    """The messages of a stream, as they arrive."""
    received: queue.Queue[dict] = queue.Queue()

    def read() -> None:
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    received.put(json.loads(line[6:]))

    threading.Thread(target=read, name="stream-reader", daemon=True).start()
    return received
