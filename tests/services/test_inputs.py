"""Input pictures: what is accepted, whose they are, how many there may be, and when they go."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import Connection

from app.adapters.decoders import DecodersBusy
from app.db import images, inputs
from app.db.input_tables import inputs as table
from app.db.inputs import StoredInput
from app.domain.errors import (
    InvalidImage,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    QuotaExceeded,
    Refusal,
    Unavailable,
)
from app.services import inputs as service
from app.services.cleanup import ABANDONED_MS, Cleanup
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.image_samples import png
from tests.support.statements import recorded_statements

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'


def upload(harness: Harness, data: bytes | None = None, user: str = "ann") -> StoredInput:
    return harness.services.inputs.receive(user, io.BytesIO(png() if data is None else data))


def limited(harness: Harness, **limits: int) -> Harness:
    return harness.with_settings(limits=dataclasses.replace(harness.services.settings.limits, **limits))


def intended(harness: Harness) -> list[str]:
    return harness.bench.database.write(lambda tx: images.give_up_intended(tx, tx.now + 1, 100))


def photo() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_an_input_is_a_clean_png_of_its_user(harness: Harness) -> None:
    stored = upload(harness, photo())
    file = harness.bench.ports.store.open(stored.file)
    assert file is not None
    with file:
        data = file.read()
    assert Image.open(io.BytesIO(data)).format == "PNG"
    assert b"where I live" not in data
    assert (stored.width, stored.height, stored.bytes) == (8, 6, len(data))
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert stored.expires_at - stored.created_at == 86_400_000
    assert harness.services.inputs.find(stored.id, "ann") == harness.services.inputs.find(stored.id, None) == stored
    assert intended(harness) == []


def test_the_file_is_no_picture_that_is_served(harness: Harness) -> None:
    assert harness.services.lookup.picture(upload(harness).file) is None


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", InvalidRequest),
        (SVG, InvalidRequest),
        (b"\xef\xbb\xbf" + SVG, InvalidRequest),
        (b"GIF89a" + bytes(64), InvalidRequest),
        (b"%PDF-1.7", InvalidRequest),
        (png()[:-20], InvalidImage),
        (b"\x89PNG\r\n\x1a\n" + SVG, InvalidImage),
        (png(3_000, 16), InvalidImage),
        (png() + bytes(4_000), PayloadTooLarge),
    ],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(
    harness: Harness, data: bytes, refusal: type[Refusal]
) -> None:
    strict = harness.with_settings(max_image_bytes=4_000, max_image_side=2_000)
    with pytest.raises(refusal) as caught:
        upload(strict, data)
    assert type(caught.value) is refusal
    assert harness.bench.files() == []
    assert intended(harness) == []


def test_a_body_that_breaks_off_is_refused(harness: Harness) -> None:
    with pytest.raises(InvalidRequest, match="ended after"):
        harness.services.inputs.receive("ann", io.BytesIO(png()), len(png()) + 1)
    assert harness.bench.files() == []


def test_a_fault_of_the_service_is_no_fault_of_the_picture(bench: Bench) -> None:
    def busy(*_: object) -> None:
        raise DecodersBusy("Too many.")

    ports = dataclasses.replace(bench.ports, validator=busy)  # type: ignore[arg-type]
    with pytest.raises(Unavailable) as caught:
        Harness.of(dataclasses.replace(bench, ports=ports)).services.inputs.receive("ann", io.BytesIO(png()))
    assert caught.value.retry_after_s == 5


def test_an_input_of_another_user_is_not_found(harness: Harness) -> None:
    stored = upload(harness)
    for call in (harness.services.inputs.find, harness.services.inputs.remove):
        for input_id, owner in ((stored.id, "ben"), (UNKNOWN, "ann")):
            with pytest.raises(NotFound):
                call(input_id, owner)
    assert harness.services.inputs.find(stored.id, "ann") == stored


def test_an_input_can_be_removed_once(harness: Harness) -> None:
    stored = upload(harness)
    assert harness.services.inputs.remove(stored.id, "ann") == stored
    assert harness.bench.files() == []
    with pytest.raises(NotFound):
        harness.services.inputs.remove(stored.id, "ann")


def test_an_expired_input_is_not_found_and_is_removed_by_the_sweep(harness: Harness) -> None:
    kept, expired = upload(harness), upload(harness)
    late = table.update().where(table.c.id == expired.id).values(expires_at=harness.now() - 1)
    harness.bench.database.write(lambda tx: tx.connection.execute(late))
    with pytest.raises(NotFound):
        harness.services.inputs.find(expired.id, "ann")
    assert Cleanup(harness.bench.ports).sweep() == 1
    assert harness.bench.files() == [kept.file]
    assert Cleanup(harness.bench.ports).sweep() == 0


def test_a_file_of_an_upload_that_crashed_is_removed_by_the_sweep(harness: Harness) -> None:
    stored = upload(harness)
    harness.bench.database.write(lambda tx: images.intend(tx, stored.id, [stored.file]))
    harness.bench.database.write(lambda tx: inputs.remove(tx, [stored.id]))
    assert Cleanup(harness.bench.ports).sweep(harness.now() + 100 * ABANDONED_MS) == 1
    assert harness.bench.files() == []


def test_a_removal_that_the_disk_refuses_is_made_by_the_sweep(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = upload(harness)
    with monkeypatch.context() as broken:
        broken.setattr(harness.bench.ports.store, "delete", _fail)
        harness.services.inputs.remove(stored.id, "ann")
    assert harness.bench.files() == [stored.file]
    with pytest.raises(NotFound):
        harness.services.inputs.find(stored.id, "ann")
    assert Cleanup(harness.bench.ports).sweep() == 1
    assert harness.bench.files() == []


def _fail(_: str) -> None:
    raise DecodersBusy("The disk failed.")


def test_a_user_may_have_so_many_inputs(harness: Harness) -> None:
    two = limited(harness, quota_inputs=2)
    first = upload(two)
    upload(two)
    upload(two, user="ben")
    with pytest.raises(QuotaExceeded, match="QUOTA_INPUTS"):
        upload(two)
    two.services.inputs.remove(first.id, "ann")
    upload(two)
    upload(limited(harness, quota_inputs=0))


def test_inputs_that_arrive_at_once_do_not_exceed_the_quota(harness: Harness) -> None:
    two = limited(harness, quota_inputs=2)

    def attempt(_: int) -> bool:
        try:
            upload(two)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(attempt, range(5))) == 2
    assert len(harness.bench.files()) == 2


def test_inputs_count_as_stored_bytes(harness: Harness) -> None:
    upload(harness)
    full = limited(harness, quota_stored_bytes=1)
    with pytest.raises(QuotaExceeded, match="QUOTA_STORED_BYTES"):
        upload(full)
    with pytest.raises(QuotaExceeded, match="QUOTA_STORED_BYTES"):
        full.submit()
    upload(full, user="ben")


def _plan(text: str, values: Any, connection: Connection) -> list[str]:
    return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_expired_inputs_and_those_of_a_user_are_found_by_an_index(harness: Harness) -> None:
    upload(harness)
    database = harness.bench.database
    with recorded_statements() as statements:
        database.read(lambda c: inputs.expired(c, 10))
        database.read(lambda c: inputs.count(c, "ann", 10))
    plans = []
    for text, values in statements:
        plan = database.read(partial(_plan, text, values))
        plans += [plan] if "inputs" in text else []
    assert len(plans) == 2
    for plan in plans:
        assert any("USING INDEX ix_inputs" in line or "COVERING INDEX ix_inputs" in line for line in plan), plan
        assert not any("TEMP B-TREE" in line for line in plan), plan


def test_nothing_is_discarded_of_nothing(harness: Harness) -> None:
    assert service.discard(harness.bench.ports, []) == 0
