"""Pictures are saved completely and verified, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagefleet.client import Client
from imagefleet.errors import ConnectionLost, Refused
from imagefleet.models import StoredPicture
from tests.support.scripted_server import CUT, Reply, ScriptedServer

PATH = "/generated-images/a b.png"
CONTENT = bytes(range(256)) * 1000
IMAGE = StoredPicture(image_path=PATH, bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
SHORT = Reply(CONTENT[:1000], headers={"Content-Length": str(len(CONTENT))}, cut=True)


def test_a_picture_is_saved_at_the_given_path(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, Reply(CONTENT))
    assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["mine.png"]


def test_an_older_file_is_replaced(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    (tmp_path / "mine.png").write_bytes(b"older")
    scripted.on("GET", PATH, Reply(CONTENT))
    assert fleet.download(StoredPicture(image_path=PATH), str(tmp_path / "mine.png")).read_bytes() == CONTENT


def test_a_download_is_retried_after_a_fault(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, CUT, SHORT, Reply(CONTENT[::-1]), Reply(CONTENT))
    assert fleet.download(IMAGE, tmp_path / "mine.png").read_bytes() == CONTENT


@pytest.mark.parametrize("reply", [Reply(CONTENT + b"more"), Reply(CONTENT[::-1])])
def test_a_wrong_picture_leaves_no_file(scripted: ScriptedServer, tmp_path: Path, reply: Reply) -> None:
    (tmp_path / "mine.png").write_bytes(b"older")
    scripted.on("GET", PATH, reply)
    with Client(scripted.url, patience_s=0.1) as fleet, pytest.raises(ConnectionLost):
        fleet.download(IMAGE, tmp_path / "mine.png")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"older"]


def test_a_truncated_picture_of_unknown_size_is_refused(scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, SHORT)
    with Client(scripted.url, patience_s=0.1) as fleet, pytest.raises(ConnectionLost):
        fleet.download(StoredPicture(image_path=PATH), tmp_path / "mine.png")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_picture_is_an_error_of_the_server(fleet: Client, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Not found"):
        fleet.download(IMAGE, tmp_path / "mine.png")


def test_a_disk_error_is_reported_as_a_disk_error(fleet: Client, scripted: ScriptedServer, tmp_path: Path) -> None:
    scripted.on("GET", PATH, Reply(CONTENT))
    with pytest.raises(FileNotFoundError):
        fleet.download(IMAGE, tmp_path / "no such folder" / "mine.png")
