"""Originals are scanned before they are decoded; a harmful or unscanned file is not stored."""

from __future__ import annotations

from typing import BinaryIO

from app.adapters.scanner import Harmful, NotScanned
from app.domain.errors import DOWNLOAD_FAILED
from app.domain.images import PictureError
from app.domain.states import Status
from tests.support.downloads import PNG, URL, make_due, run, upload, uploads
from tests.support.fakes import Bench
from tests.support.job_factory import downloading_job, update_job


class FakeScanner:
    """Returns the given results, and records what it scanned."""

    def __init__(self, *words: PictureError | None) -> None:
        self.words = list(words)
        self.seen: list[bytes] = []

    def scan(self, source: BinaryIO) -> None:
        """Return or raise the next given result."""
        source.seek(0)
        self.seen.append(source.read())
        if self.words and (word := self.words.pop(0)):
            raise word


def test_the_original_is_what_is_scanned(bench: Bench) -> None:
    scanner = FakeScanner()
    bench = bench.with_ports(scanner=scanner)
    original = PNG + b"what hangs on behind"
    bench.fetch.answers[URL] = original
    assert run(bench, downloading_job(bench, URL)).status is Status.COMPLETED
    assert scanner.seen == [original]


def test_a_harmful_original_fails_the_request_at_once_and_leaves_nothing(bench: Bench) -> None:
    bench = bench.with_ports(scanner=FakeScanner(Harmful(Harmful.__doc__))).with_settings(max_attempts=1)
    job = downloading_job(bench, URL)
    update_job(bench.database, job, sources=[upload(bench, job)])
    job = run(bench, job)
    assert (job.status, job.error_code, job.download_attempt) == (Status.FAILED, DOWNLOAD_FAILED, 1)
    assert job.error == "The scanner found something harmful in the picture's file."
    assert bench.files() == []
    assert uploads(bench, job) == []


def test_without_an_answer_of_the_scanner_the_download_waits_for_it_without_being_charged(bench: Bench) -> None:
    tries = 3 * bench.ports.settings.max_download_attempts
    bench = bench.with_ports(scanner=FakeScanner(*[NotScanned(NotScanned.__doc__) for _ in range(tries)]))
    bench.fetch.answers[URL] = PNG
    job = downloading_job(bench, URL)
    for _ in range(tries):
        make_due(bench, job)
        job = run(bench, job)
        assert bench.files() == []
        assert (job.status, job.download_attempt) == (Status.DOWNLOADING, 0)
    make_due(bench, job)
    assert run(bench, job).status is Status.COMPLETED
