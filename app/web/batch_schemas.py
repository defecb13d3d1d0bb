"""Bodies, queries and answers of the operations on batches."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from app.db.jobs import Job
from app.domain import batches, webhooks
from app.domain.batch_items import CUSTOM_ID_CHARS, clean_custom_id
from app.domain.batches import BatchDefaults, BatchStatus, ItemEdit, LeftOut
from app.domain.clock import wire_now, wire_time
from app.domain.errors import InvalidRequest
from app.domain.fair_queueing import Priority
from app.domain.image_request import DEFAULT_USER, CacheMode
from app.domain.states import Status
from app.domain.webhooks import Target
from app.domain.wire_types import Time, Uuid, WireModel, without_nulls
from app.services.batch_creation import AcceptedBatch
from app.services.batch_lookup import BatchDetails
from app.web.presenters import queue_position
from app.web.request_schemas import CONTROLS, TEXT, GenerateRequest, Query, checked, user_field
from app.web.schemas import ItemProblem, QueuePosition


def of_request(name: str) -> Any:
    """The validation and the description of this field of a request."""
    return GenerateRequest.model_fields[name].metadata[0]


def _schema_of(name: str) -> Any:
    return get_args(of_request(name).json_schema_input_type)[1].json_schema


_ITEM_FIELDS = ("prompt", "model", "parameters", "variables", "priority", "keep")
_VISIBLE = rf"[^\s{CONTROLS}]"
CUSTOM_ID: dict[str, Any] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": CUSTOM_ID_CHARS,
    "pattern": rf"^{_VISIBLE}(?:[^\t\n\r\u2028\u2029{CONTROLS}]*{_VISIBLE})?$",
}
NEW_ITEM = {
    "type": "object",
    "properties": {"customId": CUSTOM_ID, **{name: _schema_of(name) for name in _ITEM_FIELDS}},
    "required": ["prompt"],
    "additionalProperties": False,
}

DEFAULTS: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {
        **{
            to_camel(name): _schema_of(name)
            for name in ("model", "parameters", "style", "variables", "priority", "deadline_ms", "cache", "keep")
        }
    },
    "additionalProperties": False,
    "description": "What holds for every item that says nothing else. `deadlineMs` runs from the release of an item.",
}


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("items must be a list.")
    return value


_NAME = checked(
    batches.clean_name,
    type=["string", "null"],
    maxLength=batches.NAME_CHARS,
    pattern=TEXT,
    description="For people, such as in lists of batches.",
)
_CONCURRENCY = checked(
    batches.clean_concurrency,
    type=["integer", "null"],
    minimum=batches.CONCURRENCY[0],
    maximum=batches.CONCURRENCY[1],
    description="How many items are in the queue or beyond it at once. The others wait outside the queue.",
)
_ITEMS = checked(_list, type="array", items=NEW_ITEM, minItems=1, description="The requests, in their order.")


class Body(BaseModel):
    """A body; unknown fields are refused by name, and those that are null count as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        return without_nulls(value)


class DefaultsBody(Body):
    """What holds for every item that says nothing else."""

    model: Annotated[str | None, of_request("model")] = None
    parameters: Annotated[dict[str, Any], of_request("parameters")] = Field(default_factory=dict)
    style: Annotated[str | None, of_request("style")] = None
    variables: Annotated[dict[str, str], of_request("variables")] = Field(default_factory=dict)
    priority: Annotated[Priority | None, of_request("priority")] = None
    deadline_ms: Annotated[int | None, of_request("deadline_ms")] = None
    cache: Annotated[CacheMode, of_request("cache")] = CacheMode.OFF
    keep: Annotated[int | None, of_request("keep")] = None

    def defaults(self) -> BatchDefaults:
        """The same for the services."""
        return BatchDefaults(
            self.model,
            self.parameters,
            self.style,
            self.variables,
            self.priority,
            self.deadline_ms,
            self.cache,
            self.keep,
        )


class NewBatchBody(Body):
    """A batch of requests. A field that is null counts as absent."""

    name: Annotated[str | None, _NAME] = None
    items: Annotated[list[Any], _ITEMS]
    defaults: Annotated[DefaultsBody, WithJsonSchema(DEFAULTS)] = Field(default_factory=DefaultsBody)
    concurrency: Annotated[int | None, _CONCURRENCY] = batches.DEFAULT_CONCURRENCY
    user_id: Annotated[str, user_field(["string", "null"], default=DEFAULT_USER)] = DEFAULT_USER
    webhook: Annotated[Target | None, of_request("webhook")] = None


class MoreItemsBody(Body):
    """Items that are added to a batch."""

    items: Annotated[list[Any], _ITEMS]


class BatchChangeBody(Body):
    """What is to be changed; `priority` is for all items that no extension has begun."""

    name: Annotated[str | None, _NAME] = None
    concurrency: Annotated[int | None, _CONCURRENCY] = None
    priority: Annotated[Priority | None, of_request("priority")] = None


class CancelBatchBody(Body):
    """What to cancel: every item that has not ended, or those that no extension has begun."""

    scope: Literal["all", "waiting"] = "all"


class EditBody(Body):
    """An item that is tried again, by its number or by its client's id, with another prompt or other parameters."""

    index: int | None = Field(None, ge=1, le=2**31 - 1, strict=True)
    custom_id: Annotated[str | None, checked(clean_custom_id, **CUSTOM_ID)] = None
    prompt: Annotated[str | None, of_request("prompt")] = None
    parameters: Annotated[dict[str, Any] | None, of_request("parameters")] = Field(
        None, description="Those named here replace those of the same name."
    )

    def edit(self) -> ItemEdit:
        """The same for the services."""
        return ItemEdit(self.index, self.custom_id, self.prompt, self.parameters)


class RetryBody(Body):
    """Which items are tried again: those with a status, and those named, of whatever final status. Default: what has failed."""

    status: Literal["failed", "cancelled", "completed"] | None = None
    items: list[EditBody] | None = Field(None, min_length=1)


class PartialQuery(Query):
    """What becomes of the valid items if others are invalid."""

    partial: bool = Field(False, description="Whether to take the valid items if others are invalid, and list those.")


def _in_query(schema: Mapping[str, Any]) -> Any:
    """A field of the body that may be in the query. It is validated as a part of the body."""
    without_null = {
        name: [each for each in schema[name] if each not in (None, "null")]
        for name in ("type", "enum")
        if name in schema
    }
    return WithJsonSchema({**schema, **without_null})


def _of_batch(name: str) -> Any:
    return _in_query(get_args(NewBatchBody.model_fields[name].metadata[0].json_schema_input_type)[1].json_schema)


_WEBHOOK = {
    "type": ["string"],
    "pattern": webhooks.URL_PATTERN,
    "maxLength": webhooks.URL_CHARS,
    "description": "An address for the events of the batch and of its items, all but `image.progress`.",
}


class NewBatchQuery(PartialQuery):
    """What the body of a new batch does not say. `param.NAME` and `var.NAME` are parameters and variables of its defaults."""

    name: Annotated[str | None, _of_batch("name")] = None
    concurrency: Annotated[str | None, _of_batch("concurrency")] = None
    user_id: Annotated[str | None, _of_batch("user_id")] = None
    webhook: Annotated[str | None, _in_query(_WEBHOOK)] = None
    model: Annotated[str | None, _in_query(_schema_of("model"))] = None
    style: Annotated[str | None, _in_query(_schema_of("style"))] = None
    priority: Annotated[str | None, _in_query(_schema_of("priority"))] = None
    deadline_ms: Annotated[str | None, _in_query(_schema_of("deadline_ms"))] = None
    cache: Annotated[str | None, _in_query(DEFAULTS["properties"]["cache"])] = None
    keep: Annotated[str | None, _in_query(_schema_of("keep"))] = None


class BatchQuery(Query):
    """Which batches to list."""

    user_id: Annotated[
        str | None,
        user_field("string", description="Whose batches. Default: your own, or all users' if you may see them."),
    ] = None
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[
        str | None, Field(pattern=r"^[0-9a-f-]{36}$", description="`nextCursor` of the previous page.")
    ] = None


class ItemQuery(Query):
    """Which items to list."""

    status: Status | None = None
    limit: int = Field(100, ge=1, le=1_000, description="Maximum number of results.")
    cursor: int = Field(0, ge=0, le=2**31 - 1, description="`nextCursor` of the previous page.", examples=[100])


class Counts(WireModel):
    """How many items the batch has, and how many of them have which status."""

    total: int
    accepted: int
    processing: int
    downloading: int
    completed: int
    failed: int
    cancelled: int


class BatchAccepted(WireModel):
    """The batch is in the database."""

    batch_id: Uuid
    status: BatchStatus
    name: str | None = None
    counts: Counts
    concurrency: int
    queue: QueuePosition | None = Field(None, description="why the item waits that is handed out first")
    left_out: int | None = Field(None, description="with `partial`: how many items were left out, if any")
    errors: list[ItemProblem] | None = Field(None, description="the first 100 things that are wrong with them")
    created_at: Time
    correlation_id: str
    timestamp: Time

    @classmethod
    def of(cls, accepted: AcceptedBatch) -> Self:
        """The answer to a new batch; no item has been begun."""
        batch = accepted.batch
        return cls(
            batch_id=batch.id,
            status=batch.status,
            name=batch.name,
            counts=Counts(
                total=batch.total,
                accepted=batch.total - batch.ended,
                processing=0,
                downloading=0,
                completed=batch.completed,
                failed=batch.failed,
                cancelled=batch.cancelled,
            ),
            concurrency=batch.concurrency,
            queue=None if accepted.queue is None else queue_position(accepted.queue),
            **_left_out(accepted.left_out),
            created_at=wire_time(batch.created_at),
            correlation_id=batch.correlation_id,
            timestamp=wire_time(batch.updated_at),
        )


class BatchEta(WireModel):
    """When every item will have ended: probably (`p50`), and in nine of ten cases."""

    p50: Time
    p90: Time
    p50_seconds: int
    p90_seconds: int


class BatchState(WireModel):
    """A batch and how far it is."""

    batch_id: Uuid
    status: BatchStatus = Field(description="`completed`: every item has ended; the counts say how")
    name: str | None = None
    counts: Counts
    progress: int = Field(ge=0, le=100, description="percent of the items that have ended")
    concurrency: int
    defaults: Mapping[str, Any]
    failures: Mapping[str, int] = Field(description="how many items have failed with which code")
    eta: BatchEta | None = Field(None, description="while it runs, once items were completed")
    paused_at: Time | None = None
    paused_by: str | None = Field(None, description="the user who paused it")
    user_id: str
    left_out: int | None = Field(None, description="of items added with `partial`: how many were left out, if any")
    errors: list[ItemProblem] | None = Field(None, description="the first 100 things that are wrong with them")
    version: int = Field(description="increases with every change; send it as `since` to wait for the next one")
    created_at: Time
    updated_at: Time
    started_at: Time | None = Field(None, description="when its first item was handed out")
    finished_at: Time | None = None
    correlation_id: str
    timestamp: Time

    @classmethod
    def of(cls, details: BatchDetails, left_out: LeftOut | None = None) -> Self:
        """A batch as clients see it, perhaps with what was left out when items were added."""
        batch = details.batch
        return cls(
            batch_id=batch.id,
            status=batch.status,
            name=batch.name,
            counts=Counts(total=batch.total, **{status.value: count for status, count in details.counts.items()}),
            progress=100 * batch.ended // batch.total if batch.total else 0,
            concurrency=batch.concurrency,
            defaults=batch.defaults,
            failures=batch.failures,
            eta=_eta(details),
            paused_at=_time(batch.paused_at),
            paused_by=batch.paused_by,
            user_id=batch.user_id,
            **_left_out(left_out or LeftOut()),
            version=batch.version,
            created_at=wire_time(batch.created_at),
            updated_at=wire_time(batch.updated_at),
            started_at=_time(details.started_at),
            finished_at=_time(batch.finished_at),
            correlation_id=batch.correlation_id,
            timestamp=wire_now(),
        )


class BatchList(WireModel):
    """Batches, newest first."""

    batches: list[BatchState] = Field(description="each as in `GET /api/batches/{batchId}`, without `eta`")
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class Item(WireModel):
    """An item of a batch; of several requests that tried the same one, the newest."""

    index: int = Field(ge=1)
    custom_id: str | None = None
    request_id: Uuid
    status: Status
    prompt: str
    original_prompt: str | None = Field(None, description="with a style: the prompt as it was sent")
    model: str
    progress: int = Field(ge=0, le=100, description="percent")
    code: str | None = Field(None, description="why it failed, for programs")
    error: str | None = Field(None, description="why it failed, in a sentence")
    retry_of: Uuid | None = Field(None, description="the request that this one tries again")
    updated_at: Time

    @classmethod
    def of(cls, job: Job) -> Self:
        """A request as an item."""
        return cls(
            index=job.batch_index or 0,
            custom_id=job.custom_id,
            request_id=job.id,
            status=job.status,
            prompt=job.prompt,
            original_prompt=job.original_prompt,
            model=job.model,
            progress=job.progress,
            code=job.error_code,
            error=job.error,
            retry_of=job.retry_of,
            updated_at=wire_time(job.updated_at),
        )


class ItemList(WireModel):
    """Items in their order."""

    items: list[Item]
    next_cursor: int | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time


class StreamedBatchEvent(WireModel):
    """An event of a batch, as its stream sends it."""

    type: str
    batch_id: Uuid
    seq: int = Field(ge=1, description="the event's number, the same as `id`")
    timestamp: Time
    data: Mapping[str, Any]


def _left_out(left_out: LeftOut) -> dict[str, Any]:
    errors = [ItemProblem(**asdict(error)) for error in left_out.errors]
    return {"left_out": left_out.count or None, "errors": errors or None}


def _time(at: int | None) -> str | None:
    return None if at is None else wire_time(at)


def _eta(details: BatchDetails) -> BatchEta | None:
    expected = details.estimate
    if expected is None:
        return None
    return BatchEta(
        p50=wire_time(details.at + expected.p50_ms),
        p90=wire_time(details.at + expected.p90_ms),
        p50_seconds=expected.p50_ms // 1000,
        p90_seconds=expected.p90_ms // 1000,
    )
