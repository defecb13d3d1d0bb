"""Converts between the API's JSON (camelCase) and the names in Python (snake_case)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from imagefleet.errors import BadAnswer


def camel(name: str) -> str:
    """The name on the wire: `request_id` is `requestId`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def timestamp(moment: datetime) -> str:
    """A time in the API's format: UTC, to the millisecond, with a Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def encode(body: Mapping[str, Any]) -> str:
    """Compact JSON in ASCII, because a prompt may contain lone surrogates, which UTF-8 cannot encode."""
    return json.dumps(body, separators=(",", ":"))


def decode(text: str | bytes) -> Fields:
    """A JSON object. Raises BadAnswer."""
    try:
        return Fields(json.loads(text))
    except (ValueError, RecursionError):
        raise BadAnswer("The server sent something that is not JSON.") from None


class Fields:
    """Reads the fields of one object by their Python names. Raises BadAnswer, which names the JSON field."""

    def __init__(self, body: object, where: str = "answer") -> None:
        if not isinstance(body, Mapping):
            raise BadAnswer(f"The server sent something unexpected: {where} must be an object.")
        self.body: Mapping[str, Any] = body
        self._where = where

    def text(self, name: str) -> str:
        """A required string."""
        value = self.optional_text(name)
        if value is None:
            raise self.refusal(name, "a string")
        return value

    def optional_text(self, name: str) -> str | None:
        """An optional string."""
        value = self.body.get(camel(name))
        if value is not None and not isinstance(value, str):
            raise self.refusal(name, "a string")
        return value

    def whole(self, name: str) -> int | None:
        """An optional integer."""
        value = self.body.get(camel(name))
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.refusal(name, "a whole number")
        return value

    def name_or_number(self, name: str) -> int | str | None:
        """A string or an integer of any size; None for anything else, since others than the server chose it."""
        value = self.body.get(camel(name))
        return value if isinstance(value, int | str) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool | None:
        """An optional boolean."""
        value = self.body.get(camel(name))
        if value is not None and not isinstance(value, bool):
            raise self.refusal(name, "true or false")
        return value

    def time(self, name: str) -> datetime | None:
        """An optional time; without a zone it is UTC."""
        value = self.optional_text(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise self.refusal(name, "a time such as 2024-01-14T12:00:00.000Z") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def part(self, name: str) -> Fields | None:
        """An optional object."""
        value = self.body.get(camel(name))
        return None if value is None else Fields(value, f"{self._where}.{camel(name)}")

    def parts(self, name: str) -> tuple[Fields, ...]:
        """A list of objects; empty if the field is missing."""
        value = self.body.get(camel(name))
        if value is not None and not isinstance(value, list):
            raise self.refusal(name, "a list")
        return tuple(Fields(item, f"{self._where}.{camel(name)}[]") for item in value or ())

    def texts(self, name: str) -> tuple[str, ...] | None:
        """An optional list of strings."""
        value = self.body.get(camel(name))
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.refusal(name, "a list of strings")
        return tuple(value)

    def refusal(self, name: str, wanted: str) -> BadAnswer:
        """The error that a field is not what it must be."""
        return BadAnswer(f"The server sent something unexpected: {self._where}.{camel(name)} must be {wanted}.")
