"""One HTTP request of the API, and how its answer is read. Nothing here sends anything."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from imagefleet.errors import BadAnswer, InvalidRequest
from imagefleet.models.base import Answer, decoded, encoded

READ_S = 30.0
EVENTS_READ_S = 60.0
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 255

T = TypeVar("T")
A = TypeVar("A", bound=Answer)
Query = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """An HTTP request; `read` makes of the body of a successful response what the caller gets.

    `read_s` is how many seconds may pass without a byte of the response. `idempotent`: sending it twice has the same effect as
    once; None if its method and headers tell that. `answers` are statuses of 300 or more that are answers too.
    """

    method: str
    path: str
    query: Query = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    read: Callable[[bytes], T] = decoded
    read_s: float = READ_S
    idempotent: bool | None = None
    answers: frozenset[int] = frozenset()

    @property
    def is_idempotent(self) -> bool:
        """True if sending it twice has the same effect as once."""
        if self.idempotent is not None:
            return self.idempotent
        return self.method != "POST" or IDEMPOTENCY_KEY in self.headers

    def with_key(self, key: str | None) -> Call[T]:
        """The same with an Idempotency-Key: a new one, or this one. The server accepts all attempts together once."""
        return replace(
            self, headers={**self.headers, IDEMPOTENCY_KEY: quoted(str(uuid.uuid4()) if key is None else key)}
        )


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list; `cursor` leads to the next one, and is None on the last."""

    items: tuple[T, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that the server sends page by page."""

    path: str
    query: Query
    read: Callable[[bytes], Page[T]]

    def page(self, cursor: str | None) -> Call[Page[T]]:
        """The request for a page."""
        return get(self.path, self.read, {**self.query, "cursor": cursor})


def get(path: str, read: Callable[[bytes], T], query: Query | None = None, *, read_s: float = READ_S) -> Call[T]:
    """A GET."""
    return Call("GET", path, query or {}, read=read, read_s=read_s)


def send(
    method: str,
    path: str,
    body: Mapping[str, object] | None,
    read: Callable[[bytes], T],
    query: Query | None = None,
    *,
    idempotent: bool | None = None,
) -> Call[T]:
    """A request with JSON, without the fields that are None; without a body if that is None."""
    if body is None:
        return Call(method, path, query or {}, read=read, idempotent=idempotent)
    headers = {"Content-Type": "application/json"}
    return Call(method, path, query or {}, headers, encoded(without_none(body)), read, idempotent=idempotent)


def reading(model: type[A]) -> Callable[[bytes], A]:
    """Reads an answer as this model."""
    return lambda content: model.read(decoded(content))


def reading_page(model: type[A], name: str) -> Callable[[bytes], Page[A]]:
    """Reads a page whose items are under this name."""

    def read(content: bytes) -> Page[A]:
        body = decoded(content)
        items = body.get(name) if isinstance(body, Mapping) else None
        if not isinstance(items, list):
            raise BadAnswer(f"The server sent something unexpected: {name} must be a list.")
        cursor = body.get("nextCursor")
        return Page(tuple(model.read(item) for item in items), None if cursor is None else str(cursor))

    return read


def nothing(_: bytes) -> None:
    """Reads an answer that has no body."""


def part(value: str, what: str) -> str:
    """An ID or a name as a part of a path. Raises InvalidRequest for one that would change the path."""
    if not value.strip("."):
        raise InvalidRequest(f"{value!r} is not a valid {what}.")
    return quote(value, safe="")


def truth(value: bool | None) -> str | None:
    """A flag in a query."""
    return None if value is None else str(value).lower()


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given."""
    return {name: value for name, value in fields.items() if value is not None}


def quoted(key: str) -> str:
    """A string as a header field has it (RFC 9651, section 3.3.3)."""
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise ValueError("An Idempotency-Key has 1 to 255 visible ASCII characters.")
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
