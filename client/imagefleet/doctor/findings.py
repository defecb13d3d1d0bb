"""What is found out about a link of the chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

FIRST_EXIT = 20


class Broken(Exception):
    """The link is broken: what is wrong, what to do about it, and a code for programs."""

    def __init__(self, code: str, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.remedy = remedy


class NotChecked(Exception):
    """The link cannot be examined; the text says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out. `number` is from 1; a link that was not `checked` is neither well nor broken."""

    number: int
    name: str
    detail: str
    ok: bool = True
    checked: bool = True
    code: str | None = None
    remedy: str | None = None

    @property
    def is_broken(self) -> bool:
        """True if it was examined and does not work."""
        return self.checked and not self.ok

    @property
    def line(self) -> str:
        """All of it in one line for a person."""
        if self.ok:
            return f"ok    {self.name}: {self.detail}"
        if not self.checked:
            return f"-     {self.name}: not checked, {self.detail}"
        return f"FAIL  {self.name}: {self.detail.rstrip('.')}. {self.remedy or ''}".rstrip()

    @property
    def fields(self) -> dict[str, Any]:
        """All of it for programs, in the form of the server's diagnosis."""
        given = {"code": self.code, "remedy": self.remedy}
        return {
            "number": self.number,
            "name": self.name,
            "ok": self.ok,
            "checked": self.checked,
            "detail": self.detail,
            **{name: value for name, value in given.items() if value is not None},
        }


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if no link is broken, else 20 and the number of the first broken one."""
    broken = [each.number for each in findings if each.is_broken]
    return FIRST_EXIT + min(broken) if broken else 0
