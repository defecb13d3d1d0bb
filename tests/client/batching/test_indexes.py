"""Names of pictures and indexes of a folder, which nothing that people write can break out of."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from imagefleet.batching.entries import Entry, SavedPicture
from imagefleet.batching.indexes import write_indexes
from imagefleet.batching.names import digits_of, picture_name
from imagefleet.models import Batch

HOSTILE = '</p><script>alert(1)</script><img src=x onerror="x">\' "'
BATCH = Batch.read(
    {"batchId": "b1", "status": "completed", "name": HOSTILE, "counts": {"total": 3, "completed": 2, "failed": 1}}
)


@pytest.mark.parametrize(
    ("custom_id", "name"),
    [
        (None, "0017.png"),
        ("panel-17", "0017-panel-17.png"),
        ("../../etc/passwd", "0017-_.._etc_passwd.png"),
        ('a<b>:"c|?*\\', "0017-a_b___c____.png"),
        ("CON", "0017-CON.png"),
        (" . ", "0017.png"),
        ("a\u202egnp.exe\x00", "0017-agnp.exe.png"),
        ("cafe\u0301", "0017-caf\u00e9.png"),
        ("\u4e2d" * 100, f"0017-{chr(0x4E2D) * 33}.png"),
    ],
)
def test_a_name_suits_every_file_system(custom_id: str | None, name: str) -> None:
    assert picture_name(17, 4, custom_id, 0, 1, "/generated-images/a_1.png") == name


def test_a_name_tells_several_pictures_apart_and_has_the_type_of_the_file() -> None:
    assert picture_name(17, digits_of(12_000), "a", 1, 2, "/x/a.JPEG") == "00017-a-2.jpeg"
    assert picture_name(17, digits_of(30), "a", 0, 1, "/x/a.php") == "0017-a.png"


class _Page(HTMLParser):
    """The tags of a page, and the addresses of its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture = SavedPicture("/generated-images/r1_1.png", "0001-a #1%.png", "ab", 10, 64, 48)
    entries = [
        Entry(1, "r1", "completed", "a #1%", HOSTILE, None, "sdxl", 7, pictures=(picture,)),
        Entry(
            2, "r2", "failed", "=1+1", "+cmd|' /C calc'!A0", code="ERR_TIMEOUT", error=f"It took too long. {HOSTILE}"
        ),
        Entry(3, "r3", "completed", "b", "\ud800 lone", pictures=(SavedPicture("", problem="It was removed."),)),
    ]
    write_indexes(tmp_path, BATCH, lambda: iter(entries))
    return tmp_path


def test_the_contact_sheet_shows_texts_as_texts(folder: Path) -> None:
    page = _Page()
    page.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert not any(name.startswith("on") for each in page.attributes for name in each)
    images = [each for each in page.attributes if "src" in each]
    assert [(each["src"], each["loading"]) for each in images] == [("0001-a%20%231%25.png", "lazy")]
    assert page.text.count("<script>alert(1)</script>") == 4  # title, heading, prompt and reason
    assert "It took too long." in page.text
    assert "It was removed." in page.text
    assert "http" not in "".join(
        value or "" for each in page.attributes for value in each.values() if value != "http-equiv"
    )


def test_the_table_has_no_formulas(folder: Path) -> None:
    with (folder / "index.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (rows[1]["customId"], rows[1]["prompt"]) == ("'=1+1", "'+cmd|' /C calc'!A0")
    assert [row["file"] for row in rows] == ["0001-a #1%.png", "", ""]
    assert rows[2]["problem"] == "It was removed."


def test_the_index_for_programs_is_json_with_the_names_of_the_api(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    assert (index["batchId"], index["total"], len(index["items"])) == ("b1", 3, 3)
    assert index["items"][0]["images"][0] == {
        "file": "0001-a #1%.png", "imagePath": "/generated-images/r1_1.png", "width": 64, "height": 48, "bytes": 10, "sha256": "ab",
    }  # fmt: skip
    assert index["items"][1]["code"] == "ERR_TIMEOUT"
    assert sorted(path.name for path in folder.iterdir()) == ["index.csv", "index.html", "index.json"]
