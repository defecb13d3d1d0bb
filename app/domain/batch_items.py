"""The items of a batch: their fields are validated by what validates those of a single request, their errors collected."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.domain import other_names, styles
from app.domain.batches import ERRORS_LISTED, BatchItem, ItemError
from app.domain.errors import InvalidBatch, InvalidPrompt, InvalidRequest, Refusal
from app.domain.image_request import FORBIDDEN, clean_keep, clean_model, clean_parameters, clean_priority, clean_prompt
from app.domain.json_text import printable

CUSTOM_ID_CHARS = 128
# What the parameters of all items together may contain. Without a bound, 20 MiB of empty lists would be 400 MB of memory and seconds of
# computing.
MOST_VALUES = 500_000
_LINE_BREAK = re.compile("[\t\n\r\u2028\u2029]")


def clean_custom_id(value: object) -> str:
    """The client's own id of an item: 1 to 128 visible characters and blanks between them. Raises InvalidRequest."""
    if not isinstance(value, str) or not 1 <= len(value) <= CUSTOM_ID_CHARS:
        raise InvalidRequest(f"customId must be a string of 1 to {CUSTOM_ID_CHARS} characters.")
    if FORBIDDEN.search(value) or _LINE_BREAK.search(value):
        raise InvalidRequest("customId contains a line break, a control character or a lone surrogate: remove it.")
    if value != value.strip():
        raise InvalidRequest("customId begins or ends with a blank: remove it.")
    return value


_CHECKS: Mapping[str, tuple[str, Callable[[object], Any]]] = {
    "customId": ("custom_id", clean_custom_id),
    "prompt": ("prompt", clean_prompt),
    "model": ("model", clean_model),
    "parameters": ("parameters", clean_parameters),
    "variables": ("variables", styles.clean_variables),
    "priority": ("priority", clean_priority),
    "keep": ("keep_days", clean_keep),
}
FIELDS = tuple(_CHECKS)
_OF_BATCHES = {
    "inputImages": "Items of batches cannot be made from input pictures.",
    **dict.fromkeys(("style", "cache", "deadlineMs"), "It belongs into defaults, for all items."),
    "webhook": "It belongs beside items: that of a batch is told of its items too.",
}


class ItemCollector:
    """Takes up to `most` items as they are read: valid ones into `items`, the first errors of others into `errors`.

    `rejected` counts the others. An item is rejected for all its fields that are wrong. `unit` is what is counted where an
    item stands: lines of a text, or items.
    """

    def __init__(self, most: int, unit: str = "line") -> None:
        self.items: list[BatchItem] = []
        self.errors: list[ItemError] = []
        self.rejected = 0
        self._most = most
        self._unit = unit
        self._values_left = MOST_VALUES
        self._line_of: dict[str, int] = {}  # by custom id

    @property
    def total(self) -> int:
        """How many items were read."""
        return len(self.items) + self.rejected

    def add(self, line: int, fields: object) -> None:
        """Take an item that was read at `line`. Raises InvalidBatch if there are too many."""
        self._count()
        if not isinstance(fields, Mapping):
            self._reject(line, None, [(None, 'The item must be a JSON object, such as {"prompt": "a red fox"}.')])
            return
        self._count_values(fields.get("parameters"))
        values, wrong = _cleaned(fields)
        custom_id = values.get("custom_id")
        if custom_id is not None:
            wrong += self._repeated(custom_id, line)
        if wrong:
            self._reject(line, custom_id, wrong)
            return
        self.items.append(BatchItem(line=line, **values))

    def reject(self, line: int, reason: str) -> None:
        """Count an item that cannot be read. Raises InvalidBatch if there are too many."""
        self._count()
        self._reject(line, None, [(None, reason)])

    def _count(self) -> None:
        if self.total >= self._most:
            raise InvalidBatch(
                f"The batch has more than {self._most:,} items: send it as several batches.", self.errors
            )

    def _reject(self, line: int, custom_id: str | None, wrong: list[tuple[str | None, str]]) -> None:
        self.rejected += 1
        room = ERRORS_LISTED - len(self.errors)
        self.errors += [ItemError(line, custom_id, field, reason) for field, reason in wrong[:room]]

    def _repeated(self, custom_id: str, line: int) -> list[tuple[str | None, str]]:
        first = self._line_of.setdefault(custom_id, line)
        if first == line:
            return []
        return [("customId", f"customId is used twice, in {self._unit} {first:,} and in {self._unit} {line:,}.")]

    def _count_values(self, parameters: object) -> None:
        """Count what is nested in parameters, before they are validated value by value."""
        nested = _containers(parameters.values()) if isinstance(parameters, dict) else []
        while nested:
            value = nested.pop()
            inner = value.values() if isinstance(value, dict) else value
            self._values_left -= len(inner)
            if self._values_left < 0:
                raise InvalidBatch(
                    f"The parameters of all items together contain more than {MOST_VALUES:,} nested values."
                )
            nested += _containers(inner)


def _cleaned(fields: Mapping[str, object]) -> tuple[dict[str, Any], list[tuple[str | None, str]]]:
    """The valid fields by their names in Python, and the others with what is wrong with them. Null counts as absent."""
    values: dict[str, Any] = {}
    wrong: list[tuple[str | None, str]] = []
    for name, value in fields.items():
        if value is None:
            continue
        try:
            attribute, check = _CHECKS[name]
            values[attribute] = check(value)
        except KeyError:
            hint = _OF_BATCHES.get(name) or other_names.hint(name)
            wrong.append((printable(name), f"The item contains an unknown field: {printable(name)}. {hint}"))
        except Refusal as refusal:
            wrong.append((_named_in(refusal.detail, name), refusal.detail))
    if fields.get("prompt") is None:
        wrong.insert(
            0, ("prompt", InvalidPrompt("prompt is missing: it must be a string that describes the image.").detail)
        )
    return values, wrong


def _named_in(sentence: str, field: str) -> str:
    """The field that the sentence begins with, such as `parameters.width`, if it is a part of `field`."""
    first = sentence.partition(" ")[0]
    return first if first.startswith(f"{field}.") else field


def _containers(values: Iterable[object]) -> list[dict[str, Any] | list[Any]]:
    return [each for each in values if isinstance(each, dict | list)]
