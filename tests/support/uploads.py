"""Sending uploads as extensions do."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from app.db.jobs import Job
from app.domain.upload_urls import UploadGrant
from app.services.signing_keys import upload_key
from app.services.uploads import Receipt, Uploads
from tests.support.fakes import Bench
from tests.support.image_samples import png

PNG = png(8, 8)


def send(
    bench: Bench,
    job: Job,
    content: bytes | BinaryIO = PNG,
    *,
    length: int | None = None,
    position: int = 0,
    **changed: Any,
) -> Receipt:
    """Send the content as the job's extension would; `changed` are fields that differ from the grant."""
    key = upload_key(bench.ports).value()
    granted: dict[str, Any] = {"request_id": job.id, "attempt": 1, "expires_at": job.updated_at + 60_000}
    signature = UploadGrant(**{**granted, **changed.pop("signed", {})}).signature(key)
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    sent = {"signature": signature, "position": position, "stream": stream, "length": length}
    return Uploads(bench.ports).receive(**{**granted, **sent, **changed})


def stored_upload(bench: Bench, job: Job, position: int = 0) -> bytes | None:
    """The content of the stored upload of a job, or None."""
    file = bench.store.open_upload(job.id, 1, position)
    if file is None:
        return None
    with file:
        return file.read()
