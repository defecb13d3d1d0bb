"""Fields of an item as columns of a table, or in the query of a URL: `param.width` and `var.light` are nested ones."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain import json_text, other_names
from app.domain.batch_items import FIELDS
from app.domain.errors import InvalidBatch
from app.domain.json_text import printable

PARAMETER, VARIABLE = "param.", "var."
_NESTED = {PARAMETER: "parameters", VARIABLE: "variables"}
_PLAIN = tuple(name for name in FIELDS if name not in _NESTED.values())
NUMBERS = frozenset({"keep"})  # fields that are numbers
# Parameters that are text, whatever they look like.
_TEXTS = frozenset({"quality", "style", "negativePrompt"})
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool] = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Column:
    """Where a column's values belong: into the field `name`, or into the member `name` of the field `parent`."""

    name: str
    parent: str | None = None

    @property
    def value_of(self) -> Callable[[str], Any]:
        """What makes a value of a cell's text."""
        if self.parent is None:
            return parameter if self.name in NUMBERS else str
        return parameter if self.parent == _NESTED[PARAMETER] and self.name not in _TEXTS else str


def nested(name: str) -> Column | None:
    """The column of a member of `parameters` or `variables`; None if the name is not that of one."""
    for prefix, parent in _NESTED.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return Column(name[len(prefix) :], parent)
    return None


def parameter(text: str) -> Any:
    """The value of a parameter: a number or true or false if it is written as JSON writes them, or else the text."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return json_text.decode(text)
    except ValueError:  # too large
        return text


def columns(header: Sequence[str]) -> list[Column]:
    """The columns that a header names. Raises InvalidBatch."""
    names = [name.strip() for name in header]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InvalidBatch(f"The header names a column twice: {_listed(repeated)}.")
    found = {name: _column(name) for name in names}
    unknown = [name for name, column in found.items() if column is None]
    if unknown:
        raise InvalidBatch(f"The header names unknown columns: {_listed(unknown)}. {_remedy(unknown[0])}")
    if "prompt" not in names:
        raise InvalidBatch("The header names no column prompt, which every item needs.")
    return [column for column in found.values() if column is not None]


def item(header: Sequence[Column], cells: Sequence[str]) -> dict[str, Any]:
    """The item in a row; an empty cell counts as absent."""
    return fields(zip(header, cells, strict=True))


def fields(cells: Iterable[tuple[Column, str]]) -> dict[str, Any]:
    """The fields that columns with these texts make."""
    made: dict[str, Any] = {}
    for column, text in cells:
        if text:
            into = made if column.parent is None else made.setdefault(column.parent, {})
            into[column.name] = column.value_of(text)
    return made


def hint(name: str) -> str:
    """Where a field that other services call `name` belongs; empty if none do."""
    return other_names.hint(name).replace("parameters.", PARAMETER) if name in other_names.OTHER_NAMES else ""


def _column(name: str) -> Column | None:
    return Column(name) if name in _PLAIN else nested(name)


def _remedy(name: str) -> str:
    for separator, called in ((";", "semicolons"), ("\t", "tabs")):
        if separator in name:
            return f"Columns are separated by commas, not by {called}."
    if name.lower() in (close := {each.lower(): each for each in _PLAIN}):
        return f"Write {close[name.lower()]}."
    return hint(name) or f"There are {', '.join(_PLAIN)}, param.NAME and var.NAME."


def _listed(names: list[str]) -> str:
    more = len(names) - 10
    return ", ".join(printable(name) or "one without a name" for name in names[:10]) + (
        f" and {more} more" if more > 0 else ""
    )
