"""Bodies and queries of the operations on batches."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from app.domain import batches, webhooks
from app.domain.batch_items import CUSTOM_ID_CHARS, clean_custom_id
from app.domain.batches import BatchDefaults, ItemEdit
from app.domain.errors import InvalidRequest
from app.domain.fair_queueing import Priority
from app.domain.image_request import DEFAULT_USER, CacheMode
from app.domain.states import Status
from app.domain.webhooks import Target
from app.domain.wire_types import without_nulls
from app.web.request_schemas import CONTROLS, TEXT, GenerateRequest, Query, checked, user_field


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
