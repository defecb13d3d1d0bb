"""Consistent copies of the database while it is used, and their return."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL, inspect, make_url

from app.db import reports, service_state
from app.db.engine import migration_engine, read_engine
from app.db.tables import hubs, sweeps

SQLITE, POSTGRES = "database.sqlite", "database.dump"
PART = ".part"


class CopyFailed(Exception):
    """The database could not be copied; the text says in one line what to do."""


def save(url: str, folder: Path) -> Path:
    """Copy the database into the folder, in the place of an earlier copy; returns the file. Raises CopyFailed."""
    parsed = make_url(url)
    file = folder / (SQLITE if _is_sqlite(parsed) else POSTGRES)
    part = file.with_name(file.name + PART)
    part.unlink(missing_ok=True)
    if _is_sqlite(parsed):
        _copy_sqlite(_file(parsed), part)
    else:
        _run("pg_dump", parsed, "--format=custom", "--no-owner", "--no-privileges", f"--file={part}")
    part.replace(file)
    return file


def load(url: str, folder: Path) -> None:
    """Make the copy in the folder the database again. Nothing may use it meanwhile. Raises CopyFailed."""
    parsed = make_url(url)
    file = folder / (SQLITE if _is_sqlite(parsed) else POSTGRES)
    if not file.is_file():
        raise CopyFailed(f"There is no {file}: DATABASE_URL must name a database of the kind that was backed up.")
    if _is_sqlite(parsed):
        _file(parsed).parent.mkdir(parents=True, exist_ok=True)
        _copy_sqlite(file, _file(parsed))
    else:
        _drop_reports(
            url
        )  # that of an earlier release does not know these views, and drops no table that they refer to
        _run("pg_restore", parsed, "--clean", "--if-exists", "--no-owner", "--single-transaction", str(file))


def is_empty(url: str) -> bool:
    """True if the database has no tables, or does not exist yet."""
    parsed = make_url(url)
    if _is_sqlite(parsed) and not _file(parsed).exists():
        return True
    engine = read_engine(url)
    try:
        return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


def is_in_use(url: str, within_ms: int) -> bool:
    """True if a process of the service has used the database within this time; it must not be empty."""
    engine = read_engine(url)
    try:
        known = inspect(engine).get_table_names()
        if not {hubs.name, sweeps.name} <= set(known):  # of a release that did not note it
            return False
        with engine.connect() as connection:
            return service_state.in_use(connection, within_ms)
    finally:
        engine.dispose()


def _drop_reports(url: str) -> None:
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            reports.drop(connection)
    finally:
        engine.dispose()


def _copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's online backup: one snapshot, which keeps nobody from writing."""
    try:
        with (
            closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
    except sqlite3.Error as error:
        raise CopyFailed(f"The database {source} could not be copied to {target}: {error}.") from error


def _run(program: str, url: URL, *options: str) -> None:
    """Run a program of PostgreSQL. The password is in its environment, where other users cannot see it."""
    path = shutil.which(program)
    if path is None:
        raise CopyFailed(
            f"{program} is not installed here: install the client programs of PostgreSQL, or run it elsewhere."
        )
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = {name: str(value) for name, value in conninfo_to_dict(plain).items() if value is not None}
    password = connection.pop("password", None)
    env = os.environ if password is None else {**os.environ, "PGPASSWORD": password}
    command = [path, "--no-password", f"--dbname={make_conninfo('', **connection)}", *options]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CopyFailed(f"{program} failed: {' '.join(done.stderr.split())[:500] or f'status {done.returncode}'}")


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _file(url: URL) -> Path:
    return Path(url.database or "").resolve()
