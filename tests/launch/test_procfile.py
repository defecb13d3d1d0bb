"""Procfiles, our own and those of operators."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.launch.checks import NotReady
from app.launch.procfile import read_procfile
from tests.support.fake_programs import ROOT


def written(folder: Path, text: str) -> Path:
    (folder / "Procfile").write_text(text)
    return folder / "Procfile"


def test_the_procfile_lists_worker_web_and_beat_in_the_order_of_their_start() -> None:
    processes = read_procfile(ROOT / "Procfile")
    assert list(processes) == ["worker", "web", "beat"]
    assert processes["worker"] == ("python", "-m", "worker")


def test_comments_and_empty_lines_are_ignored_and_quoted_arguments_kept_together(tmp_path: Path) -> None:
    path = written(tmp_path, "# first\n\n  web:  serve --title 'two words' --url http://x:1\n   # last\nbeat-2:tick")
    assert read_procfile(path) == {
        "web": ("serve", "--title", "two words", "--url", "http://x:1"),
        "beat-2": ("tick",),
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("web serve", "Procfile, line 1: 'web serve' must be `name: command`, with a name that no other line has."),
        ("web:", "Procfile, line 1: 'web:' must be `name: command`, with a name that no other line has."),
        ("\nweb: a\nweb: b", "Procfile, line 3: 'web: b' must be `name: command`, with a name that no other line has."),
        ("web: say 'so", 'Procfile, line 1: "say \'so" cannot be read (No closing quotation).'),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(NotReady) as refused:
        read_procfile(written(tmp_path, text))
    assert str(refused.value) == complaint


def test_a_missing_procfile_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="Procfile cannot be read \\(No such file or directory\\)"):
        read_procfile(tmp_path / "Procfile")
