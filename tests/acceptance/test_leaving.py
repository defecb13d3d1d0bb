"""A web process that is stopped ends streams, long polls and sockets at once."""

from __future__ import annotations

import shutil
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.service import running_service


def test_streams_long_polls_and_sockets_end_with_their_process(
    tmp_path: Path, migrated_sqlite_file: Path, redis_url: str
) -> None:
    database = shutil.copyfile(migrated_sqlite_file, tmp_path / "imagefleet.db")
    with (
        running_service(tmp_path, f"sqlite:///{database}", redis_url, webs=2, workers=0) as service,
        ThreadPoolExecutor(2) as pool,
    ):
        request_id = service.submit(model="unserved")
        stream = urllib.request.urlopen(service.url(f"/api/images/{request_id}/events"), timeout=60)
        assert stream.readline() == b"retry: 2000\n"
        events = pool.submit(stream.read)
        long_poll = pool.submit(service.get, f"/api/images/{request_id}/status?wait=60")
        with service.extension("leaving", "something-else") as extension:
            time.sleep(0.5)  # until the server is certainly holding the long poll
            assert service.stop("web0", timeout_s=15) == 0  # sooner than graceful_timeout, 20 s
            assert extension.closed() == 1001
        assert b"ImageGenerationRequestedEvent" in events.result(5)
        assert long_poll.result(5).json["status"] == "accepted"
        assert service.status(request_id, web=1)["status"] == "accepted"
