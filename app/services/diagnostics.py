"""Which links of the chain to a stored picture work, each examined on its own and in bounded time."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from app.config import Settings
from app.db.engine import Database
from app.domain.diagnosis import Broken, Finding, Link
from app.domain.errors import Unavailable
from app.services import link_checks
from app.services.ports import Bus, Store, Tasks
from app.services.shared_checks import SharedCheck, run_together
from app.version import VERSION

CHECK_EVERY_S = 1.0
WITHIN_S = 5.0  # for each link; they are examined at the same time


@dataclass(frozen=True, slots=True)
class Check:
    """How a link is examined, and the links without which that says nothing."""

    link: Link
    run: Callable[[], str]
    needs: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """What is examined. `store` and `web` are called in time limits of their own; they and all others may raise Broken."""

    settings: Settings
    database: Callable[[], Database]
    tasks: Tasks
    bus: Bus
    store: Callable[[], Store]
    web: Callable[[], str] = lambda: "this web process answers"


class Diagnostics:
    """Examines at most once per `check_every_s`: it writes to the database and the storage."""

    def __init__(self, parts: Parts, check_every_s: float = CHECK_EVERY_S, within_s: float = WITHIN_S) -> None:
        self._parts = parts
        self._within_s = within_s
        self._shared = SharedCheck(self._examine, check_every_s)

    def findings(self) -> list[Finding]:
        """What was found out about each link, in the order of the chain."""
        return self._shared.result()

    def _examine(self) -> list[Finding]:
        checks = self._checks()
        answers = run_together({each.link: each.run for each in checks}, self._within_s)
        findings: dict[Link, Finding] = {}
        for check in checks:  # what a link needs comes before it
            missing = [need for need in check.needs if not findings[need].ok]
            answer = answers[check.link]
            findings[check.link] = (
                Finding.not_checked(check.link, missing[0]) if missing else _finding(check.link, answer)
            )
        return sorted(findings.values(), key=lambda each: each.link.number)

    def _checks(self) -> list[Check]:
        parts, settings = self._parts, self._parts.settings
        database = (Link.DATABASE,)
        return [
            Check(Link.WEB, parts.web),
            Check(Link.VERSION, lambda: f"{VERSION}, Python {platform.python_version()}"),
            Check(Link.DATABASE, lambda: link_checks.check_database(parts.database())),
            Check(Link.CLOCK, lambda: link_checks.check_clock(parts.database()), database),
            Check(Link.REDIS, partial(link_checks.check_redis, parts.bus)),
            Check(Link.WORKERS, partial(link_checks.check_workers, parts.tasks), (Link.REDIS,)),
            Check(
                Link.BEAT,
                lambda: link_checks.check_beat(parts.database(), settings.sweep_interval_ms),
                (Link.DATABASE, Link.REDIS, Link.WORKERS),
            ),
            Check(Link.STORAGE, lambda: link_checks.check_storage(parts.store(), settings.min_free_disk_bytes)),
            Check(
                Link.EXTENSIONS,
                lambda: link_checks.check_extensions(parts.database(), settings.hub_timeout_ms),
                database,
            ),
            Check(Link.WEBHOOKS, lambda: link_checks.check_webhooks(parts.database()), database),
        ]


def _finding(link: Link, answer: str | Exception) -> Finding:
    if isinstance(answer, str):
        return Finding(link, answer)
    if isinstance(answer, Broken):
        return Finding.broken(link, answer)
    if isinstance(answer, TimeoutError):
        remedy = "It hangs: look whether it, or the network to it, is overloaded or frozen, and restart it."
        return Finding.broken(link, Broken("NO_ANSWER", str(answer), remedy))
    detail = str(answer).rstrip(".") if isinstance(answer, Unavailable) else f"it fails with {type(answer).__name__}"
    return Finding.broken(link, Broken("CHECK_FAILED", detail, "Look at the service's log."))
