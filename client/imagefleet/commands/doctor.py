"""`imagefleet doctor`: which link of the chain to a picture is broken, why, and what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from imagefleet.defaults import VERSION
from imagefleet.durations import METAVAR, seconds
from imagefleet.options import command
from imagefleet.output.terminal import describe, echo, plain
from imagefleet.session import Session, valid_address

if TYPE_CHECKING:
    from imagefleet.doctor.findings import Finding
    from imagefleet.models import Status

EXAMPLES = """
imagefleet doctor
imagefleet doctor --no-picture --json
imagefleet doctor --server https://images.example || echo "link $(($? - 20)) is broken"
"""
LINKS = """\b
Exit codes: 0 if nothing is broken, else 20 and the number of the first broken link:
  21  address     25  key         29  workers     33  webhooks
  22  tls         26  limits      30  beat        34  picture
  23  clock       27  database    31  storage
  24  version     28  redis       32  extensions"""


@command("doctor", examples=EXAMPLES, epilog=LINKS)
@click.option("--no-picture", is_flag=True, help="Do not have a test picture made.")
@click.option(
    "--timeout",
    metavar=METAVAR,
    callback=seconds(1, 3_600),
    default="2m",
    show_default=True,
    help="How long the test picture may take.",
)
@click.option("--user", help="User ID of the test picture.")
def doctor(session: Session, no_picture: bool, timeout: float, user: str | None) -> None:
    """Find out what is broken between this machine and a picture, and what to do.

    It examines address, TLS, clock, version, key, limits, database, Redis, workers, beat, storage, extensions and webhooks, and
    has a small test picture made. What depends on a broken link is not checked. An operator's key sees most.
    """
    from imagefleet.doctor.chain import Wanted, examined  # noqa: PLC0415 - the HTTP library is slow to load
    from imagefleet.doctor.findings import exit_code  # noqa: PLC0415 - the same

    steps: list[str] = []

    def show(status: Status) -> None:
        if status.status not in steps:
            steps.append(status.status)
            session.remark(f"      {describe(status)}")

    found: list[Finding] = []
    access = session.access
    with valid_address():
        for each in examined(Wanted(access.server, access.key, user, None if no_picture else timeout), show):
            found.append(each)
            if session.form != "json":
                echo(plain(each.line) if session.form == "text" else json.dumps(each.fields))
    code = exit_code(found)
    if session.form == "json":
        report = {"ok": code == 0, "server": access.server, "version": VERSION, "exitCode": code}
        echo(json.dumps({**report, "links": [each.fields for each in found]}, indent=2))
    raise click.exceptions.Exit(code)
