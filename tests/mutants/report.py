"""The report of a run: how many changes were noticed, and which were not."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.work_item import TestOutcome, WorkItem, WorkResult

EQUIVALENT = Path(__file__).parent / "equivalent.toml"
WANTED = 0.95


@dataclass(frozen=True)
class Change:
    """A changed line as `equivalent.toml` names it, its current position, and whether a test noticed it."""

    file: str
    line: str
    becomes: str
    number: int
    noticed: bool

    @property
    def name(self) -> tuple[str, str, str]:
        """A name that does not change when lines move."""
        return self.file, self.line, self.becomes


def changes(results: Iterable[tuple[WorkItem, WorkResult]]) -> list[Change]:
    """The tested changes in the order of the files."""
    return sorted((_change(item, result) for item, result in results), key=lambda each: (each.file, each.number))


def known_equivalents() -> dict[tuple[str, str, str], str]:
    """The changes that no test can notice, each with its reason."""
    listed = tomllib.loads(EQUIVALENT.read_text()).get("mutant", [])
    return {(each["file"], each["line"], each["becomes"]): each["reason"] for each in listed}


def show(tried: list[Change], equivalents: dict[tuple[str, str, str], str]) -> bool:
    """Print the figures and the unnoticed changes; True if enough were noticed."""
    unnoticed = [each for each in tried if not each.noticed]
    missed = [each for each in unnoticed if each.name not in equivalents]
    for each in missed:
        print(f"\n{each.file}:{each.number}\n  - {each.line}\n  + {each.becomes}")
    counted = len(tried) - (len(unnoticed) - len(missed))
    share = (counted - len(missed)) / counted if counted else 1.0
    print(f"\n{len(tried)} changes tried, {len(unnoticed) - len(missed)} of them equivalent by {EQUIVALENT.name}.")
    print(f"{counted - len(missed)} of {counted} noticed: {share:.1%}; {WANTED:.0%} are wanted.")
    return share >= WANTED


def _change(item: WorkItem, result: WorkResult) -> Change:
    spec = item.mutations[0]
    diff = [line for line in (result.diff or "").splitlines() if not line.startswith(("---", "+++"))]
    removed, added = (" ".join(line[1:].strip() for line in diff if line.startswith(sign)) for sign in "-+")
    return Change(str(spec.module_path), removed, added, spec.start_pos[0], is_noticed(result))


def is_noticed(result: WorkResult) -> bool:
    """True if a test failed."""
    return result.test_outcome is TestOutcome.KILLED
