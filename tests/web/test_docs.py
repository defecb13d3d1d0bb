"""The examples in `docs/` work as they are written, on both databases."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.container import Services
from tests.support import doc_examples
from tests.support.downloads import PNG
from tests.support.fakes import Bench
from tests.support.harness import PICTURE, Harness

PAGES = doc_examples.pages()


def test_there_are_pages_with_examples() -> None:
    assert {"styles.md", "caching.md"} <= {*PAGES}


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
        services.extensions.disconnected(holder.connection_id)

    made: list[str] = []
    doc_examples.run(client, page, make_pictures)
