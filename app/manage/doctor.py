"""The command that finds out which part of the service does not work."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from pydantic.alias_generators import to_camel

from app.adapters.background import BackgroundRunner
from app.adapters.bus import RedisBus
from app.adapters.celery_app import make_celery
from app.adapters.redis_clients import redis_client
from app.adapters.tasks import CeleryTasks
from app.config import BadSetting, Settings
from app.container import real_store
from app.db.engine import Database
from app.domain.clock import wire_now
from app.domain.diagnosis import Broken, Finding, exit_status
from app.launch.checks import sqlite_file
from app.launch.health import answers
from app.manage.console import printable
from app.manage.settings import service_settings
from app.service_address import local_authority, scheme
from app.services.diagnostics import Diagnostics, Parts
from app.services.ports import Store
from app.version import VERSION

BAD_SETTING = 2


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, as GET /api/diagnostics answers.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Find out which part of the service does not work, and what to do.

    Each part is examined on its own, so this also works while web processes, Redis or the database do not. A small file and a
    row are written for it, and nothing else is changed.

    The status is 0 if all is well, 2 if a setting is wrong, and otherwise 20 and the number of the first link that is broken:
    1 web, 3 clock, 7 database, 8 redis, 9 workers, 10 beat, 11 storage, 12 extensions, 13 webhooks.
    """
    try:
        settings = service_settings()
    except BadSetting as problem:
        click.echo(str(problem), err=True)
        ctx.exit(BAD_SETTING)
    findings = Diagnostics(_parts(settings)).findings()
    click.echo(_json(findings) if as_json else "\n".join(map(_line, findings)))
    ctx.exit(exit_status(findings))


def _parts(settings: Settings) -> Parts:
    """What can be examined without a running service. Nothing is created that is missing."""
    file = sqlite_file(settings.database_url) if settings.is_sqlite else None
    known = Database(settings.database_url) if file is None or file.exists() else None
    background, client = BackgroundRunner("hints"), redis_client(settings.redis_url)

    def database() -> Database:
        if known is None:
            remedy = "Run this in the folder of the service, or set the DATABASE_URL that it has."
            raise Broken("DATABASE_MISSING", f"there is no file {file}", remedy)
        return known

    return Parts(
        settings,
        database,
        CeleryTasks(make_celery(settings), client, background, settings.sweep_interval_ms),
        RedisBus(client, background),
        lambda: _store(settings),
        lambda: _web(settings),
    )


def _store(settings: Settings) -> Store:
    if not settings.storage_path.is_dir():
        remedy = "Mount it, or run this in the folder of the service, or set the IMAGE_STORAGE_PATH that it has."
        raise Broken("STORAGE_MISSING", f"there is no folder {settings.storage_path}", remedy)
    return real_store(settings)


def _web(settings: Settings) -> str:
    address = f"{scheme(settings)}://{local_authority(settings, settings.port)}"
    if not asyncio.run(answers(settings)):
        remedy = "Start it (`make run`, or gunicorn as the Procfile has it), or set the HOST and PORT that it has."
        raise Broken("WEB_UNREACHABLE", f"no web process answers at {address}", remedy)
    return f"a web process answers at {address}"


def _line(finding: Finding) -> str:
    name, detail = finding.link.value, printable(finding.detail)
    if finding.ok:
        return f"ok    {name}: {detail}"
    if not finding.checked:
        return f"-     {name}: {detail}"
    return f"FAIL  {name}: {detail}. {printable(finding.remedy or '')}"


def _json(findings: Sequence[Finding]) -> str:
    links = [
        {"number": each.link.number, "name": each.link.value}
        | {to_camel(name): value for name, value in asdict(each).items() if name != "link" and value is not None}
        for each in findings
    ]
    report = {
        "ok": all(each.ok for each in findings),
        "links": links,
        "version": VERSION,
        "timestamp": wire_now(),
    }
    return json.dumps(report)


COMMANDS = (doctor,)
