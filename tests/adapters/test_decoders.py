"""Pictures are decoded in processes that may crash and hang."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from PIL import Image

from app.adapters import decoders
from app.adapters.decoders import DecoderPool, DecodersBusy
from app.domain.images import BadImage, Fault, ImageLimits, Picture
from tests.support.image_samples import encoded, png
from tests.support.processes import started
from tests.support.service import ROOT
from tests.support.waiting import until

LIMITS = ImageLimits(2**20, 10**6)


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    """A pool of two decoders."""
    pool = DecoderPool(2)
    yield pool
    pool.close()


def decoder_pids() -> set[int]:
    """The processes that decode, without those that only start them."""
    named = [child for child in psutil.Process().children(recursive=True) if "forkserver" in " ".join(child.cmdline())]
    return {child.pid for child in named if any(child in other.children() for other in named)}


class Folder:
    """Validates pictures as files of one folder."""

    def __init__(self, pool: DecoderPool, path: Path) -> None:
        self.pool = pool
        self.path = path
        self._others = decoder_pids()

    @property
    def decoders(self) -> set[int]:
        """The processes that decode for this folder; tests of other files may have left theirs."""
        return decoder_pids() - self._others

    def validated(self, content: bytes, limits: ImageLimits = LIMITS) -> tuple[Picture, bytes]:
        with (self.path / "source").open("w+b") as source, (self.path / "target").open("w+b") as target:
            source.write(content)  # not flushed
            return self.pool(source, target, limits), target.read()


@pytest.fixture
def folder(pool: DecoderPool, tmp_path: Path) -> Folder:
    return Folder(pool, tmp_path)


def test_a_picture_is_validated_in_another_process(folder: Folder) -> None:
    picture, stored = folder.validated(png(8, 8))
    assert (picture.width, picture.height, stored) == (8, 8, png(8, 8))
    assert len(folder.decoders) == 1


def test_a_decoder_is_used_again_for_the_next_picture(folder: Folder) -> None:
    folder.validated(png(8, 8))
    pids = folder.decoders
    for _ in range(3):
        folder.validated(png(8, 8))
    assert folder.decoders == pids


def test_the_verdict_on_a_bad_picture_reaches_the_caller_and_its_decoder_stays(folder: Folder) -> None:
    folder.validated(png(8, 8))
    pids = folder.decoders
    with pytest.raises(BadImage, match="not a PNG, JPEG or WEBP"):
        folder.validated(b"rubbish")
    assert folder.decoders == pids


def test_an_error_of_the_disk_reaches_the_caller(pool: DecoderPool, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with missing.open("w+b") as file:
        missing.unlink()
        with pytest.raises(FileNotFoundError):
            pool(file, file, LIMITS)


def test_a_picture_whose_decoder_is_killed_from_outside_is_validated_by_another_one(folder: Folder) -> None:
    folder.validated(png(8, 8))
    [killed] = folder.decoders
    os.kill(killed, signal.SIGKILL)
    assert folder.validated(png(8, 8))[1] == png(8, 8)
    assert killed not in folder.decoders


def die(*_: object) -> Picture:
    """Ends its process, as an error in a decoder's memory would."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def test_a_picture_that_ends_each_decoder_is_refused_and_the_next_one_is_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "_validate", die)
        with pytest.raises(BadImage, match="ends its decoder"):
            folder.validated(png(8, 8))
    assert folder.validated(png(8, 8))[1] == png(8, 8)


def test_a_picture_that_takes_too_much_time_to_decode_is_refused(tmp_path: Path) -> None:
    with closing(DecoderPool(1, cpu_s=0.05)) as pool:
        large = encoded(Image.new("RGB", (4_000, 4_000)), "WEBP", method=0)
        with pytest.raises(BadImage, match="takes too long"):
            Folder(pool, tmp_path).validated(large, ImageLimits(2**24, 16_000_000))


def blocked(pool: DecoderPool, folder: Path) -> Picture:
    """Validate a picture in a pipe, which the decoder cannot open before somebody writes to it."""
    os.mkfifo(folder / "pipe")
    source: Any = SimpleNamespace(name=str(folder / "pipe"), flush=lambda: None)
    with (folder / "blocked").open("w+b") as target:
        return pool(source, target, LIMITS)


def test_a_machine_that_is_too_slow_is_not_the_fault_of_the_picture(tmp_path: Path) -> None:
    with closing(DecoderPool(1, time_s=0.5)) as pool, pytest.raises(DecodersBusy) as raised:
        blocked(pool, tmp_path)
    assert (raised.value.fault, raised.value.retryable) == (Fault.SERVICE, True)


def test_pictures_wait_for_a_decoder_only_for_a_while(tmp_path: Path) -> None:
    with closing(DecoderPool(1, wait_s=0.01)) as pool, ThreadPoolExecutor(1) as threads:
        folder = Folder(pool, tmp_path)
        first = threads.submit(blocked, pool, tmp_path)
        until(lambda: folder.decoders, 30, "the decoder to start")
        with pytest.raises(DecodersBusy):
            folder.validated(png(8, 8))
        (tmp_path / "pipe").open("wb").close()
        with pytest.raises(OSError, match="seek"):
            first.result(30)


HOLDS_A_DECODER = """
import signal
import sys
from pathlib import Path

from app.adapters.decoders import DecoderPool
from app.domain.images import ImageLimits

pool = DecoderPool(1)
with Path(sys.argv[1]).open("rb") as source, Path(sys.argv[2]).open("w+b") as target:
    pool(source, target, ImageLimits(2**20, 10**6))
print("decoded", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_decoders_end_with_the_process_that_uses_them(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "source").write_bytes(png(8, 8))
    command = [sys.executable, "-c", HOLDS_A_DECODER, str(tmp_path / "source"), str(tmp_path / "target")]
    with started(command, ROOT) as holder:
        holder.wait_for_output("decoded")
        assert len(holder.family()) >= 3
        holder.send(number)
        holder.wait_until_all_ended()
