"""Which queues of tasks have a worker: each worker renews a key in Redis for every queue that it takes tasks from."""

from collections.abc import Iterable

import redis

KEY_PREFIX = "imagefleet:worker:"
KEPT_MS = 10_000  # Celery's workers send a heartbeat every 2 s


def beat(client: redis.Redis, queues: Iterable[str], worker: str) -> None:
    """The worker of this name is alive, and takes tasks from these queues. Raises RedisError."""
    with client.pipeline(transaction=False) as commands:
        for queue in queues:
            commands.set(KEY_PREFIX + queue, worker, px=KEPT_MS)
        commands.execute()


def workers_of(client: redis.Redis, queues: Iterable[str]) -> dict[str, str | None]:
    """For each queue a worker that has been alive within the last `KEPT_MS`; None if there is none. Raises RedisError."""
    names = list(queues)
    found = client.mget([KEY_PREFIX + name for name in names])
    return {name: None if worker is None else str(worker) for name, worker in zip(names, found, strict=True)}
