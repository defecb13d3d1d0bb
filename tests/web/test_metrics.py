"""`/metrics`: what is counted, what is looked up, and for whom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from app.container import Services
from app.domain.access import Role, Scope
from app.domain.errors import Unavailable
from app.factory import create_app
from app.version import VERSION

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "monitoring"


def scraped(client: FlaskClient) -> Mapping[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(client.get("/metrics").get_data(as_text=True))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(client: FlaskClient, name: str, **labels: Any) -> float:
    return scraped(client).get((name, frozenset(labels.items())), 0)


def submit(client: FlaskClient, **body: Any) -> None:
    assert client.post("/api/images/generate", json={"prompt": "a fox", **body}).status_code == 200


def test_requests_are_counted_by_their_route(client: FlaskClient) -> None:
    labels = {"method": "GET", "route": "/api/images/<id:request_id>", "status": "404"}
    before = value(client, "imagefleet_http_request_seconds_count", **labels)
    for number in range(3):
        assert client.get(f"/api/images/unknown-{number}").status_code == 404
    assert value(client, "imagefleet_http_request_seconds_count", **labels) == before + 3


def test_methods_and_paths_of_clients_make_no_series(client: FlaskClient) -> None:
    client.open("/no/such/path", method="BREW")
    names = {label for _, labels in scraped(client) for label in labels}
    assert ("route", "unknown") in names
    assert not any("BREW" in text or "no/such" in text for _, text in names)


def test_the_queue_is_shown_by_model_and_priority(client: FlaskClient) -> None:
    submit(client, model="sdxl")
    submit(client, model="sdxl", priority="low")
    submit(client, model="sdxl", priority="low")
    assert value(client, "imagefleet_queue_depth", queue="sdxl", priority="low") == 2
    assert value(client, "imagefleet_queue_depth", queue="sdxl", priority="normal") == 1
    assert value(client, "imagefleet_extensions", state="ready") == 0


def test_submissions_are_counted_also_those_of_batches(client: FlaskClient) -> None:
    before = value(client, "imagefleet_request_steps_total", step="submit")
    submit(client)
    items = [{"prompt": "a fox"}, {"prompt": "a hen"}]
    assert client.post("/api/batches", json={"items": items}).status_code < 300
    assert value(client, "imagefleet_request_steps_total", step="submit") == before + 3


def test_without_the_database_there_is_still_an_answer(client: FlaskClient, services: Services) -> None:
    services.ports.database.read = _unavailable  # type: ignore[assignment,method-assign]
    assert client.get("/metrics").status_code == 200
    assert value(client, "imagefleet_database_up") == 0
    assert value(client, "imagefleet_build_info", version=VERSION) == 1


def test_where_authentication_is_required_operators_alone_see_them(guarded: Services) -> None:
    client = create_app(guarded.settings, guarded).test_client()
    guarded.accounts.create_user("olga", Role.OPERATOR)
    guarded.accounts.create_user("ann", Role.USER)
    keys = [guarded.accounts.create_key("olga", [Scope.ADMIN]), guarded.accounts.create_key("ann", [Scope.READ])]
    answers = [client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).status_code for key in keys]
    assert (client.get("/metrics").status_code, *answers) == (401, 200, 403)


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json", "../monitoring.md"])
def test_what_the_docs_name_is_measured(file: str) -> None:
    named = set(re.findall(r"imagefleet_[a-z_]+", (FOLDER / file).read_text()))
    plain = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in named}
    source = (ROOT / "app/adapters/metrics.py").read_text() + (ROOT / "app/web/metrics.py").read_text()
    assert plain <= set(re.findall(r'"(imagefleet_[a-z_]+)"', source))
    assert plain


def test_every_metric_is_explained() -> None:
    text = (FOLDER / "../monitoring.md").read_text()
    source = (ROOT / "app/adapters/metrics.py").read_text() + (ROOT / "app/web/metrics.py").read_text()
    names = set(re.findall(r'"(imagefleet_[a-z_]+)"', source))
    assert {name for name in names if f"`{name}" not in text} == set()


def _unavailable(_work: object) -> Any:
    raise Unavailable("The database cannot be reached.")
