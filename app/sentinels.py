"""REDIS_URL where it names no server, but those who know which server is the master: Redis Sentinel.

`redis+sentinel://sentinel-1:26379,sentinel-2:26379/mymaster`, with `user:password@` in front where they ask for one.
No number of a database is read, and no percent-encoded characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SCHEME = "redis+sentinel"
_PLAIN = r"[A-Za-z0-9._~-]+"
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}"
_FORM = re.compile(
    rf"{re.escape(SCHEME)}://(?:(?P<user>{_PLAIN})?:(?P<password>{_PLAIN})@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<master>{_PLAIN})"
)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Where to ask, for which master, and what is shown to them and to it."""

    hosts: tuple[str, ...]
    master: str
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, redis_url: str) -> Sentinels | None:
        """None for a URL that names a server. Raises ValueError for one that is neither."""
        if not redis_url.startswith(f"{SCHEME}:"):
            return None
        form = _FORM.fullmatch(redis_url)
        if form is None:
            raise ValueError
        return cls(tuple(form["hosts"].split(",")), form["master"], form["user"], form["password"])

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The hosts as names and ports."""
        pairs = (host.rpartition(":") for host in self.hosts)
        return [(name.strip("[]"), int(port)) for name, _, port in pairs]

    @property
    def credentials(self) -> dict[str, str]:
        """User and password, where there are any."""
        found = {"username": self.username, "password": self.password}
        return {name: value for name, value in found.items() if value}

    @property
    def broker_url(self) -> str:
        """The same in the words of Celery, which goes on to the next of them where one does not answer."""
        shown = f"{self.username or ''}:{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{shown}{host}/0" for host in self.hosts)
