"""Bodies and answers of the operations on the queue."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.domain import image_request, messages, pauses
from app.domain.clock import wire_time
from app.domain.errors import InvalidRequest
from app.domain.fair_queueing import Priority
from app.domain.operations import split_key
from app.domain.pauses import EVERYTHING, PauseKind, PauseTarget
from app.domain.wire_types import Time, WireModel
from app.services.queue_status import THROUGHPUT_MS, PauseState, QueueOverview
from app.web.request_schemas import TEXT, checked

Class = Annotated[str, WithJsonSchema({"type": "string", "enum": [priority.word for priority in Priority]})]

OperationName = Literal["variation", "edit"]
OPERATION = Field(
    None, description="with input pictures: what is made of them; requests with them have queues of their own"
)


def _names(key: str) -> dict[str, Any]:
    """The fields that name a queue."""
    model, operation = split_key(key)
    return {"model": model, "operation": operation.word}


class QueueTarget(BaseModel):
    """Everything, or one of the fields. A field that is null counts as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    model: Annotated[
        str | None,
        checked(
            image_request.clean_model,
            type=["string", "null"],
            pattern=rf"^{image_request.MODEL.pattern}$",
            description="The requests for this model; its name matches without case.",
        ),
    ] = None
    user_id: Annotated[
        str | None,
        checked(
            image_request.clean_user,
            type=["string", "null"],
            pattern=rf"^{image_request.USER.pattern}$",
            description="The requests of this user.",
        ),
    ] = None
    extension_id: Annotated[
        str | None,
        checked(
            pauses.clean_extension,
            type=["string", "null"],
            pattern=rf"^{messages.ID.pattern}$",
            description="This extension.",
        ),
    ] = None

    def target(self) -> PauseTarget:
        """What is meant. Raises InvalidRequest."""
        targets = [
            *([PauseTarget.of_model(self.model)] if self.model is not None else []),
            *([PauseTarget(PauseKind.USER, self.user_id)] if self.user_id is not None else []),
            *([PauseTarget(PauseKind.EXTENSION, self.extension_id)] if self.extension_id is not None else []),
        ]
        if len(targets) > 1:
            raise InvalidRequest("Send one of model, userId and extensionId, or none of them for everything.")
        return targets[0] if targets else EVERYTHING


class PauseRequest(QueueTarget):
    """What to pause: everything, or one of `model`, `userId` and `extensionId`. A field that is null counts as absent."""

    note: Annotated[
        str | None,
        checked(
            pauses.clean_note,
            type=["string", "null"],
            maxLength=pauses.NOTE_CHARS,
            pattern=TEXT,
            description="Why; everybody whose requests wait for it can read it.",
        ),
    ] = None
    until: Annotated[
        int | None,
        checked(
            pauses.clean_until,
            type=["string", "null"],
            format="date-time",
            pattern=rf"^{pauses.TIME}$",
            description="When it ends by itself, a time in the future. Default: when it is resumed.",
        ),
    ] = None
    drain: Annotated[bool, WithJsonSchema({"type": ["boolean", "null"], "default": False})] = Field(
        False, strict=True, description="With `extensionId`: the extension is to be taken away once it holds nothing."
    )


class ResumeRequest(QueueTarget):
    """What to resume: everything, or one of `model`, `userId` and `extensionId`. A field that is null counts as absent."""


class PausedPart(WireModel):
    """Something that is paused: everything, or what one of the fields names."""

    scope: PauseKind
    model: str | None = Field(None, description="in lower case")
    user_id: str | None = None
    extension_id: str | None = None
    state: Literal["paused", "draining", "drained"] = Field(
        description="with `drain`: whether the extension still holds requests"
    )
    since: Time
    until: Time | None = Field(None, description="when it ends by itself")
    note: str | None = None
    paused_by: str | None = Field(None, description="the operator, if known; for operators")

    @classmethod
    def of(cls, found: PauseState) -> Self:
        pause, target = found.pause, found.pause.target
        named: dict[str, Any] = {
            PauseKind.ALL: {},
            PauseKind.MODEL: {"model": target.name},
            PauseKind.USER: {"user_id": target.name},
            PauseKind.EXTENSION: {"extension_id": target.name},
        }[target.kind]
        return cls(
            scope=target.kind,
            state="drained" if found.drained else "draining" if pause.drain else "paused",
            since=wire_time(pause.paused_at),
            until=None if pause.until is None else wire_time(pause.until),
            note=pause.note,
            paused_by=pause.paused_by,
            **named,
        )


class Queue(WireModel):
    """The requests for a model in one class that wait and are not held back."""

    model: str = Field(description="in lower case")
    operation: OperationName | None = OPERATION
    priority: Class
    depth: int = Field(ge=1)
    oldest_since: Time = Field(description="since when the first of them waits, without pauses")
    oldest_seconds: float = Field(ge=0)


class ModelSlots(WireModel):
    """The extensions that make a model and take work now."""

    model: str = Field(description="in lower case; `*` are those that make any model")
    operation: OperationName | None = OPERATION
    extensions: int = Field(ge=0)
    total: int = Field(ge=0, description="how many requests they take at once")
    busy: int = Field(ge=0, description="how many they hold")


class Slots(WireModel):
    """The extensions that take work now. An extension that makes several models counts for each of these in `byModel`."""

    extensions: int = Field(ge=0)
    total: int = Field(ge=0, description="how many requests they take at once")
    busy: int = Field(ge=0, description="how many they hold")
    by_model: list[ModelSlots]


class ModelThroughput(WireModel):
    """How many requests for a model were completed."""

    model: str = Field(description="in lower case")
    operation: OperationName | None = OPERATION
    completed: int = Field(ge=0)


class Throughput(WireModel):
    """How many requests were completed lately."""

    window_seconds: int
    completed: int = Field(ge=0)
    by_model: list[ModelThroughput]


class QueueState(WireModel):
    """The state of the queue. Its counts are about a second old."""

    waiting: int = Field(ge=0, description="requests in all queues")
    queues: list[Queue] = Field(description="those that are not empty")
    paused: list[PausedPart]
    slots: Slots
    throughput: Throughput
    timestamp: Time

    @classmethod
    def of(cls, found: QueueOverview) -> Self:
        slots = found.capacity
        return cls(
            waiting=sum(each.depth for each in found.queues),
            queues=[
                Queue(
                    **_names(each.key),
                    priority=each.priority.word,
                    depth=each.depth,
                    oldest_since=wire_time(each.oldest_at),
                    oldest_seconds=max(0, found.now - each.oldest_at) / 1000,
                )
                for each in found.queues
            ],
            paused=[PausedPart.of(each) for each in found.paused],
            slots=Slots(
                extensions=slots.extensions,
                total=slots.slots,
                busy=slots.busy,
                by_model=[
                    ModelSlots(**_names(key), extensions=each.extensions, total=each.slots, busy=each.busy)
                    for key, each in found.capacity_of.items()
                ],
            ),
            throughput=Throughput(
                window_seconds=THROUGHPUT_MS // 1000,
                completed=sum(found.completed.values()),
                by_model=[ModelThroughput(**_names(key), completed=each) for key, each in found.completed.items()],
            ),
            timestamp=wire_time(found.now),
        )
