"""The links in their order, and which of them each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from imagefleet.doctor import network, server
from imagefleet.doctor.findings import Broken, Finding, NotChecked
from imagefleet.doctor.probe import Probe
from imagefleet.errors import ImagefleetError

if TYPE_CHECKING:
    from imagefleet.models import Status


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to examine. `picture_s` is how long a test picture may take, None for no picture."""

    address: str
    key: str | None = None
    user_id: str | None = None
    picture_s: float | None = 120.0


@dataclass(frozen=True, slots=True)
class Link:
    """A link: its number is its position. It is examined if those that it `needs` are well.

    Those of `unless_broken` may also be unknown.
    """

    name: str
    check: Callable[[], str]
    needs: tuple[str, ...] = ()
    unless_broken: tuple[str, ...] = ()


def examined(wanted: Wanted, progress: Callable[[Status], object]) -> Iterator[Finding]:
    """What is found out about each link, as soon as it is."""
    with Probe(wanted.address, wanted.key) as probe:
        found: dict[str, Finding] = {}
        for number, link in enumerate(_links(probe, wanted, progress), 1):
            found[link.name] = _finding(number, link, found)
            yield found[link.name]


def _links(probe: Probe, wanted: Wanted, progress: Callable[[Status], object]) -> tuple[Link, ...]:
    def part(name: str) -> Link:
        return Link(name, partial(server.check_part, probe, name), ("version",))

    return (
        Link("address", partial(network.check_address, wanted.address)),
        Link("tls", partial(network.check_tls, wanted.address, partial(_answers, probe)), ("address",)),
        Link("clock", partial(server.check_clock, probe), ("tls",)),
        Link("version", partial(server.check_version, probe), ("tls",)),
        Link("key", partial(server.check_key, probe), ("version",)),
        Link("limits", partial(server.check_limits, probe), ("key",)),
        part("database"),
        part("redis"),
        part("workers"),
        part("beat"),
        part("storage"),
        part("extensions"),
        part("webhooks"),
        Link(
            "picture",
            partial(_picture, wanted, progress),
            ("key", "limits"),
            ("database", "redis", "workers", "storage", "extensions"),
        ),
    )


def _finding(number: int, link: Link, found: dict[str, Finding]) -> Finding:
    missing = [name for name in link.needs if not found[name].ok]
    missing += [name for name in link.unless_broken if found[name].is_broken]
    if missing:
        return Finding(number, link.name, f"since it needs {missing[0]}", ok=False, checked=False)
    try:
        return Finding(number, link.name, link.check())
    except NotChecked as why:
        return Finding(number, link.name, str(why), ok=False, checked=False)
    except Broken as problem:
        return Finding(number, link.name, problem.detail, ok=False, code=problem.code, remedy=problem.remedy)


def _answers(probe: Probe) -> bool:
    try:
        probe.get("/health")
    except ImagefleetError:
        return False
    return True


def _picture(wanted: Wanted, progress: Callable[[Status], object]) -> str:
    if wanted.picture_s is None:
        raise NotChecked("since --no-picture was given")
    from imagefleet.doctor.picture import check_picture  # noqa: PLC0415 - not all need it

    return check_picture(wanted.address, wanted.key, wanted.user_id, wanted.picture_s, progress)
