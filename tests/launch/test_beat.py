"""Beat, as the Procfile starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import redis

from tests.support.processes import ends_within
from tests.support.redis import running_redis
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


def test_beat_stops_on_a_signal_while_it_waits_for_redis(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("celery")), "-A", "celery_config", "--quiet", "beat"]
    with running_redis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.client_pause(60_000, all=False)
        beat = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "REDIS_URL": server.url}, stdin=subprocess.DEVNULL
        )
        try:
            until(lambda: client.info("clients")["blocked_clients"] > 0, 60, "beat to wait for an answer")
            beat.terminate()
            assert ends_within(beat, 20)
        finally:
            beat.kill()
            beat.wait()
    assert beat.returncode == 0
