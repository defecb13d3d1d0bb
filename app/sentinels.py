"""REDIS_URL for Redis Sentinel: it names the sentinels, which know the current master.

`redis+sentinel://sentinel-1:26379,sentinel-2:26379/mymaster`, with `user:password@` in front where it is needed. It
has no database number and no percent-encoded characters.
"""

import re
from dataclasses import dataclass
from typing import Self

SCHEME = "redis+sentinel"
_PLAIN = r"[A-Za-z0-9._~-]+"
_HOST = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}"
_FORM = re.compile(
    rf"{re.escape(SCHEME)}://(?:(?P<user>{_PLAIN})?:(?P<password>{_PLAIN})@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<master>{_PLAIN})"
)


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Hosts of the sentinels, the name of the master, and the credentials of all of them."""

    hosts: tuple[str, ...]
    master: str
    username: str | None
    password: str | None

    @classmethod
    def parse(cls, redis_url: str) -> Self | None:
        """None for a URL of another scheme. Raises ValueError for one that is malformed."""
        if not redis_url.startswith(f"{SCHEME}:"):
            return None
        form = _FORM.fullmatch(redis_url)
        if form is None:
            raise ValueError
        return cls(tuple(form["hosts"].split(",")), form["master"], form["user"], form["password"])

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The hosts as pairs of name and port."""
        pairs = (host.rpartition(":") for host in self.hosts)
        return [(name.strip("[]"), int(port)) for name, _, port in pairs]

    @property
    def credentials(self) -> dict[str, str]:
        """Those of user and password that are set."""
        found = {"username": self.username, "password": self.password}
        return {name: value for name, value in found.items() if value}

    @property
    def broker_url(self) -> str:
        """The same in Celery's form; Celery tries the next one where one does not answer."""
        shown = f"{self.username or ''}:{self.password}@" if self.password else ""
        return ";".join(f"sentinel://{shown}{host}/0" for host in self.hosts)
