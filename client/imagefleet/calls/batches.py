"""What the operations on batches send."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic.alias_generators import to_camel

from imagefleet.calls.base import (
    EVENTS_READ_S,
    READ_S,
    Call,
    Listing,
    get,
    nothing,
    part,
    reading,
    reading_page,
    send,
    truth,
    without_none,
)
from imagefleet.models import Batch, BatchItem, NewItem, Priority

BATCHES = "/api/batches"
# The server reads and stores up to 10,000 items before it answers.
SUBMIT_READ_S = 120.0

Item = str | Mapping[str, Any] | NewItem
Items = Iterable[Item]
Scope = Literal["all", "waiting"]
Uploaded = tuple[bytes, str]


def submit(
    items: Items | Uploaded,
    *,
    name: str | None,
    defaults: Mapping[str, Any],
    concurrency: int | None,
    user_id: str | None,
    webhook: str | Mapping[str, Any] | None,
    partial: bool,
    idempotency_key: str | None,
) -> Call[Batch]:
    """A new batch, of these items or of an uploaded file with its content type."""
    common = {"name": name, "concurrency": concurrency, "userId": user_id}
    if isinstance(items, tuple):
        if isinstance(webhook, Mapping):
            raise TypeError("With an uploaded file, webhook must be an address alone.")
        query = {**common, "webhook": webhook, **_in_query(defaults), "partial": truth(partial or None)}
        return _upload(BATCHES, items, query).with_key(idempotency_key)
    body = {
        **common,
        "webhook": {"url": webhook} if isinstance(webhook, str) else webhook,
        "defaults": defaults or None,
        "items": [_item(each) for each in items],
    }
    return _slow(send("POST", BATCHES, body, reading(Batch), {"partial": truth(partial or None)})).with_key(
        idempotency_key
    )


def add(batch_id: str, items: Items | Uploaded, *, partial: bool) -> Call[Batch]:
    """More items."""
    path, query = f"{_one(batch_id)}/items", {"partial": truth(partial or None)}
    if isinstance(items, tuple):
        return _upload(path, items, query)
    return _slow(send("POST", path, {"items": [_item(each) for each in items]}, reading(Batch), query))


def details(
    batch_id: str, wait: float | None = None, since: int | None = None, *, read_s: float | None = None
) -> Call[Batch]:
    """The batch; held back by the server for up to `wait` seconds."""
    patience_s = READ_S + (wait or 0) if read_s is None else read_s
    return get(_one(batch_id), reading(Batch), {"wait": wait, "since": since}, read_s=patience_s)


def listing(*, user_id: str | None, page_size: int) -> Listing[Batch]:
    """Batches, newest first."""
    return Listing(BATCHES, {"userId": user_id, "limit": page_size}, reading_page(Batch, "batches"))


def items(batch_id: str, *, status: str | None, page_size: int) -> Listing[BatchItem]:
    """The items in their order."""
    query = {"status": status, "limit": page_size}
    return Listing(f"{_one(batch_id)}/items", query, reading_page(BatchItem, "items"))


def events(batch_id: str) -> Call[None]:
    """Its event stream."""
    return Call("GET", f"{_one(batch_id)}/events", read=nothing, read_s=EVENTS_READ_S)


def results(batch_id: str) -> Call[None]:
    """The results of its items, a JSON object a line."""
    headers = {"Accept": "application/x-ndjson"}
    return Call("GET", f"{_one(batch_id)}/results", {"format": "jsonl"}, headers, read=nothing, read_s=EVENTS_READ_S)


def archive_path(batch_id: str) -> str:
    """Where its pictures are in one archive."""
    return f"{_one(batch_id)}/results?format=zip"


def pause(batch_id: str) -> Call[Batch]:
    """Hand nothing out any more."""
    return send("POST", f"{_one(batch_id)}/pause", None, reading(Batch), idempotent=True)


def resume(batch_id: str) -> Call[Batch]:
    """Hand items out again."""
    return send("POST", f"{_one(batch_id)}/resume", None, reading(Batch), idempotent=True)


def cancel(batch_id: str, scope: Scope) -> Call[Batch]:
    """Cancel everything, or what no extension has begun."""
    return send("POST", f"{_one(batch_id)}/cancel", {"scope": scope}, reading(Batch), idempotent=True)


def retry(batch_id: str, edits: Iterable[int | Mapping[str, Any]] | None, status: str | None) -> Call[Batch]:
    """Try items again. The server takes no Idempotency-Key for this."""
    named = None if edits is None else [{"index": each} if isinstance(each, int) else _camel(each) for each in edits]
    return _slow(send("POST", f"{_one(batch_id)}/retry", {"status": status, "items": named}, reading(Batch)))


def change(batch_id: str, *, name: str | None, concurrency: int | None, priority: Priority | None) -> Call[Batch]:
    """Change it."""
    body = {"name": name, "concurrency": concurrency, "priority": priority}
    return send("PATCH", _one(batch_id), body, reading(Batch))


def defaults_of(**fields: Any) -> dict[str, Any]:
    """What holds for every item that says nothing else, with the names of the API."""
    return without_none({to_camel(name): value for name, value in fields.items()})


def _one(batch_id: str) -> str:
    return f"{BATCHES}/{part(batch_id, 'batch ID')}"


def _item(item: Item) -> Mapping[str, Any]:
    if isinstance(item, str):
        return {"prompt": item}
    if isinstance(item, NewItem):
        return item.model_dump(by_alias=True, exclude_none=True)
    return _camel(item)


def _camel(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by the names of the API, which may be written as in Python."""
    return {to_camel(name): value for name, value in fields.items()}


def _in_query(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults as the query of an upload has them: `param.NAME` and `var.NAME` for parameters and variables."""
    plain = {name: value for name, value in defaults.items() if name not in ("parameters", "variables")}
    parameters = {f"param.{name}": _text(value) for name, value in (defaults.get("parameters") or {}).items()}
    variables = {f"var.{name}": value for name, value in (defaults.get("variables") or {}).items()}
    return {**plain, **parameters, **variables}


def _text(value: object) -> object:
    return truth(value) if isinstance(value, bool) else value


def _upload(path: str, file: Uploaded, query: Mapping[str, object]) -> Call[Batch]:
    content, content_type = file
    headers = {"Content-Type": content_type}
    return Call("POST", path, query, headers, content, reading(Batch), SUBMIT_READ_S)


def _slow(call: Call[Batch]) -> Call[Batch]:
    return Call(call.method, call.path, call.query, call.headers, call.body, call.read, SUBMIT_READ_S, call.idempotent)
