"""Long polling: an answer waits until there is news of a request or a batch, and polls nothing meanwhile."""

import time
from collections.abc import Callable

from app.services.credential_status import CredentialStatus
from app.services.watching import Watching

ReadVersion = Callable[[], int | None]


def await_news(
    watching: Watching,
    watched_id: str,
    read: ReadVersion,
    wait_s: float,
    since: int | None,
    credential: CredentialStatus,
) -> None:
    """Wait until there is a version newer than `since` (by default: than the current one), or `wait_s` seconds are over.

    `read` returns the current version, None if no newer one will come; it may raise NotFound. Raises Unauthorized if the
    credential is revoked or expires meanwhile.
    """
    if wait_s <= 0:
        return
    ends = time.monotonic() + wait_s
    with watching.watch(watched_id) as watch:
        version = read()
        if version is None:
            return
        known = version if since is None else since
        if version <= known:
            watch.skip_to(known)
            credential.wait(watch, ends - time.monotonic())
