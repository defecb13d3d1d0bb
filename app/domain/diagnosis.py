"""The links of the chain from a client to a stored picture, and what was found out about each of them.

`imagefleet doctor` has the same links with the same numbers; its exit status, and that of `python -m app.manage doctor`, is
`FIRST_STATUS` and the number of the first broken link.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

FIRST_STATUS = 20


class Link(StrEnum):
    """A link that the service can examine itself. Clients examine others too, which have the numbers that are missing here."""

    WEB = "web"
    CLOCK = "clock"
    VERSION = "version"
    DATABASE = "database"
    REDIS = "redis"
    WORKERS = "workers"
    BEAT = "beat"
    STORAGE = "storage"
    EXTENSIONS = "extensions"
    WEBHOOKS = "webhooks"

    @property
    def number(self) -> int:
        """Its number in the whole chain, from 1."""
        return _NUMBERS[self]


_NUMBERS = {
    Link.WEB: 1,
    Link.CLOCK: 3,
    Link.VERSION: 4,
    Link.DATABASE: 7,
    Link.REDIS: 8,
    Link.WORKERS: 9,
    Link.BEAT: 10,
    Link.STORAGE: 11,
    Link.EXTENSIONS: 12,
    Link.WEBHOOKS: 13,
}


class Broken(Exception):
    """A link is broken: a code for programs, what is wrong, and what an operator can do about it."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a link. One that was not `checked` depends on a broken one; `code` and `remedy` are of a broken one."""

    link: Link
    detail: str
    ok: bool = True
    checked: bool = True
    code: str | None = None
    remedy: str | None = None

    @classmethod
    def broken(cls, link: Link, problem: Broken) -> "Finding":
        return cls(link, problem.detail, ok=False, code=problem.code, remedy=problem.remedy)

    @classmethod
    def not_checked(cls, link: Link, needed: Link) -> "Finding":
        return cls(link, f"not checked, since it needs {needed.value}", ok=False, checked=False)

    @property
    def is_broken(self) -> bool:
        """It was checked, and does not work."""
        return self.checked and not self.ok


def exit_status(findings: Iterable[Finding]) -> int:
    """0 if no link is broken."""
    broken = [each.link.number for each in findings if each.is_broken]
    return FIRST_STATUS + min(broken) if broken else 0
