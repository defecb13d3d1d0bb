"""Migration of the schema at the start, on both databases."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.config import Settings
from app.db.engine import Database
from app.db.migrate import is_current
from app.launch import schema
from app.launch.checks import NotReady
from app.launch.schema import migrate, migrate_when_reachable
from tests.support.fake_programs import ROOT
from tests.support.postgres import PostgresServer
from tests.support.processes import started

AT_ONCE = 4


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/imagefleet.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create()
        yield url
        server.drop(url)


def refusal(url: str, **env: str) -> str:
    with pytest.raises(NotReady) as refused:
        migrate(Settings.from_env({"DATABASE_URL": url, **env}))
    return str(refused.value)


def test_concurrent_starts_all_find_the_schema(empty_url: str) -> None:
    program = "from app.config import Settings; from app.launch.schema import migrate; migrate(Settings.from_env())"
    with ExitStack() as stack:
        command = [sys.executable, "-c", program]
        runs = [stack.enter_context(started(command, ROOT, {"DATABASE_URL": empty_url})) for _ in range(AT_ONCE)]
        assert [(run.wait_for_exit(), run.output) for run in runs] == [(0, "")] * AT_ONCE
    assert is_current(empty_url)


def test_with_auto_migrate_off_an_old_schema_is_refused_and_not_changed(empty_url: str) -> None:
    assert "the schema is outdated" in refusal(empty_url, AUTO_MIGRATE="off")
    assert not is_current(empty_url)


def test_with_auto_migrate_off_the_current_schema_is_accepted(database_url: str) -> None:
    migrate(Settings.from_env({"DATABASE_URL": database_url, "AUTO_MIGRATE": "off"}))


def test_a_schema_of_a_later_release_is_refused(database_url: str, database: Database) -> None:
    database.write(lambda write: write.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    assert refusal(database_url).startswith(
        "DATABASE_URL: the schema belongs to another release (Can't locate revision"
    )


def test_a_file_that_is_no_database_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at" * 10)
    line = refusal(f"sqlite:///{tmp_path}/notes.txt")
    assert line == "DATABASE_URL: the database cannot be used (file is not a database)."


def test_a_start_reports_an_unreachable_database_once_and_retries_until_it_is_reachable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusals = [NotReady("DATABASE_URL: the database cannot be used (refused).") for _ in range(3)]

    def migrate_at_the_fourth_try(_: Settings) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(schema, "migrate", migrate_at_the_fourth_try)
    monkeypatch.setattr(schema, "PAUSE_S", 0.0)
    migrate_when_reachable(Settings.from_env({}))
    assert refusals == []
    printed = capsys.readouterr().err
    assert printed == "DATABASE_URL: the database cannot be used (refused). Retrying for 30 s.\n"


def test_a_start_gives_up_when_the_database_stays_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "RETRY_FOR_S", 0.0)
    with pytest.raises(NotReady):
        migrate_when_reachable(Settings.from_env({"DATABASE_URL": "postgresql://user@127.0.0.1:1/x"}))
