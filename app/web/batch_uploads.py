"""Bodies with the items of a batch, in JSON or in another format, read piece by piece."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Generic, Self, TypeVar, cast

from flask import request
from pydantic import BaseModel
from werkzeug.exceptions import RequestEntityTooLarge

from app.config import Settings
from app.domain import batch_columns
from app.domain.batch_formats import ITEMS, JSON, READERS, TYPES, check_items, read_json
from app.domain.batch_items import ItemCollector
from app.domain.batches import BatchItem, LeftOut
from app.domain.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from app.domain.idempotency import canonical
from app.domain.json_text import printable
from app.domain.upload_text import decoded
from app.domain.wire_types import without_nulls
from app.web import bodies

Model = TypeVar("Model", bound=BaseModel)

CHUNK_BYTES = 65_536
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii"})
# An example of each format beside JSON, by its content type.
EXAMPLES: Mapping[str, str] = {
    "application/x-ndjson": '{"customId": "panel-1", "prompt": "A lighthouse at dusk"}\n{"prompt": "The keeper reads a letter"}\n',
    "text/csv": "customId,prompt,param.width,var.light\npanel-1,A lighthouse at dusk,1024,a storm lantern\n",
    "text/plain": "# chapter 3\nA lighthouse at dusk\nThe keeper reads a letter\n",
}
DEFAULTS = "defaults"
_PARTIAL = "partial"
_NESTED = frozenset({"parameters", "variables"})  # in a query as `param.NAME` and `var.NAME`
_WEBHOOK = "webhook"  # in a query its address alone
_NUMBERS = frozenset({"concurrency", "deadlineMs"}) | batch_columns.NUMBERS


@dataclass(frozen=True, slots=True)
class Upload(Generic[Model]):
    """A body's valid items, its other fields, and what is wrong with the items that are left out."""

    fields: Model
    items: Sequence[BatchItem]
    left_out: LeftOut

    def digest(self) -> str:
        """The same for all bodies that submit the same, whatever their format, spacing and order of fields."""
        sha256 = hashlib.sha256(
            canonical(self.fields.model_dump(mode="json", exclude_unset=True, exclude={ITEMS}, warnings=False))
        )
        for item in self.items:
            more = (item.custom_id, item.model, item.parameters, item.variables, item.priority)
            kept = () if item.keep_days is None else (item.keep_days,)
            sha256.update(canonical((item.prompt, *more, *kept)))
        sha256.update(canonical([astuple(error) for error in self.left_out.errors]))
        return sha256.hexdigest()


class BatchUploads:
    """Reads uploads of up to BATCH_MAX_BYTES and BATCH_MAX_ITEMS, each item as long as MAX_BODY_BYTES."""

    def __init__(self, settings: Settings) -> None:
        self._most_bytes = settings.batch_max_bytes
        self._most_items = settings.batch_max_items
        self._longest_item = settings.max_body_bytes

    def read(self, model: type[Model], *, partial: bool) -> Upload[Model]:
        """The request's body, which is described by `model`. What it does not say may be in the query.

        Raises UnsupportedMediaType, PayloadTooLarge, InvalidJson, InvalidRequest, InvalidBatch. If `partial`, items that are
        invalid are left out.
        """
        bodies.check_not_compressed()
        kind = _content_type()
        fields = BodyFields.of(model)
        given = fields.in_query()
        bodies.fit(
            model, {**given, ITEMS: []}, "The query"
        )  # what is wrong there is refused, even if the body says it too
        collector = ItemCollector(self._most_items, "item" if kind == JSON else "line")
        text = decoded(self._chunks())
        if kind == JSON:
            given = _merged(given, read_json(text, self._longest_item, collector, fields.all))
        else:
            READERS[kind](text, self._longest_item, collector)
        body = bodies.fit(model, {**given, ITEMS: collector.items}, "The body")
        check_items(collector, partial=partial)
        return Upload(body, collector.items, LeftOut(collector.rejected, collector.errors))

    def _chunks(self) -> Iterator[bytes]:
        request.max_content_length = self._most_bytes
        try:
            while chunk := request.stream.read(CHUNK_BYTES):
                yield chunk
                time.sleep(0)  # under gevent, a long upload that is there already would starve other requests
        except RequestEntityTooLarge:
            raise PayloadTooLarge(f"The body is too large: a batch may have {self._most_bytes:,} bytes.") from None


def _content_type() -> str:
    """Raises UnsupportedMediaType."""
    if request.mimetype not in TYPES:
        raise UnsupportedMediaType(f"Send the batch with one of these as Content-Type: {', '.join(TYPES)}.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in CHARSETS:
        raise UnsupportedMediaType(f"The body must be UTF-8, not {printable(charset)}.")
    return request.mimetype


@dataclass(frozen=True, slots=True)
class BodyFields:
    """The fields of a body beside its items: its own, and those of its defaults, by their names on the wire."""

    own: frozenset[str]
    defaults: frozenset[str]

    @classmethod
    def of(cls, model: type[BaseModel]) -> Self:
        """Those of this model."""
        defaults = model.model_fields.get(DEFAULTS)
        inner = frozenset() if defaults is None else _names(cast(type[BaseModel], defaults.annotation))
        return cls(_names(model) - {ITEMS, DEFAULTS}, inner)

    @property
    def all(self) -> frozenset[str]:
        """The body's fields."""
        return self.own | {DEFAULTS} if self.defaults else self.own

    def in_query(self) -> dict[str, Any]:
        """Those that are in the request's query. Raises InvalidRequest for others."""
        own: dict[str, Any] = {}
        defaults: dict[str, Any] = {}
        for name, text in request.args.items():
            column = batch_columns.nested(name) if self.defaults else None
            if column is not None:
                defaults.setdefault(column.parent or "", {})[column.name] = column.value_of(text)
            elif name in self.own:
                own[name] = _value(name, text)
            elif name in self.defaults - _NESTED:
                defaults[name] = _value(name, text)
            elif name != _PARTIAL:
                raise self._unknown(name)
        return {**own, DEFAULTS: defaults} if defaults else own

    def _unknown(self, name: str) -> InvalidRequest:
        hint = batch_columns.hint(name) if self.defaults else ""
        names = ", ".join(sorted({_PARTIAL, *self.own, *(self.defaults - _NESTED)}))
        return InvalidRequest(
            f"The query contains an unknown field: {printable(name)}. {hint or f'There are {names}.'}"
        )


def _names(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _value(name: str, text: str) -> Any:
    if name == _WEBHOOK:
        return {"url": text}
    return batch_columns.parameter(text) if name in _NUMBERS else text


def _merged(query: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """What the body says, and what only the query says."""
    merged = {**query, **body}
    if isinstance(body.get(DEFAULTS), dict):
        merged[DEFAULTS] = {**query.get(DEFAULTS, {}), **without_nulls(body[DEFAULTS])}
    return merged
