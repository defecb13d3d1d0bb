"""Views for analysts, described in docs/reports.md. Each file beside this one defines the view `report_` and its name.

`_measured.sql`, `_figures.sql` and `_handed_out.sql` are parts of several of them; `dialects.py` explains the functions in capitals.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from sqlalchemy import Connection, Select, column, inspect, literal_column, select, table, text

from app.db.reports.dialects import ALWAYS, Period, translated

PREFIX = "report_"
_FOLDER = Path(__file__).parent
# the row of this view tells which definitions the others were made from
_VERSION = "report_version"


@cache
def names() -> tuple[str, ...]:
    """The names of the reports, without the prefix of their views."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("[a-z]*.sql")))


def views() -> tuple[str, ...]:
    """The names of the views that analysts use."""
    return tuple(PREFIX + name for name in names())


def has_period(name: str) -> bool:
    """True if the report can be limited to a period. What was counted over all time cannot."""
    return "NOW()" not in _definition(name)


def query(name: str, dialect: str, period: Period = ALWAYS) -> str:
    """The SELECT of a report. A period selects what is counted, so it is more than a condition on the view."""
    return translated(_definition(name), dialect, period)


def in_order(name: str, dialect: str, period: Period, limit: int | None) -> Select[Any]:
    """A query for the report, ordered by its first columns; at most `limit` rows."""
    report = text(f"({query(name, dialect, period)}) AS report")
    return select(literal_column("*")).select_from(report).order_by(text("1, 2")).limit(limit)


def create(connection: Connection) -> None:
    """Create the views of this release, which needs its schema."""
    dialect = connection.dialect.name
    for name in names():
        connection.exec_driver_sql(f"CREATE VIEW {PREFIX}{name} AS {query(name, dialect)}")
    connection.exec_driver_sql(f"CREATE VIEW {_VERSION} AS SELECT '{_fingerprint(dialect)}' AS definitions")


def drop(connection: Connection) -> frozenset[str]:
    """Drop the views, whichever release created them, and return their names: SQLite changes no table that a view refers to."""
    present = _present(connection)
    for view in present:
        connection.exec_driver_sql(f'DROP VIEW "{view}"')
    return present


def are_current(connection: Connection) -> bool:
    """True if the database has the views of this release."""
    if _VERSION not in _present(connection):
        return False
    found = connection.execute(select(column("definitions")).select_from(table(_VERSION))).scalar()
    return bool(found == _fingerprint(connection.dialect.name))


def grants(connection: Connection) -> Mapping[str, frozenset[str]]:
    """The roles that may read views, and which; empty on SQLite, which has none."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    if connection.dialect.name == "postgresql":
        for role, view in connection.exec_driver_sql(_GRANTS):
            found[role].add(view)
    return {role: frozenset(granted) for role, granted in found.items()}


def grant(connection: Connection, before: Mapping[str, frozenset[str]], old: frozenset[str]) -> None:
    """Grant again what roles had before the views were dropped; all views to those that could read all `old` ones."""
    quote = connection.dialect.identifier_preparer.quote
    for role, granted in before.items():
        kept = frozenset(views()) if granted >= old - {_VERSION} else granted & frozenset(views())
        for view in sorted(kept):
            connection.exec_driver_sql(f"GRANT SELECT ON {view} TO {quote(role)}")


_GRANTS = """
SELECT grantee.rolname, view.relname
FROM pg_class AS view
CROSS JOIN aclexplode(view.relacl) AS granted
JOIN pg_roles AS grantee ON grantee.oid = granted.grantee
WHERE view.relkind = 'v' AND view.relname LIKE 'report\\_%%' AND view.relnamespace = current_schema()::regnamespace
  AND granted.privilege_type = 'SELECT' AND granted.grantee <> view.relowner
"""


def _present(connection: Connection) -> frozenset[str]:
    return frozenset(view for view in inspect(connection).get_view_names() if view.startswith(PREFIX))


@cache
def _definition(name: str) -> str:
    parts = {path.stem[1:]: path.read_text("utf-8").strip() for path in _FOLDER.glob("_*.sql")}
    return Template((_FOLDER / f"{name}.sql").read_text("utf-8").strip()).substitute(parts)


def _fingerprint(dialect: str) -> str:
    return hashlib.sha256("\n".join(f"{name}: {query(name, dialect)}" for name in names()).encode()).hexdigest()
