"""The examples in `docs/` work as they are written, on both databases."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.support import doc_examples

PAGES = doc_examples.pages()


def test_there_are_pages_with_examples() -> None:
    assert "styles.md" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_are_answered_as_it_says(client: FlaskClient, page: str) -> None:
    doc_examples.run(client, page)
