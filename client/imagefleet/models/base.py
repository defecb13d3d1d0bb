"""What all answers have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PrivateAttr, ValidationError
from pydantic.alias_generators import to_camel

from imagefleet.errors import BadAnswer


def _utc(moment: datetime) -> datetime:
    """A time without a zone is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _no_none(value: object) -> object:
    return () if value is None else value


T = TypeVar("T")
Time = Annotated[datetime, AfterValidator(_utc)]
# A list in the answer; one that is null or left out is empty.
Many = Annotated[tuple[T, ...], BeforeValidator(_no_none)]
NOTHING: Mapping[str, Any] = {}


class Answer(BaseModel):
    """An answer of the server, which cannot be changed. A field that the server left out is None, or empty.

    Fields that this version does not know are kept: `raw` is the object as the server sent it, with the names of the API.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        protected_namespaces=(),
    )
    _raw: Mapping[str, Any] | None = PrivateAttr(default=None)

    @property
    def raw(self) -> Mapping[str, Any]:
        """The object as the server sent it."""
        return self.model_dump(mode="json", exclude_unset=True) if self._raw is None else self._raw

    @classmethod
    def read(cls, body: object) -> Self:
        """From a JSON object. Raises BadAnswer, which names the field that is not as it must be."""
        if not isinstance(body, Mapping):
            raise BadAnswer(f"The server sent something unexpected: an object was expected, not {body!r:.40}.")
        try:
            answer = cls.model_validate(body)
        except ValidationError as error:
            raise BadAnswer(f"The server sent something unexpected: {_sentence(error)}") from None
        answer._raw = body
        return answer


def decoded(content: str | bytes) -> Any:
    """The JSON of an answer. Raises BadAnswer."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise BadAnswer("The server sent something that is not JSON.") from None


def encoded(body: object) -> bytes:
    """Compact JSON in ASCII, because a prompt may contain lone surrogates, which UTF-8 cannot encode."""
    return json.dumps(body, separators=(",", ":")).encode()


def _sentence(error: ValidationError) -> str:
    """The first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the answer"
    return f"{where}: {first['msg']}."
