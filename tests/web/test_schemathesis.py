"""The whole application against its own document, with valid and invalid requests."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import schemathesis
from flask import Flask
from hypothesis import settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig

from app.adapters.metrics import PrometheusMetrics
from app.config import Settings
from app.container import Services
from app.db.engine import Database
from app.domain.access import Role, Scope
from app.domain.upload_urls import UploadGrant
from app.domain.webhooks import Target
from app.factory import create_app
from app.services.auth_throttle import AuthThrottle
from app.services.signing_keys import upload_key
from app.web import (
    accounts,
    batch_additions,
    batch_control,
    batch_results,
    batches,
    diagnostics,
    files,
    fleet,
    images,
    inputs,
    limits,
    me,
    metrics,
    openapi,
    queue,
    status,
    styles,
    variations,
    webhooks,
)
from app.web.api import Api
from app.web.openai import images as openai_images
from app.web.openai import models as openai_models
from tests.support import fakes, job_factory
from tests.support.downloads import URL
from tests.support.fakes import Bench
from tests.support.image_samples import png
from tests.support.painter import Painter

MAX_EXAMPLES = 15

CONFIG = {
    "checks": {
        "positive_data_acceptance": {
            # The document cannot describe which keys (401) and signatures (403) are valid, which names exist (404), their state
            # (409, 410), the ETag of a file (412), the size of a file whose range is requested (416), and which keys were sent
            # with another body (422). Input images are not supported, whatever is sent (400). A request that waits because
            # another example has paused something is not done in time (504).
            "expected-statuses": ["2xx", "3xx", "400", "401", "403", "404", "409", "410", "412", "416", "422", "504"],
        },
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "504"]},
    },
}


class LazyApplication:
    """A proxy for the application, created later with its database: collecting the tests needs the document."""

    app: Flask | None = None
    key: str | None = None  # of an operator, if authentication is required

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert self.app is not None
        return self.app(environ, start_response)


def described() -> dict[str, Any]:
    """The served document; test_openapi.py checks it."""
    api, settings = Api(), Settings.from_env({})
    services = cast("Services", SimpleNamespace(settings=settings, batch_control=None))
    limiter = limits.install(Flask("document"), settings, PrometheusMetrics())
    for limited in (images, inputs, variations, batches, batch_additions, styles, webhooks, me):
        limited.operations(api, services, limiter)
    for module in (batch_control, batch_results, fleet, queue, accounts, status, diagnostics, metrics):
        module.operations(api, services)
    files.operations(api, services, cast("AuthThrottle", None))
    openai_images.operations(api, services, limiter)
    openai_models.operations(api, services)
    document = openapi.document(api.operations)
    for path in document["paths"].values():
        for operation in path.values():
            _only_json(operation.get("requestBody", {}).get("content", {}))
    return document


def _only_json(content: dict[str, Any]) -> None:
    """Leave out other formats of a body that may be JSON: a schema cannot describe the texts that are a batch."""
    if "application/json" in content:
        for kind in set(content) - {"application/json"}:
            del content[kind]


application = LazyApplication()
schema = schemathesis.openapi.from_dict(described(), config=SchemathesisConfig.from_dict(CONFIG))
schema.app = application


@pytest.fixture(scope="module", autouse=True, params=["open", "required"])
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path
) -> Iterator[Bench]:
    """The application, in both modes of access, with one fresh database for all examples."""
    folder = tmp_path_factory.mktemp("schemathesis")
    database = Database(f"sqlite:///{shutil.copyfile(migrated_sqlite_file, folder / 'imagefleet.db')}")
    bench = fakes.bench(database, folder / "generated-images")
    # a request waits in vain once another example has paused the queue
    bench = bench.with_settings(auth_required=request.param == "required", max_attempts=1, openai_wait_ms=100)
    services = Painter().services(bench)  # `/v1/images/generations` waits until its request is done
    application.app = create_app(services.settings, services)
    application.key = _operators_key(services) if services.settings.auth_required else None
    yield bench
    database.close()


def _operators_key(services: Services) -> str:
    services.accounts.create_user("olga", Role.OPERATOR)
    return str(services.accounts.create_key("olga", (Scope.READ, Scope.WRITE, Scope.ADMIN)))


@pytest.fixture(scope="module")
def services(bench: Bench) -> Services:
    """The application's services."""
    assert application.app is not None
    return cast("Services", application.app.extensions["services"])


@dataclass(frozen=True)
class Known:
    """Existing resources: final requests, so that no stream or wait is endless, a picture, and a granted upload."""

    requests: tuple[str, ...]
    file: str
    upload: str
    webhook: str
    grant: Mapping[str, Any]


@pytest.fixture(scope="module")
def known(bench: Bench, services: Services) -> Known:
    """One completed, one failed, one cancelled and one processing request."""
    job_factory.connect_extension(bench)
    completed, failed, cancelled, held = (job_factory.processing_job(bench) for _ in range(4))
    bench.fetch.answers[URL] = png(8, 8)
    job_factory.report_generated(bench, completed, URL)
    job_factory.report_generated(bench, failed, "data:image/png;base64,AAAA")
    services.download.run()
    services.cancellation.cancel(cancelled.id)
    views = [services.lookup.details(job.id) for job in (completed, failed, cancelled)]
    assert [view.job.status for view in views] == ["completed", "failed", "cancelled"]
    webhook = services.webhooks.create("ann", Target("https://receiver.example/hooks"))
    expires = held.updated_at + 3_600_000
    signature = UploadGrant(held.id, held.attempt, expires).signature(upload_key(bench.ports).value())
    grant = {"attempt": held.attempt, "expires": expires, "signature": signature}
    return Known(tuple(view.job.id for view in views), views[0].images[0].file, held.id, webhook.endpoint.id, grant)


@schema.parametrize()
@settings(max_examples=MAX_EXAMPLES, deadline=None, derandomize=True)  # the same examples in every run
def test_the_service_behaves_as_documented(case: Case, known: Known) -> None:
    ask_for_what_is_there(case, known)
    case.call_and_validate(headers={"Authorization": f"Bearer {application.key}"} if application.key else None)


def ask_for_what_is_there(case: Case, known: Known) -> None:
    """Replace some generated names by existing ones, the same each time, since most generated names do not exist."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    fit_a_webhook(case, known)
    if "/api/styles" in case.operation.path or "/generate" in case.operation.path:
        fit_a_style(case)
        return
    if "/api/queue" in case.operation.path:
        fit_a_pause(case)
        return
    if "/api/batches" in case.operation.path:
        fit_a_batch(case)
    if case.operation.method == "put" or case.operation.path == "/api/inputs":
        case.body, case.media_type = (
            png(8, 8),
            "application/octet-stream",
        )  # a schema cannot say that the bytes must begin as a picture does
    parts = case.path_parameters or {}
    randomness = zlib.crc32(repr(parts).encode())
    if randomness % 4 == 3:
        return
    if "file" in parts:
        parts["file"] = known.file
    elif case.operation.method == "put":
        parts["requestId"] = known.upload
        case.query.update(known.grant)
    elif "requestId" in parts:
        parts["requestId"] = known.requests[randomness % 4]


def fit_a_pause(case: Case) -> None:
    """Name an extension or a model, and a time in the future: a schema cannot say what excludes each other, and which time it is."""
    if isinstance(case.body, dict):
        if case.body.get("until") is not None:
            case.body.update(until="9999-01-01T00:00:00Z")
        named = "extensionId" if case.body.get("drain") else "model"
        for name in {"extensionId", "model", "userId"} - {named}:
            case.body.pop(name, None)
        if case.body.get("drain"):
            case.body.update(extensionId=job_factory.EXTENSION)


def fit_a_batch(case: Case) -> None:
    """Name an existing style, no variables and no item twice: a schema cannot say what belongs together."""
    body = cast("Any", case.body)
    if not isinstance(body, dict):
        return
    defaults = body.get("defaults") or {}
    defaults.pop("variables", None)
    if "style" in (case.query or {}):
        defaults["style"] = case.query["style"] = "noir"
    if defaults.get("style") is not None:
        defaults.update(style="noir")
    for number, item in enumerate(body.get("items") or [], 1):
        item.pop("variables", None)
        if "customId" in item:
            item["customId"] = f"item {number}"
        if defaults.get("style") is not None:
            item["prompt"] = "a fox"


def fit_a_webhook(case: Case, known: Known) -> None:
    """Name an existing webhook, and a valid URL: a schema cannot say which ones are, nor that one of two fields must be given."""
    if "webhookId" in (case.path_parameters or {}):
        case.path_parameters["webhookId"] = known.webhook
    if case.operation.path.endswith("/redeliver"):
        case.body = {"failedSince": "2024-01-14T12:00:00Z"}
    if isinstance(case.body, dict):
        for holder in (case.body, case.body.get("webhook")):
            if isinstance(holder, dict) and isinstance(holder.get("url"), str):
                holder["url"] = "https://receiver.example/hooks"
    if "webhook" in (case.query or {}):
        case.query["webhook"] = "https://receiver.example/hooks"


def fit_a_style(case: Case) -> None:
    """Name an existing style, and no variables: a schema cannot say which ones a style or a template has, or how long the prompt
    is that it makes."""
    if isinstance(case.body, dict):
        if "template" in case.body:
            case.body.update(template="{prompt}, ink")
        elif case.body.get("style") is not None:
            case.body.update(style="noir", prompt="a fox")
        case.body.pop("variables", None)
    if "name" in (case.path_parameters or {}):
        case.path_parameters["name"] = "manga" if case.operation.method == "delete" else "noir"
