"""What operators pause: everything, the requests for a model or of a user, or what an extension gets."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from app.domain import image_request, messages
from app.domain.errors import InvalidRequest
from app.domain.operations import split_key

NOTE_CHARS = 400
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"


class PauseKind(StrEnum):
    ALL = "all"
    MODEL = "model"
    USER = "user"
    EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """What is paused. Names of models are in lower case; everything has no name."""

    kind: PauseKind
    name: str = ""

    @classmethod
    def of_model(cls, model: str) -> Self:
        """The model, with its variations and edits; names match without case. It may be the key of a queue."""
        return cls(PauseKind.MODEL, split_key(model)[0].lower())


EVERYTHING = PauseTarget(PauseKind.ALL)


@dataclass(frozen=True, slots=True)
class QueuePause:
    """A pause since `paused_at` (ms). A sweep ends it after `until` (ms); None is until an operator does.

    An extension with `drain` is paused in order to be taken away: once it holds nothing, it is drained.
    """

    target: PauseTarget
    paused_at: int
    until: int | None = None
    note: str | None = None
    drain: bool = False
    paused_by: str | None = None


@dataclass(frozen=True, slots=True)
class Pauses:
    """All pauses of the moment, by what is paused."""

    by_target: dict[PauseTarget, QueuePause] = field(default_factory=dict)

    @classmethod
    def of(cls, pauses: Iterable[QueuePause]) -> Self:
        return cls({pause.target: pause for pause in pauses})

    def __iter__(self) -> Iterator[QueuePause]:
        return iter(self.by_target.values())

    @property
    def everything(self) -> QueuePause | None:
        """The pause of the whole queue."""
        return self.by_target.get(EVERYTHING)

    def model(self, model: str) -> QueuePause | None:
        """The pause of this model alone."""
        return self.by_target.get(PauseTarget.of_model(model))

    def queue(self, model: str) -> QueuePause | None:
        """Why nothing of this model's queue is handed out: the pause of everything, or of the model."""
        return self.everything or self.model(model)

    def user(self, user_id: str) -> QueuePause | None:
        return self.by_target.get(PauseTarget(PauseKind.USER, user_id))

    def stood_still_since(self, model: str) -> int | None:
        """Since when (ms) nothing of this model's queue is handed out; None if it is not paused."""
        return min((pause.paused_at for pause in (self.everything, self.model(model)) if pause), default=None)


def clean_note(value: object) -> str:
    """Why something is paused: up to 400 characters. Raises InvalidRequest."""
    return image_request.clean_text("note", value, NOTE_CHARS)


def clean_until(value: object) -> int:
    """A time with its zone, in ms since the epoch. Raises InvalidRequest."""
    try:
        if not isinstance(value, str) or not re.fullmatch(TIME, value, re.ASCII):
            raise ValueError
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidRequest("until must be a time with its zone, such as 2024-01-14T12:00:00Z.") from None


def clean_extension(value: object) -> str:
    """The id of an extension. Raises InvalidRequest."""
    if not isinstance(value, str) or not messages.ID.fullmatch(value):
        raise InvalidRequest("extensionId must be a string of 1 to 128 letters, digits and . _ : @ -.")
    return value
