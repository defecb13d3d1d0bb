"""The types that the library has for its users, in the strict modes of mypy and pyright."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLIENT = str(ROOT / "client")
BIN = Path(sys.executable).parent

PROGRAM = """
import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

from typing_extensions import assert_type

from imagefleet import (
    Accepted, AsyncClient, Batch, BatchEvent, BatchItem, Client, Event, ImageRequest, ImagefleetError, InvalidRequest, NewItem,
    Status, StoredPicture, Style, error_of,
)


def show(status: Status) -> None:
    print(status.status, status.progress, status.queue.reason if status.queue else None)


def everything(folder: Path) -> list[Path]:
    with Client("http://localhost:3000", key="imgk_a_b") as client:
        accepted = client.submit("A fox", width=640, parameters={"seed": 7}, priority="low", cache="prefer")
        assert_type(accepted, Accepted)
        result = client.wait(accepted.request_id, progress=show, timeout_s=60)
        assert_type(result, ImageRequest)
        assert_type(result.images, tuple[StoredPicture, ...])
        assert_type(result.updated_at, datetime | None)
        for event in client.stream(accepted.request_id):
            assert_type(event, Event)
        batch = client.batch(["A fox", {"prompt": "A hen"}, NewItem(prompt="A cat", custom_id="c")], concurrency=4)
        assert_type(batch, Batch)
        for item in client.follow_batch(batch.batch_id):
            assert_type(item, BatchItem)
        assert_type(client.stream_batch(batch.batch_id), Iterator[BatchEvent])
        names = [style.name for style in client.styles()]
        assert_type(names, list[str])
        assert_type(client.put_style("noir", "{prompt}"), Style)
        return [client.download(picture, folder / f"{n}.png") for n, picture in enumerate(result.images)]


async def the_same() -> AsyncIterator[BatchItem]:
    async with AsyncClient() as client:
        accepted = await client.submit("A fox")
        assert_type(accepted, Accepted)
        async for event in client.stream(accepted.request_id):
            assert_type(event, Event)
        async for item in client.batch_items("b"):
            yield item


def refused(error: ImagefleetError) -> str:
    if isinstance(error, InvalidRequest):
        return ", ".join(each.reason or "" for each in error.errors)
    return f"{error.code} {error.retry_after_s or 0 + 1.0} {error_of(error.code)}"


asyncio.run(asyncio.sleep(0))
"""
WRONG = """
from imagefleet import Client

with Client() as client:
    client.submit(7)
    client.submit("A fox", wide=640)
    client.submit("A fox", priority="urgent")
    client.download("a.png", "b.png")
    print(client.get("id").prompts)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    return tmp_path


def test_a_program_of_a_user_passes_mypy_and_its_mistakes_do_not(project: Path) -> None:
    (project / "mypy.ini").write_text(f"[mypy]\nstrict = True\nmypy_path = {CLIENT}\nfollow_imports = silent\n")
    words = [sys.executable, "-m", "mypy", "--no-incremental", "program.py", "wrong.py"]
    ended = subprocess.run(words, check=False, cwd=project, capture_output=True, text=True)
    lines = [line for line in ended.stdout.splitlines() if ": error:" in line]
    assert {line.split(":")[0] for line in lines} == {"wrong.py"}, ended.stdout
    assert {int(line.split(":")[1]) for line in lines} == set(range(5, 10)), ended.stdout


def test_a_program_of_a_user_passes_pyright_and_its_mistakes_do_not(project: Path) -> None:
    settings = {"typeCheckingMode": "strict", "extraPaths": [CLIENT], "include": ["program.py", "wrong.py"]}
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    words = [str(BIN / "basedpyright"), "--outputjson", "--pythonpath", sys.executable]
    ended = subprocess.run(words, check=False, cwd=project, capture_output=True, text=True)
    found = json.loads(ended.stdout)["generalDiagnostics"]
    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"] for each in found}
    assert set(lines) == {("wrong.py", line) for line in range(5, 10)}, lines
