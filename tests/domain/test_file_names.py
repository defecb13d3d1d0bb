"""Names of files that every file system accepts."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.file_names import archive_name, picture_name, safe_part


@pytest.mark.parametrize(
    ("custom_id", "name"),
    [
        (None, "0017.png"),
        ("cover", "0017-cover.png"),
        ("chapter 1/page 2", "0017-chapter 1_page 2.png"),
        ("../../etc/passwd", "0017-_.._etc_passwd.png"),
        ("C:\\con", "0017-C__con.png"),
        ("CON", "0017-CON.png"),
        ("a.png", "0017-a.png.png"),
        ("trailing. . ", "0017-trailing.png"),
        (".hidden", "0017-hidden.png"),
        ("...", "0017.png"),
        ('<>:"|?*', "0017-_______.png"),
        ("tab\tand\u2003wide\nblanks", "0017-tab and wide blanks.png"),
        ("gnp.\u202eexe", "0017-gnp.exe.png"),
        ("\ud800\ue000\uffff", "0017.png"),
        ("e\u0301te\u0301", "0017-été.png"),
        ("\U0001f98a fox", "0017-\U0001f98a fox.png"),
        ("x" * 128, f"0017-{'x' * 100}.png"),
        ("ü" * 128, f"0017-{'ü' * 50}.png"),
        ("-rf", "0017--rf.png"),
    ],
)
def test_a_picture_is_named_after_its_item(custom_id: str | None, name: str) -> None:
    assert picture_name(17, 20, custom_id, 0, 1) == name


def test_pictures_of_one_item_are_numbered() -> None:
    assert [picture_name(3, 20, "a", n, 2) for n in (0, 1)] == ["0003-a-1.png", "0003-a-2.png"]
    assert picture_name(3, 20, None, 1, 2) == "0003-2.png"


def test_the_numbers_of_a_large_batch_are_as_long_as_its_last_one() -> None:
    names = [picture_name(n, 12_000, None, 0, 1) for n in (9_999, 10_000, 12_000)]
    assert names == ["09999.png", "10000.png", "12000.png"]


@given(st.text(max_size=128))
def test_any_text_makes_a_part_that_is_safe(text: str) -> None:
    part = safe_part(text)
    assert len(part.encode()) <= 100
    assert not set(part) & set('<>:"/\\|?*')
    assert part == part.strip(" .")
    assert all(unicodedata.category(each) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for each in part)


@given(st.lists(st.text(max_size=20) | st.none(), min_size=2, max_size=9), st.integers(1, 3))
def test_no_two_pictures_of_a_batch_have_names_that_a_file_system_may_take_for_the_same(
    custom_ids: list[str | None], images: int
) -> None:
    names = [
        unicodedata.normalize("NFC", picture_name(number, len(custom_ids), each, position, images)).casefold()
        for number, each in enumerate(custom_ids, 1)
        for position in range(images)
    ]
    assert len(set(names)) == len(names)


def test_an_archive_is_named_after_its_batch() -> None:
    assert archive_name("Chapter 3: the/storm", "id-1") == "batch Chapter 3_ the_storm.zip"
    assert archive_name(None, "id-1") == "batch id-1.zip"
    assert archive_name("...", "id-1") == "batch id-1.zip"
