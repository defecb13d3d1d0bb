"""Image hosts that accept connections and never answer delay no other extension's pictures."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.pictures import plain
from tests.support.redis import running_redis
from tests.support.service import running_service
from tests.support.serving import serving
from tests.support.waiting import until

STALLING = 200
PER_EXTENSION = 4
SETTINGS: dict[str, Any] = {
    "IMAGE_SOURCE_ALLOWLIST": "127.0.0.1",
    "DOWNLOAD_TIMEOUT_MS": "300000",  # no stalling download ends before the test does
    "DOWNLOADS_PER_EXTENSION": str(PER_EXTENSION),
}


@contextmanager
def stalling_host() -> Iterator[tuple[str, list[socket.socket]]]:
    """A host that never answers; yields a URL and the connections so far, which break at the end of the block."""
    connections: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", 0), backlog=STALLING)

    def accept() -> None:
        while True:
            try:
                connections.append(server.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.png", connections
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for connection in connections:
            connection.close()


def test_another_extensions_picture_is_stored_while_two_hundred_stall(
    tmp_path: Path, migrated_sqlite_file: Path
) -> None:
    database = f"sqlite:///{shutil.copyfile(migrated_sqlite_file, tmp_path / 'imagefleet.db')}"
    with (
        tempfile.TemporaryDirectory(prefix="imagefleet-redis-") as own,
        running_redis(Path(own)) as redis,
        running_service(tmp_path, database, redis.url, webs=1, **SETTINGS) as service,
        serving(plain()) as picture_url,
        stalling_host() as (stalling_url, connections),
        service.extension("slow", "slow", metadata={"maxConcurrent": 20}) as slow,
        service.extension("other", "other") as other,
    ):
        stalling = [service.submit(model="slow") for _ in range(STALLING)]
        for _ in stalling:
            slow.done(slow.next_job(60), stalling_url)
        until(lambda: service.status(stalling[-1])["status"] == "downloading", 60, "the last report to arrive")
        until(lambda: len(connections) == PER_EXTENSION, 60, "the first downloads to stall")
        for _ in range(3):
            request_id = service.submit(model="other")
            other.done(other.next_job(), picture_url)
            assert service.final(request_id)["status"] == "completed"
        assert {service.status(each)["status"] for each in stalling} == {"downloading"}
        assert len(connections) == PER_EXTENSION
