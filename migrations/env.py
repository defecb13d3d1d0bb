"""Alembic's entry point. `app.db.migrate` passes its connection; `alembic revision --autogenerate` uses DATABASE_URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.config import Settings
from app.db import reports
from app.db.credential_tables import metadata
from app.db.engine import migration_engine


def run(connection: Connection) -> None:
    """Run the migrations on this connection, inside its transaction.

    No migration needs to know of the views of reports: they are dropped before, and made for the newest schema alone.
    """
    grants = reports.grants(connection)
    dropped = reports.drop(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=False,
        render_as_batch=True,
    )
    context.run_migrations()
    if context.get_context().get_current_revision() == context.get_head_revision():
        reports.create(connection)
        reports.grant(connection, grants, dropped)


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with migration_engine(Settings.from_env().database_url).begin() as own:
        run(own)
