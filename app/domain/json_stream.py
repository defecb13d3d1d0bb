"""One JSON object, read value by value from pieces of its text, so that it is never in memory as a whole."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from app.domain import json_text
from app.domain.errors import InvalidJson, InvalidRequest
from app.domain.json_text import RepeatedName

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER_GOES_ON = frozenset(".eE")


class JsonStream:
    """Reads the object's members in order. Take the value of each, with `value` or `elements`, before the next one.

    No value, and no element of a list that is read by `elements`, may have more than `most` characters.
    Every method raises InvalidJson; `members` and `elements` also InvalidRequest, for values of another type.
    """

    def __init__(self, pieces: Iterable[str], most: int) -> None:
        self._pieces = iter(pieces)
        self._most = most
        self._text = ""
        self._at = 0
        self._line = 1  # of the beginning of `_text`
        self._failed_at = 0  # where the text is no JSON, or goes on in the next piece
        self._member = ""  # the name of the member that is read
        self._where = ""  # what is read, for messages

    def members(self) -> Iterator[str]:
        """The names of the object's members. Nothing may follow the object."""
        if self._next() != "{":
            raise InvalidRequest('The body must be a JSON object, such as {"items": [{"prompt": "a red fox"}]}.')
        seen: set[str] = set()
        for _ in self._separated("{", "}"):
            name = self._name()
            if name in seen:
                raise InvalidJson(f"The body contains a field twice: {json_text.printable(name)}.")
            seen.add(name)
            self._member = json_text.printable(name)
            self._where = f" in {self._member}"
            self._expect(":")
            yield name
            self._where = ""
        if self._next():
            raise self._invalid()

    def value(self) -> Any:
        """The value that comes next."""
        self._next()
        found = self._decoded()
        while found is None or self._may_go_on(found[1]):
            self._check_length(len(self._text))
            if not self._fill():
                break
            found = self._decoded()
        if found is None:
            raise self._invalid(self._failed_at)
        value, end = found
        self._check_length(end)
        self._at = end
        return value

    def elements(self) -> Iterator[Any]:
        """The elements of the list that comes next."""
        if self._next() != "[":
            raise InvalidRequest(f"{self._member} must be a list.")
        where = self._where
        for number in self._separated("[", "]"):
            self._where = f"{where}, item {number:,}"
            yield self.value()
        self._where = where

    def _separated(self, opening: str, closing: str) -> Iterator[int]:
        """Count from 1 what stands between the brackets, as the reader of each has taken it, separated by commas."""
        self._expect(opening)
        if self._next() == closing:
            self._at += 1
            return
        number = 0
        while True:
            number += 1
            yield number
            if self._next() != ",":
                break
            self._at += 1
        self._expect(closing)

    def _name(self) -> str:
        if self._next() != '"':
            raise self._invalid()
        name: str = self.value()
        return name

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise self._invalid()
        self._at += 1

    def _next(self) -> str:
        """The next character that is not blank, which is not taken; "" at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = self._at if blank is None else blank.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Append to what is left at least as much as that, so that small pieces do not cost more; False at the end."""
        left = self._text[self._at :]
        added, missing = [], len(left) + 1
        for piece in self._pieces:
            added.append(piece)
            missing -= len(piece)
            if missing <= 0:
                break
        if not added:
            return False
        self._line = self._line_at()
        self._text, self._at = left + "".join(added), 0
        return True

    def _line_at(self, position: int | None = None) -> int:
        return self._line + self._text.count("\n", 0, self._at if position is None else position)

    def _decoded(self) -> tuple[Any, int] | None:
        """The value that begins here, and where it ends; None if it is not all there, or is not JSON."""
        try:
            return json_text.decode_at(self._text, self._at)
        except json.JSONDecodeError as error:
            self._failed_at = error.pos
            return None
        except RepeatedName as repeated:
            raise InvalidJson(f"The body contains a field twice{self._where}: {repeated.name}.") from None
        except RecursionError:
            raise InvalidJson(f"The body is nested too deeply{self._where} (line {self._line_at():,}).") from None
        except ValueError:
            raise self._invalid() from None

    def _may_go_on(self, end: int) -> bool:
        """True if what looks like the end of a value may be the middle of a number."""
        return end == len(self._text) or self._text[end] in _NUMBER_GOES_ON

    def _check_length(self, end: int) -> None:
        if end - self._at > self._most:
            raise InvalidJson(
                f"The body contains a value of more than {self._most:,} characters{self._where} (line {self._line_at():,}), "
                "or it is not valid JSON there."
            )

    def _invalid(self, position: int | None = None) -> InvalidJson:
        return InvalidJson(f"The body is not valid JSON{self._where} (line {self._line_at(position):,}).")
