"""Roles of PostgreSQL that may read the views of reports, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from app.db.reports import views

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Only roles with this comment are changed: an existing one may be the service's own, which must write.
_MARK = "reads the reports of Imagefleet"
_COMMENT = text("SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = :name")
_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "'60s'",
    "idle_in_transaction_session_timeout": "'60s'",
    "timezone": "'UTC'",
}
_CONNECTIONS = 10
_INSUFFICIENT_PRIVILEGE = "42501"


class NoReader(Exception):
    """The role cannot be made a reader; the text says why."""


def is_reader(connection: Connection, name: str) -> bool:
    """True if there is a reader of this name, False if no role has it. Raises NoReader if another kind of role has it."""
    if not _NAME.fullmatch(name):
        raise NoReader(f"{name!r} cannot be the name of a role: use lower-case letters, digits and _.")
    comment = connection.execute(_COMMENT, {"name": name}).scalar()
    if comment not in (None, _MARK):
        raise NoReader(f"There is a role {name} already, which was not created by this command. Choose another name.")
    return comment is not None


def statements(connection: Connection, name: str, password: str | None) -> list[str]:
    """What makes the role, or brings it up to date. A password of letters, digits, _ and - is set if one is given.

    Raises NoReader.
    """
    known = is_reader(connection, name)
    quote = connection.dialect.identifier_preparer.quote_identifier
    role = quote(name)
    database, schema = connection.execute(text("SELECT current_database(), current_schema()")).one()
    secret = [] if password is None else [f"ALTER ROLE {role} PASSWORD '{password}'"]
    return [
        *([] if known else [f"CREATE ROLE {role} LOGIN", f"COMMENT ON ROLE {role} IS '{_MARK}'"]),
        *secret,
        f"ALTER ROLE {role} CONNECTION LIMIT {_CONNECTIONS}",
        *(f"ALTER ROLE {role} SET {setting} = {value}" for setting, value in _SETTINGS.items()),
        f"GRANT CONNECT ON DATABASE {quote(database)} TO {role}",
        f"GRANT USAGE ON SCHEMA {quote(schema)} TO {role}",
        f"GRANT SELECT ON {', '.join(f'{quote(schema)}.{view}' for view in views())} TO {role}",
    ]


def execute(connection: Connection, statements: Sequence[str]) -> bool:
    """Run all of them, or none; False if the user of this connection may not."""
    try:
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _INSUFFICIENT_PRIVILEGE:
            raise
        return False
    return True
