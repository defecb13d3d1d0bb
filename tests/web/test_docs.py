"""The examples in `docs/` work as they are written, on both databases."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.container import Services
from app.domain import webhooks
from tests.support import doc_examples
from tests.support.downloads import PNG
from tests.support.fakes import Bench
from tests.support.harness import PICTURE, Harness

PAGES = doc_examples.pages()


def test_there_are_pages_with_examples() -> None:
    assert {"styles.md", "caching.md", "webhooks.md"} <= {*PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_are_answered_as_it_says(
    client: FlaskClient, bench: Bench, services: Services, page: str
) -> None:
    harness = Harness(bench, services)
    bench.fetch.answers[PICTURE] = PNG

    def make_pictures() -> None:
        """Have an extension make what waits, one request after the other."""
        holder = harness.connect()
        while harness.assign():
            [request_id] = [
                message["requestId"] for message in bench.bus.sent("generate_image") if message["requestId"] not in made
            ]
            made.append(request_id)
            job = services.lookup.details(request_id).job
            harness.report_image(holder, job)
            harness.run_downloads()
            services.reuse.resolve_all()
        services.extensions.disconnected(holder.connection_id)

    made: list[str] = []
    doc_examples.run(client, page, make_pictures)


def test_the_example_that_verifies_a_signature_does() -> None:
    example: dict[str, Any] = {}
    [code] = [text for kind, text, _ in doc_examples.blocks("webhooks.md") if kind == "python"]
    exec(code, example)
    secret, body, now_s = webhooks.secret_bytes(b"key", "a", 1), b'{"type":"image.completed"}', int(time.time())
    text = webhooks.secret_text(secret)
    other = webhooks.secret_bytes(b"key", "a", 2)
    sent = webhooks.headers([other, secret], "evt_1", now_s, body)
    assert example["verified"](text, sent, body) == {"type": "image.completed"}
    forged = webhooks.headers([other], "evt_1", now_s, body)
    replayed = webhooks.headers([secret], "evt_1", now_s - 3_600, body)
    for headers, content in ((forged, body), (replayed, body), (sent, body + b" ")):
        with pytest.raises(ValueError, match=r"old|secret"):
            example["verified"](text, headers, content)
