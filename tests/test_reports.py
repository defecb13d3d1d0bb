"""`python -m app.manage report` and `readonly-role`, and reading a database that is in use."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url

from app.db import reports
from app.db.engine import Database
from app.db.migrate import upgrade
from app.db.reports import readers
from app.db.tables import jobs
from app.manage.__main__ import main
from tests.support.fake_programs import ROOT
from tests.support.job_factory import add_job
from tests.support.report_data import DAY, START, History

Run = Callable[..., Result]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def run(database_url: str) -> Run:
    """A function that runs the command on a fresh database."""

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, words, env={"DATABASE_URL": database_url})

    return invoke


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_every_report_is_written(run: Run, database: Database) -> None:
    History().insert(database)
    names = lines(run("report"))
    assert names == list(reports.names())
    for name in names:
        assert lines(run("report", name, "--json", "--limit", "3")), name


@on_sqlite
def test_the_forms_have_the_same_columns_and_rows(run: Run, database: Database) -> None:
    History().insert(database)
    table = list(csv.reader(io.StringIO(run("report", "daily").stdout)))
    objects = [json.loads(line) for line in lines(run("report", "daily", "--json"))]
    assert [list(each) for each in objects] == [table[0]] * 3
    assert [[str(cell) for cell in each.values()] for each in objects] == table[1:]
    head, *rows = lines(run("report", "daily", "--table", "--limit", "2"))
    assert head.split() == [each.upper() for each in table[0]]
    assert [row.split()[0] for row in rows] == ["2026-01-01", "2026-01-02"]


def test_a_period_selects_what_is_counted(run: Run, database: Database) -> None:
    history = History()
    history.insert(database)
    requests = [job for job in history.rows[jobs] if START + DAY <= job["created_at"] < START + 2 * DAY]
    period = ("--since", "2026-01-02", "--until", "2026-01-03T00:00Z")
    users = [json.loads(line) for line in lines(run("report", "users", "--json", *period))]
    assert sum(user["requests"] for user in users) == len(requests) > 10
    assert [json.loads(line)["day"] for line in lines(run("report", "daily", "--json", *period))] == ["2026-01-02"]
    assert lines(run("report", "requests", "--json", "--since", "1h")) == []
    add_job(database)
    assert len(lines(run("report", "requests", "--json", "--since", "1h"))) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("nonsense",), "There is no report nonsense. There are attempts, batches, "),
        (("daily", "--since", "yesterday"), "--since yesterday: it must be how long ago"),
        (("daily", "--until", "7x"), "--until 7x: it must be how long ago"),
        (("daily", "--since", "2026-13-01"), "--since 2026-13-01: it must be"),
        (("extensions", "--since", "7d"), "extensions is counted over all time"),
        (("daily", "--limit", "0"), "0 is not in the range"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_one_sentence(run: Run, words: tuple[str, ...], problem: str) -> None:
    refused = run("report", *words)
    assert refused.exit_code != 0
    assert problem in refused.stderr
    assert refused.stdout == ""


def test_cells_of_csv_are_no_formulas_and_both_databases_write_times_alike(run: Run, database: Database) -> None:
    History().insert(database)
    [first, *_] = csv.DictReader(io.StringIO(run("report", "requests").stdout))
    assert (first["prompt"], first["created_at"]) == ("'=fox 0", "2026-01-01 00:00:00.000")


def test_a_table_does_not_control_the_terminal(run: Run, database: Database) -> None:
    add_job(database, prompt="a\x1b[31m fox\nand a crow")
    [_, row] = lines(run("report", "requests", "--table"))
    assert "a?[31m fox?and a crow" in row


MANY = """
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 10000)
INSERT INTO jobs (id, correlation_id, user_id, model, prompt, parameters, number_of_images, status, due_at, created_at, updated_at)
SELECT 'job-' || n, 'c', 'ann', 'm', {prompt}, '{{}}', 1, 'accepted', 1, 1, 1 FROM s
"""
PROMPTS = {"sqlite": "printf('%2000d', n)", "postgresql": "repeat('x', 2000)"}
PROGRAM = (
    "import resource, sys; from app.manage.__main__ import main\n"
    "try: main(['report', 'requests', *sys.argv[1:]])\n"
    "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)


def test_a_long_report_needs_no_more_memory_than_a_short_one(database: Database, database_url: str) -> None:
    prompt = PROMPTS[make_url(database_url).get_backend_name()]
    database.write(lambda tx: tx.connection.exec_driver_sql(MANY.format(prompt=prompt)))

    def kilobytes(*words: str) -> tuple[int, int]:
        command = [sys.executable, "-c", PROGRAM, *words]
        env = {"DATABASE_URL": database_url}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        return int(done.stderr.split()[-1]), len(done.stdout)

    (short, _), (long, written) = kilobytes("--limit", "1"), kilobytes()
    assert written > 20_000_000
    assert long - short < 12_000


@pytest.fixture
def analyst(run: Run, database_url: str) -> str:
    """The address of the database for a role that may only read reports. Roles are those of the whole server."""
    name = f"analyst_{uuid.uuid4().hex}"
    password = lines(run("readonly-role", name))[0]
    url = make_url(database_url).set(drivername="postgresql", username=name, password=password)
    return url.render_as_string(hide_password=False)


@on_postgresql
def test_a_readonly_role_reads_the_views_and_nothing_else(database: Database, analyst: str) -> None:
    History().insert(database)
    with psycopg.connect(analyst, autocommit=True) as connection:
        for view in reports.views():
            assert connection.execute(f"SELECT count(*) FROM {view}").fetchone()
        # what protects the data is not that transactions are read-only, which the role may change
        connection.execute("SET default_transaction_read_only = off")
        for table in (*jobs.metadata.tables, "alembic_version"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}")
        for statement in (
            "DELETE FROM report_batches",
            "UPDATE report_batches SET name = 'x'",
            "INSERT INTO jobs (id) VALUES ('x')",
            "CREATE TABLE mine (id int)",
            "DROP VIEW report_daily",
            "CREATE ROLE other",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@on_postgresql
def test_a_readonly_role_keeps_its_rights_over_upgrades_and_gets_new_views(
    database: Database, database_url: str, analyst: str
) -> None:
    with database.writer.begin() as connection:  # as if the release before had neither of these
        connection.exec_driver_sql("DROP VIEW report_cache, report_version")
    assert upgrade(database_url)
    with psycopg.connect(analyst) as own:
        assert own.execute("SELECT count(*) FROM report_cache").fetchone() == (0,)
        assert own.execute("SELECT count(*) FROM report_requests").fetchone() == (0,)
        assert own.execute("SHOW timezone").fetchone() == ("UTC",)


@on_postgresql
def test_a_readonly_role_gets_a_new_password_on_request_alone(run: Run, analyst: str) -> None:
    name = make_url(analyst).username or ""
    assert run("readonly-role", name).stdout == ""
    psycopg.connect(analyst).close()
    assert lines(run("readonly-role", name, "--new-password"))[0] != make_url(analyst).password


@on_postgresql
def test_a_role_that_was_not_made_for_reports_is_left_alone(run: Run, database: Database) -> None:
    owner = database.read(lambda c: c.exec_driver_sql("SELECT current_user").scalar_one())
    refused = run("readonly-role", owner)
    assert f"There is a role {owner} already" in refused.stderr
    assert "cannot be the name of a role" in run("readonly-role", 'x"; DROP ROLE y').stderr


@on_postgresql
def test_without_the_right_to_create_roles_the_statements_are_for_an_administrator(database: Database) -> None:
    name = f"weak_{uuid.uuid4().hex}"
    with database.writer.connect() as connection:
        statements = readers.statements(connection, name, "secret")
        connection.exec_driver_sql(f"CREATE ROLE {name}_owner")
        connection.exec_driver_sql(f"SET ROLE {name}_owner")
        assert not readers.execute(connection, statements)
        connection.rollback()
        assert readers.execute(connection, statements)
        assert readers.is_reader(connection, name)


@on_sqlite
def test_on_sqlite_a_role_is_refused_with_what_to_do_instead(run: Run) -> None:
    refused = run("readonly-role", "analyst")
    assert "SQLite has no roles: open the file with ?mode=ro" in refused.stderr


@on_sqlite
def test_a_file_opened_for_reading_sees_what_is_committed_meanwhile_and_writes_nothing(
    database: Database, database_url: str
) -> None:
    file = make_url(database_url).database
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as reader:
        for number in range(1, 4):
            database.write(partial(_one_more, number))
            assert reader.execute("SELECT sum(requests) FROM report_daily").fetchone() == (number,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM jobs")
        rows = reader.execute("SELECT request_id FROM report_requests")
        assert rows.fetchone()
        begun = time.monotonic()
        add_job(database)  # while a query is being read
        assert time.monotonic() - begun < 5


def _one_more(number: int, tx: object) -> None:
    tx.connection.execute(jobs.insert(), {**History().rows[jobs][3], "id": f"job-{number}"})  # type: ignore[attr-defined]
