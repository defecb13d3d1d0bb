"""Pictures in a folder: names that every file system accepts, nothing overwritten, nothing fetched twice."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from imagefleet.client import Client
from imagefleet.models import ImageRequest
from imagefleet.saving import prepare, save_all, stem_of
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.wire_answers import ID, image

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [
        ("A red fox!", "a-red-fox"),
        ("  Käfer, 中文  ", "käfer-中文"),
        ("../../etc/passwd", "etc-passwd"),
        ("CON", "con-picture"),
        ("lpt1", "lpt1-picture"),
        ("a:b*c?<d>|\x1b[31m\n", "a-b-c-d-31m"),
        ("…", ID),
        ("", ID),
        ("\ud800x", "x"),
        ("中" * 100, "中" * 20),
        ("word " * 40, "-".join(["word"] * 12)),
    ],
)
def test_a_file_is_named_after_the_prompt(prompt: str, stem: str) -> None:
    assert stem_of(prompt, ID) == stem


def request(*contents: bytes, request_id: str = ID) -> ImageRequest:
    images = [
        image(f"/generated-images/{request_id}_{number}.jpg", each, sha256=hashlib.sha256(each).hexdigest())
        for number, each in enumerate(contents, 1)
    ]
    fields = {"requestId": request_id, "status": "completed", "metadata": {"prompt": "A fox"}, "images": images}
    return ImageRequest.read(fields)


def test_no_file_is_overwritten_and_no_picture_fetched_twice(
    fleet: Client, scripted: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "a-fox.jpg").write_bytes(b"mine")
    for number, each in enumerate((b"one", b"two"), 1):
        scripted.on("GET", f"/generated-images/{ID}_{number}.jpg", Reply(each))
    first = save_all(fleet, request(b"one"), tmp_path)
    again = save_all(fleet, request(b"one"), tmp_path)
    both = save_all(fleet, request(b"one", b"two"), tmp_path)
    assert [file.name for file in (*first, *again)] == ["a-fox-2.jpg"] * 2
    assert [file.name for file in both] == ["a-fox-1.jpg", "a-fox-2-2.jpg"]
    assert (tmp_path / "a-fox.jpg").read_bytes() == b"mine"
    assert [file.read_bytes() for file in both] == [b"one", b"two"]
    assert len(scripted.requests_to("GET", f"/generated-images/{ID}_1.jpg")) == 2
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_full_disk_is_named_before_anything_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 15_000_000, 15_000_000))
    prepare(tmp_path, 1)
    with pytest.raises(OSError, match="No space left on device") as caught:
        prepare(tmp_path, 2)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path))
