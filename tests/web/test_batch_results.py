"""The results of a batch over HTTP: the archive, its indexes, and lines of JSON."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from html.parser import HTMLParser
from typing import Any, BinaryIO

import pytest
from flask.testing import FlaskClient
from PIL import Image

from app.adapters.store import LocalStore, StoreError
from app.container import Services
from app.db import images
from app.db.batches import Batch
from app.db.images import StoredImage
from app.domain.access import Role, Scope
from app.domain.batches import BatchDefaults, BatchItem, NewBatch
from app.domain.images import file_name
from app.domain.states import Status
from app.factory import create_app
from app.services.batch_results import PAGE
from tests.support import batches
from tests.support.fakes import Bench
from tests.support.harness import Harness

MIB = 2**20
HOSTILE = '<img src=x onerror=alert(1)> "&amp; =1+1'


def png(colour: str = "green", side: int = 4) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def harness(bench: Bench, services: Services) -> Harness:
    """A harness on the services of the application."""
    return Harness(bench, services)


def create(harness: Harness, items: list[BatchItem], name: str | None = "chapter 1") -> Batch:
    new = NewBatch("ann", items, BatchDefaults(), name, concurrency=100)
    return harness.services.batch_creation.create(new, "correlation-1").batch


def complete(harness: Harness, batch: Batch, number: int, *contents: bytes) -> list[StoredImage]:
    """Complete the item with pictures of these contents."""
    job = batches.requests(harness, batch)[number - 1]
    pictures = []
    for position, content in enumerate(contents):
        name = file_name(job.id, 1 + position)
        with harness.bench.store.stage() as staged:
            staged.file.write(content)
            harness.bench.store.publish(staged, name)
        pictures.append(StoredImage(position, name, None, 4, 4, len(content), "0" * 64))
    harness.bench.database.write(lambda tx: images.add(tx, job.id, pictures))
    metadata = {"seed": 7 + number}
    harness.update_job(job, status=Status.COMPLETED, held_since=None, source_metadata=metadata)
    return pictures


def results(client: FlaskClient, batch: Batch, query: str = "") -> Any:
    return client.get(f"/api/batches/{batch.id}/results{query}")


def archive(client: FlaskClient, batch: Batch) -> zipfile.ZipFile:
    answer = results(client, batch)
    assert answer.status_code == 200
    found = zipfile.ZipFile(io.BytesIO(answer.data))
    assert found.testzip() is None
    return found


def table(found: zipfile.ZipFile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(found.read("index.csv").decode("utf-8-sig"))))


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_archive_contains_every_picture_under_the_number_and_name_of_its_item(
    client: FlaskClient, harness: Harness
) -> None:
    batch = create(harness, [BatchItem("a", "cover"), BatchItem("b"), BatchItem("c", "CON/..")])
    complete(harness, batch, 1, png("green"))
    complete(harness, batch, 2, png("red"))
    complete(harness, batch, 3, png("blue"), png("white"))
    found = archive(client, batch)
    assert found.namelist() == [
        "0001-cover.png", "0002.png", "0003-CON_-1.png", "0003-CON_-2.png", "index.csv", "index.json", "index.html",
    ]  # fmt: skip
    assert found.read("0002.png") == png("red")
    assert found.read("0003-CON_-2.png") == png("white")


def test_the_archive_is_named_after_the_batch(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a")], "Chapter 3: störm")
    answer = results(client, batch)
    assert answer.content_type == "application/zip"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"batch Chapter 3_ st?rm.zip\"; filename*=UTF-8''batch%20Chapter%203_%20st%C3%B6rm.zip"
    )


def test_while_the_batch_runs_the_archive_has_what_is_there(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a", "p1"), BatchItem("b", "p2"), BatchItem("c", "p3")])
    complete(harness, batch, 2, png())
    harness.services.cancellation.cancel(batches.requests(harness, batch)[2].id)
    found = archive(client, batch)
    assert found.namelist()[0] == "0002-p2.png"
    assert [(row["customId"], row["status"], row["file"]) for row in table(found)] == [
        ("p1", "accepted", ""),
        ("p2", "completed", "0002-p2.png"),
        ("p3", "cancelled", ""),
    ]


def test_every_index_describes_every_item(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a red fox", "p1", "flux-2", {"width": 64}), BatchItem("b")])
    complete(harness, batch, 1, png())
    failed = batches.requests(harness, batch)[1]
    harness.update_job(
        failed, status=Status.FAILED, held_since=None, error_code="ERR_TIMEOUT", error="It took too long"
    )
    found = archive(client, batch)
    listed = json.loads(found.read("index.json"))
    assert {name: listed[name] for name in ("batchId", "name", "total")} == {
        "batchId": batch.id,
        "name": "chapter 1",
        "total": 2,
    }
    first, second = listed["items"]
    assert (first["index"], first["customId"], first["status"]) == (1, "p1", "completed")
    assert (first["metadata"]["model"], first["metadata"]["seed"], first["parameters"]) == ("flux-2", 8, {"width": 64})
    assert [each["file"] for each in first["images"]] == ["0001-p1.png"]
    assert (second["status"], second["code"], second["error"]) == ("failed", "ERR_TIMEOUT", "It took too long")
    rows = table(found)
    assert [(row["index"], row["prompt"], row["model"], row["seed"], row["code"]) for row in rows] == [
        ("1", "a red fox", "flux-2", "8", ""),
        ("2", "b", "dall-e-3", "", "ERR_TIMEOUT"),
    ]
    page = Tags(found.read("index.html").decode())
    assert "a red fox" in page.text
    assert "It took too long" in page.text
    assert [attributes["src"] for tag, attributes in page.tags if tag == "img"] == ["0001-p1.png"]


def test_the_contact_sheet_refers_to_nothing_but_the_archive(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a", "50% #1? ü"), BatchItem(HOSTILE, "<b>&")], HOSTILE)
    complete(harness, batch, 1, png())
    complete(harness, batch, 2, png())
    found = archive(client, batch)
    page = Tags(found.read("index.html").decode())
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    addresses = [attributes[name] for _, attributes in page.tags for name in ("src", "href") if name in attributes]
    assert addresses == [
        "index.csv",
        "index.json",
        *(2 * ["0001-50%25%20%231_%20%C3%BC.png"]),
        *(2 * ["0002-_b_%26.png"]),
    ]
    assert {"0001-50% #1_ ü.png", "0002-_b_&.png"} < set(found.namelist())
    assert HOSTILE in page.text


def test_the_table_contains_no_formulas(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("=1+1", "@x"), BatchItem('-2, "a"\n=3', "b")])
    rows = table(archive(client, batch))
    assert [(row["prompt"], row["customId"]) for row in rows] == [("'=1+1", "'@x"), ('\'-2, "a"\n=3', "b")]


def test_a_picture_that_is_lost_is_named_in_the_indexes_and_the_rest_is_there(
    client: FlaskClient, harness: Harness
) -> None:
    batch = create(harness, [BatchItem("a"), BatchItem("b")])
    [lost] = complete(harness, batch, 1, png())
    complete(harness, batch, 2, png())
    harness.bench.store.delete(lost.file)
    found = archive(client, batch)
    assert found.namelist()[0] == "0002.png"
    assert [(row["file"], "missing" in row["problem"]) for row in table(found)] == [("", True), ("0002.png", False)]
    assert "missing" in Tags(found.read("index.html").decode()).text


class FailingFile(io.BytesIO):
    """A file whose disk fails after the first chunk."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise OSError("The disk failed")
        return super().read(size)


@pytest.mark.parametrize("fails", ["to open", "to be read"])
def test_a_picture_that_cannot_be_read_does_not_break_the_archive(
    client: FlaskClient, harness: Harness, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    batch = create(harness, [BatchItem("a"), BatchItem("b")])
    complete(harness, batch, 1, bytes(200_000))
    complete(harness, batch, 2, png())
    first = batches.requests(harness, batch)[0].id
    real = LocalStore.open

    def opened(store: LocalStore, name: str) -> BinaryIO | None:
        if not name.startswith(first):
            return real(store, name)
        if fails == "to open":
            raise StoreError("The disk failed.")
        return FailingFile(bytes(200_000))

    monkeypatch.setattr(LocalStore, "open", opened)
    found = archive(client, batch)
    assert found.read("0002.png") == png()
    assert [bool(row["problem"]) for row in table(found)] == [True, False]


def test_lines_of_json_describe_the_items_without_an_archive(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a", "p1"), BatchItem("b")])
    [picture] = complete(harness, batch, 1, png())
    answer = results(client, batch, "?format=jsonl")
    assert answer.content_type == "application/x-ndjson"
    first, second = map(json.loads, answer.text.splitlines())
    assert (first["customId"], first["status"], first["metadata"]["prompt"]) == ("p1", "completed", "a")
    [image] = first["images"]
    assert image["imagePath"] == f"/generated-images/{picture.file}"
    for address in (image["signedUrl"], *image["thumbnails"].values()):
        assert address.startswith("http://localhost/generated-images/")
        assert client.get(address).status_code == 200
    assert (second["index"], second["status"], "images" in second) == (2, "accepted", False)


def test_all_pages_of_a_large_batch_are_in_the_results(client: FlaskClient, harness: Harness) -> None:
    count = 2 * PAGE
    batch = create(harness, [BatchItem(f"panel {n}") for n in range(count)])
    answer = results(client, batch, "?format=jsonl")
    assert [json.loads(line)["index"] for line in answer.text.splitlines()] == list(range(1, count + 1))
    assert len(table(archive(client, batch))) == count


def test_no_more_than_one_picture_is_in_memory_or_open(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem(f"panel {n}") for n in range(10)])
    for number in range(1, 11):
        complete(harness, batch, number, bytes(4 * MIB))
    opened: list[BinaryIO] = []
    real = LocalStore.open

    def remembered(store: LocalStore, name: str) -> BinaryIO | None:
        assert all(each.closed for each in opened)
        content = real(store, name)
        assert content is not None
        opened.append(content)
        return content

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(LocalStore, "open", remembered)
        answer = client.get(f"/api/batches/{batch.id}/results", buffered=False)
        tracemalloc.start()
        try:
            sent = sum(map(len, answer.iter_encoded()))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert sent > 40 * MIB
    assert peak < 3 * MIB
    assert len(opened) == 10
    assert opened[-1].closed


def test_a_client_that_leaves_ends_the_work(
    client: FlaskClient, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = create(harness, [BatchItem("a"), BatchItem("b")])
    complete(harness, batch, 1, bytes(MIB))
    complete(harness, batch, 2, bytes(MIB))
    opened: list[BinaryIO] = []
    real = LocalStore.open

    def remembered(store: LocalStore, name: str) -> BinaryIO | None:
        content = real(store, name)
        assert content is not None
        opened.append(content)
        return content

    monkeypatch.setattr(LocalStore, "open", remembered)
    answer = client.get(f"/api/batches/{batch.id}/results", buffered=False)
    pieces = answer.iter_encoded()
    assert next(pieces)[:2] == b"PK"
    assert [each.closed for each in opened] == [False]
    answer.close()
    assert [each.closed for each in opened] == [True]


def test_results_of_other_users_do_not_exist(guarded: Services, bench: Bench) -> None:
    for user in ("ann", "bob"):
        guarded.accounts.create_user(user, Role.USER)
    batch = create(Harness(bench, guarded), [BatchItem("a")])
    client = create_app(guarded.settings, guarded).test_client()
    for user, status in (("ann", 200), ("bob", 404)):
        key = guarded.accounts.create_key(user, (Scope.READ,))
        answer = client.get(f"/api/batches/{batch.id}/results", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    assert client.get(f"/api/batches/{batch.id}/results").status_code == 401


@pytest.mark.parametrize(("path", "status"), [("no-batch", 404), ("no-batch?format=rar", 400)])
def test_what_cannot_be_sent_is_a_problem(client: FlaskClient, path: str, status: int) -> None:
    name, _, query = path.partition("?")
    assert client.get(f"/api/batches/{name}/results?{query}").status_code == status


def test_pictures_that_were_removed_are_in_the_indexes_as_such(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a"), BatchItem("b")])
    complete(harness, batch, 1, png())
    complete(harness, batch, 2, png("red"))
    first = batches.requests(harness, batch)[0]
    harness.services.removal.remove(first.id)
    found = archive(client, batch)
    assert found.namelist() == ["0002.png", "index.csv", "index.json", "index.html"]
    assert [row["problem"] for row in table(found)] == ["The picture was removed.", ""]
    removed, kept = json.loads(found.read("index.json"))["items"]
    assert removed["picturesRemovedAt"]
    assert "picturesRemovedAt" not in kept
    assert "The picture was removed." in Tags(found.read("index.html").decode()).text
    line = json.loads(results(client, batch, "?format=jsonl").text.splitlines()[0])
    assert [each["problem"] for each in line["images"]] == ["The picture was removed."]
    assert not {"signedUrl", "thumbnails"} & set(line["images"][0])


def test_the_results_of_an_item_say_until_when_its_pictures_are_kept(client: FlaskClient, harness: Harness) -> None:
    batch = create(harness, [BatchItem("a"), BatchItem("b"), BatchItem("c")])
    complete(harness, batch, 1, png())
    complete(harness, batch, 2, png("red"))
    harness.update_job(batches.requests(harness, batch)[0], remove_at=1_800_000_000_000)
    kept, for_ever, waiting = map(json.loads, results(client, batch, "?format=jsonl").text.splitlines())
    assert kept["keepUntil"] == client.get(f"/api/images/{kept['requestId']}").json["keepUntil"]
    assert "keepUntil" not in for_ever
    assert "keepUntil" not in waiting
    harness.services.removal.remove(kept["requestId"])
    removed = json.loads(results(client, batch, "?format=jsonl").text.splitlines()[0])
    assert "keepUntil" not in removed
