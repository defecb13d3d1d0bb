"""How each link is examined: a function that returns what a person wants to know about it, or raises Broken."""

import time

from sqlalchemy.exc import SQLAlchemyError

from app.db import clock, extension_list, fleet, pauses, service_state, webhook_state
from app.db.engine import Database
from app.db.extension_list import ExtensionDetails
from app.db.migrate import has_current_schema
from app.domain import waiting
from app.domain.clock import wire_time
from app.domain.diagnosis import Broken
from app.domain.errors import Unavailable
from app.domain.images import PictureError
from app.domain.pauses import QueuePause
from app.domain.policy import ANY_MODEL, ExtensionStatus, models_of
from app.domain.waiting import ReasonCode
from app.services.housekeeping import SWEEP, longest_gap_ms
from app.services.ports import Bus, Store, Tasks
from app.services.webhooks import BY_OWNER

MOST_SKEW_MS = 5_000
FAILING_MS = 300_000  # a webhook that fails for longer is reported
OVERDUE_MS = 60_000  # the same for a delivery
NAMED = 3  # of each kind of thing
CONNECTED = 100  # extensions whose state is looked at
GIGABYTE = 10**9
AT_WORK = {ReasonCode.ABOUT_TO_START, ReasonCode.BUSY}


def check_database(database: Database) -> str:
    """It answers, has this release's schema, and can be written."""
    try:
        database.read(clock.now)
    except Unavailable as problem:
        remedy = "Start the database, or correct DATABASE_URL."
        raise Broken("DATABASE_UNREACHABLE", f"it cannot be reached ({_driver(problem)})", remedy) from None
    if not database.read(has_current_schema):
        remedy = "Run `alembic upgrade head`, or restart the service with AUTO_MIGRATE=on."
        raise Broken("DATABASE_OUTDATED", "its schema is not the one of this release", remedy)
    try:
        database.write(service_state.write_probe)
    except (Unavailable, SQLAlchemyError) as problem:
        remedy = "Free disk space for it, end a lock that is held on it, or let the service's user write to it."
        raise Broken("DATABASE_NOT_WRITABLE", f"it cannot be written ({_driver(problem)})", remedy) from None
    return f"{database.reader.dialect.name} answers, has the current schema and can be written"


def check_redis(bus: Bus) -> str:
    """It answers and can be written."""
    try:
        bus.check()
    except Unavailable as problem:
        remedy = "Start Redis, or correct REDIS_URL. Accepted requests wait until it is back."
        raise Broken("REDIS_UNAVAILABLE", f"it cannot be used ({str(problem).rstrip('.')})", remedy) from None
    return "it answers and can be written"


def check_workers(tasks: Tasks) -> str:
    """Each queue of tasks has a worker."""
    workers = tasks.workers()
    missing = [queue for queue, worker in workers.items() if worker is None]
    if missing:
        remedy = "Start `python -m worker`, or look at its output for why it does not run."
        raise Broken("WORKER_MISSING", f"no worker takes tasks from {_and(missing)}", remedy)
    return f"{_and(list(workers))} have a worker"


def check_beat(database: Database, sweep_interval_ms: int) -> str:
    """Sweeps run. They are sent by beat, and a worker executes them."""
    at, now = database.read(lambda c: (service_state.swept_at(c, SWEEP), clock.now(c)))
    if at is None or now - at > longest_gap_ms(sweep_interval_ms):
        when = "no sweep has ever run" if at is None else f"the last sweep ran {(now - at) // 1000} s ago"
        remedy = "Start beat: `celery -A celery_config beat`, once for the whole service."
        raise Broken("BEAT_SILENT", when, remedy)
    return f"the last sweep ran {max(0, now - at) / 1000:.1f} s ago"


def check_storage(store: Store, min_free_bytes: int) -> str:
    """A file can be written, read and deleted, and there is room."""
    try:
        store.probe()
        free = store.free_bytes()
    except PictureError as problem:
        remedy = problem.remedy or "Mount the folder of IMAGE_STORAGE_PATH, or let the service's user write there."
        raise Broken("STORAGE_FAILED", str(problem).rstrip("."), _sentence(remedy)) from None
    if free < min_free_bytes:
        room = f"{free / GIGABYTE:.1f} GB are free, less than MIN_FREE_DISK ({min_free_bytes / GIGABYTE:.1f} GB)"
        raise Broken("STORAGE_FULL", room, "Free disk space: until then new requests are refused.")
    room = "" if free >= 2**60 else f"; {free / GIGABYTE:.1f} GB are free"
    return f"files can be written, read and deleted{room}"


def check_clock(database: Database) -> str:
    """The clocks of this process and of the database agree."""
    now = database.read(clock.now)
    ahead = time.time_ns() // 1_000_000 - now
    if abs(ahead) > MOST_SKEW_MS:
        apart = f"this host is {abs(ahead) / 1000:.1f} s {'ahead of' if ahead > 0 else 'behind'} the database"
        raise Broken("CLOCK_SKEWED", apart, "Synchronize both clocks (NTP).")
    return f"it is {wire_time(now)}"


def check_extensions(database: Database, hub_timeout_ms: int) -> str:
    """An extension is connected that takes work."""
    connected, now = database.read(
        lambda c: (extension_list.page(c, hub_timeout_ms, True, None, CONNECTED), clock.now(c))
    )
    groups = database.read(fleet.groups) if connected else []
    reason = waiting.why(groups, ANY_MODEL, 0, database.read(pauses.every), now, queue=ANY_MODEL)
    states = "; ".join(_state(each) for each in connected if each.standing not in _USABLE)
    if reason.code not in AT_WORK:
        sentence = f"{reason.sentence.rstrip('.')}{f' ({states})' if states else ''}"
        raise Broken(reason.code.value, sentence, reason.remedy or "Connect an extension.")
    count = f"{'at least ' if len(connected) == CONNECTED else ''}{len(connected)} connected"
    return "; ".join(filter(None, (f"{count}, able to make: {_models(models_of(groups))}", states)))


def check_webhooks(database: Database) -> str:
    """None was disabled by failures, none fails for long, and nothing waits to be sent."""
    disabled, failing, overdue_ms = database.read(
        lambda c: (
            webhook_state.disabled(c, NAMED, except_for=BY_OWNER),
            webhook_state.failing(c, FAILING_MS, NAMED),
            webhook_state.overdue_ms(c),
        )
    )
    if disabled:
        named = _and([f"{each.id} of {each.user_id} ({(each.disabled_reason or '').rstrip('.')})" for each in disabled])
        remedy = "Repair its receiver, then enable it (PATCH /api/webhooks/{webhookId}) and send again what failed."
        raise Broken("WEBHOOK_DISABLED", f"disabled: {named}", remedy)
    if failing:
        named = _and([f"{each.id} of {each.user_id} since {wire_time(each.failing_since or 0)}" for each in failing])
        remedy = "Look at its deliveries (GET /api/webhooks/{webhookId}/deliveries) and repair its receiver."
        raise Broken("WEBHOOK_FAILING", f"every attempt fails: {named}", remedy)
    if overdue_ms > OVERDUE_MS:
        waits = f"an event has been waiting for {overdue_ms // 1000} s to be sent"
        raise Broken(
            "WEBHOOKS_LATE", waits, "Look at the output of the worker for webhooks, or raise WEBHOOKS_AT_ONCE."
        )
    return "none is failing, and nothing is late"


_USABLE = {ExtensionStatus.FREE, ExtensionStatus.BUSY}


def _state(extension: ExtensionDetails) -> str:
    """Why this extension gets no work."""
    name = f"{extension.id} is {extension.standing.value}"
    if extension.paused_by_operator is not None:
        return f"{name} by an operator{_until(extension.paused_by_operator)}"
    if extension.pause is not None:
        why = f": {extension.pause.reason.rstrip('.')}" if extension.pause.reason else ""
        return f"{extension.id} cools down until {wire_time(extension.pause.until)}{why}"
    return name


def _until(pause: QueuePause) -> str:
    until = "" if pause.until is None else f" until {wire_time(pause.until)}"
    return f"{until}{f': {pause.note}' if pause.note else ''}"


def _models(names: str) -> str:
    return "any model" if names == ANY_MODEL else names


def _and(names: list[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _driver(problem: Exception) -> str:
    """The first line of what the database's driver says."""
    cause = problem.__cause__ or problem
    return str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0].rstrip(".")
