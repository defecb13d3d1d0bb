"""Alembic's entry point. `app.db.migrate` passes its connection; `alembic revision --autogenerate` uses DATABASE_URL."""

from __future__ import annotations

from alembic import context

from app.config import Settings
from app.db.credential_tables import metadata
from app.db.engine import migration_engine


def run(connection: object) -> None:
    """Run the migrations on this connection, inside its transaction."""
    context.configure(
        connection=connection,  # type: ignore[arg-type]
        target_metadata=metadata,
        transactional_ddl=False,
        render_as_batch=True,
    )
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with migration_engine(Settings.from_env().database_url).begin() as own:
        run(own)
