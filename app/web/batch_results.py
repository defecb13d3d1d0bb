"""The results of a batch: an archive of its pictures, or lines of JSON."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Literal
from urllib.parse import quote

from flask import Response, current_app, g
from pydantic import Field

from app.container import Services
from app.domain.clock import wire_now
from app.domain.errors import NotFound
from app.domain.file_names import archive_name
from app.services.batch_lookup import BatchDetails
from app.services.batch_results import ItemResult
from app.services.credential_status import CredentialStatus
from app.web.api import Api, ResponseSpec
from app.web.batch_archive import REMOVED, BatchArchive
from app.web.batch_indexes import Index, contact_sheet, csv_index, json_index, jsonl
from app.web.batch_result_schemas import BatchItemResult, ResultPicture
from app.web.picture_addresses import PictureAddresses
from app.web.request_schemas import Query

ZIP, JSONL = "application/zip", "application/x-ndjson"
# What the contact sheet says in the place of a picture.
WORDS = {
    "accepted": "waits",
    "processing": "is being made",
    "downloading": "is being fetched",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class ResultsQuery(Query):
    """In which form the results are sent."""

    format: Literal["zip", "jsonl"] = Field("zip", description="`zip`: an archive of the images; `jsonl`: JSON lines.")


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/api/batches/<batch_id>/results",
        tag="Batches",
        summary="Download the results",
        query=ResultsQuery,
        responses=(
            ResponseSpec(
                "The archive, or with `format=jsonl` a line of JSON for each item",
                content_type=ZIP,
                headers=("Content-Disposition",),
            ),
            ResponseSpec("A line of JSON for each item", BatchItemResult, content_type=JSONL),
        ),
        refusals=(NotFound,),
    )
    def get_batch_results(batch_id: str, query: ResultsQuery) -> Response:
        """A zip of all images, numbered in the items' order, with `index.csv`, `index.json` and `index.html`, a contact sheet
        that works where the archive is unpacked. It is made while it is sent. As long as the batch is not completed, it
        contains what there is. A failed item, or an image that is lost, is in the indexes with the reason."""
        found = services.batch_lookup.details(batch_id, g.caller.visible_user)
        results = services.batch_results
        items = _while_authorized(results.items(found.batch.id), g.credential_status)
        if query.format == "jsonl":
            described = map(partial(_result, PictureAddresses.here()), items)
            return Response(jsonl(described), content_type=JSONL, headers={"X-Accel-Buffering": "no"})
        archive = BatchArchive(results, found.batch.total, _indexes(found))
        response = Response(archive.stream(items), content_type=ZIP, headers={"X-Accel-Buffering": "no"})
        response.headers["Content-Disposition"] = _attachment(archive_name(found.batch.name, found.batch.id))
        return response


def _attachment(name: str) -> str:
    """The header for a file of this name (RFC 6266), with the ASCII in it for old clients."""
    return f"attachment; filename=\"{name.encode('ascii', 'replace').decode()}\"; filename*=UTF-8''{quote(name)}"


def _result(addresses: PictureAddresses, item: ItemResult) -> BatchItemResult:
    if item.job.pictures_removed_at is None:
        pictures = [ResultPicture.of(each, addresses=addresses) for each in item.pictures]
    else:
        pictures = [ResultPicture.of(each, problem=REMOVED) for each in item.pictures]
    return BatchItemResult.of(item.job, pictures)


def _while_authorized(items: Iterable[ItemResult], credential: CredentialStatus) -> Iterator[ItemResult]:
    """The items, until the caller's credential is revoked or expires: then the connection breaks off."""
    with credential.monitored(lambda: None):
        for item in items:
            credential.check()
            yield item


def _indexes(found: BatchDetails) -> dict[str, Index]:
    """The indexes of the archive by their names there."""
    batch, counts = found.batch, {status.value: count for status, count in found.counts.items()}
    made_at = wire_now()
    head = {
        "batchId": batch.id,
        "name": batch.name,
        "status": batch.status.value,
        "total": batch.total,
        "counts": counts,
    }
    summary = ", ".join(f"{count:,} {status}" for status, count in counts.items() if count)
    sheet = contact_sheet(
        current_app.jinja_env.get_template("contact_sheet.html"),
        title=batch.name or f"Batch {batch.id}",
        batch_id=batch.id,
        made_at=made_at,
        summary=f"{batch.total:,} items: {summary}",
        words=WORDS,
    )
    return {
        "index.csv": csv_index,
        "index.json": json_index({**head, "timestamp": made_at}),
        "index.html": sheet,
    }
