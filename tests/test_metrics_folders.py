"""Folders of metrics: each running instance has one of its own, and shows nothing of an earlier one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import metrics_folders
from app.config import BadSetting

CLAIM = """
import sys
from pathlib import Path
from app import metrics_folders
metrics_folders.claim(Path(sys.argv[1]), "web")
from prometheus_client import Counter
Counter("things", "Things.").inc()
print(metrics_folders.os.environ["PROMETHEUS_MULTIPROC_DIR"], flush=True)
sys.stdin.read()
"""


@contextmanager
def instance(root: Path) -> Iterator[Path]:
    """A process that has claimed a folder and counted."""
    env = {name: value for name, value in os.environ.items() if name != metrics_folders.VARIABLE}
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        assert process.stdin
        assert process.stdout
        yield Path(process.stdout.readline().strip())
        process.stdin.close()


def shown(root: Path) -> list[str]:
    return [folder.name for folder in metrics_folders.instances(root)]


def test_instances_that_run_at_the_same_time_have_folders_of_their_own(tmp_path: Path) -> None:
    with instance(tmp_path) as first, instance(tmp_path) as second:
        assert [first.name, second.name] == ["web", "web-2"]
        assert shown(tmp_path) == ["web", "web-2"]
    assert shown(tmp_path) == []


def test_the_next_instance_finds_the_folder_empty(tmp_path: Path) -> None:
    with instance(tmp_path) as folder:
        assert [file.name for file in folder.glob("*.db")] != []
        before = next(folder.glob("*.db"))
    with instance(tmp_path) as again:
        assert again == folder
        assert not before.exists()


def test_an_unusable_folder_is_a_bad_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(metrics_folders.VARIABLE, raising=False)
    monkeypatch.setenv("METRICS_FOLDER", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match="METRICS_FOLDER cannot be used: Not a directory"):
        metrics_folders.claim(tmp_path / "file", "web")


def test_where_nobody_has_named_a_folder_each_process_counts_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(metrics_folders.VARIABLE, raising=False)
    monkeypatch.delenv("METRICS_FOLDER", raising=False)
    (tmp_path / "file").touch()
    metrics_folders.claim(tmp_path / "file", "web")
    assert metrics_folders.VARIABLE not in os.environ
