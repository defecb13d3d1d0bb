"""The database's schema at a start: the first process migrates it, the others wait."""

import time

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.config import Settings
from app.db.migrate import is_current, upgrade
from app.launch.checks import NotReady
from app.launch.console import print_error

RETRY_FOR_S = 30.0
PAUSE_S = 1.0


def migrate_when_reachable(settings: Settings) -> None:
    """`migrate` for processes that may start at the same time as the database: they retry for `RETRY_FOR_S`.

    The first failure is printed at once, since it may as well be a wrong setting.
    """
    deadline = time.monotonic() + RETRY_FOR_S
    is_reported = False
    while True:
        try:
            return migrate(settings)
        except NotReady as problem:
            if time.monotonic() >= deadline:
                raise
            if not is_reported:
                print_error(NotReady(f"{problem} Retrying for {RETRY_FOR_S:g} s."))
                is_reported = True
            time.sleep(PAUSE_S)


def migrate(settings: Settings) -> None:
    """Migrate, or with AUTO_MIGRATE=off check that it was done. Raises NotReady."""
    try:
        if settings.auto_migrate:
            upgrade(settings.database_url)
        elif not is_current(settings.database_url):
            raise NotReady("DATABASE_URL: the schema is outdated: run `alembic upgrade head`, or set AUTO_MIGRATE=on.")
    except CommandError as problem:
        raise NotReady(f"DATABASE_URL: the schema belongs to another release ({problem}).") from None
    except DBAPIError as problem:
        why = str(problem.orig).strip().partition("\n")[0]
        raise NotReady(f"DATABASE_URL: the database cannot be used ({why}).") from None
