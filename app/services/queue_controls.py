"""What operators do to the queue: pause and resume everything, a model, a user or an extension."""

from functools import partial

from sqlalchemy import Connection

from app import logs
from app.db import fleet, pauses, queue, service_state, usage
from app.db.engine import Transaction
from app.domain.clock import wire_time
from app.domain.errors import InvalidRequest, NotFound
from app.domain.pauses import PauseKind, Pauses, PauseTarget, QueuePause
from app.domain.policy import ANY_MODEL
from app.services.fleet_summaries import FleetSummaries
from app.services.holding import Holding
from app.services.ports import Ports

# How long after the end of a user's pause requests are still released: longer than a submission that has seen the pause.
RELEASED_FOR_MS = 120_000

log = logs.get(__name__)


class QueueControls:
    """Pauses that are kept in the database. A sweep ends those whose time is over, and completes what a crash left."""

    def __init__(self, ports: Ports, holding: Holding, summaries: FleetSummaries) -> None:
        self.ports = ports
        self.summaries = summaries
        self.holding = holding

    def pause(
        self,
        target: PauseTarget,
        *,
        note: str | None = None,
        until: int | None = None,
        drain: bool = False,
        by: str | None = None,
    ) -> QueuePause:
        """Hand nothing of this out any more, until a time (ms) or an operator ends it. What is handed out goes on.

        If it is paused already, the pause gets this note and this end. `drain` is for extensions: it says that this one is
        to be taken away. Raises InvalidRequest, NotFound.
        """

        def work(tx: Transaction) -> QueuePause:
            _check(tx, target, until, drain=drain)
            return pauses.put(tx, QueuePause(target, tx.now, until, note, drain, by))

        stored = self.ports.database.write(work)
        self.summaries.forget()
        log.info("The queue was paused", action="queue.paused", kind=target.kind.value, name=target.name, by=by)
        if target.kind is PauseKind.USER:
            self.holding.hold_user(target.name)
        return stored

    def resume(self, target: PauseTarget) -> bool:
        """End the pause of this; False if it is not paused. What waits in the queue has not aged meanwhile."""
        return self._resume(target)

    def list(self) -> Pauses:
        """All pauses of the moment."""
        return self.ports.database.read(pauses.every)

    def sweep(self) -> None:
        """End the pauses whose time is over. Hold and release what others submitted at the moment of a pause's begin or end."""
        for over in self.ports.database.read(pauses.over):
            self._resume(over.target, over.until)
        for user_id in self.ports.database.read(_not_held):
            self.holding.hold_user(user_id)
        for user_id in self.ports.database.read(pauses.resumed_users):
            self._complete_release(user_id)

    def _resume(self, target: PauseTarget, until: int | None = None) -> bool:
        if not self.ports.database.write(partial(self._end, target, until)):
            return False
        self.summaries.forget()
        log.info("The queue was resumed", action="queue.resumed", kind=target.kind.value, name=target.name)
        if target.kind is PauseKind.USER:
            self.holding.release_user(target.name)
        return True

    def _end(self, target: PauseTarget, until: int | None, tx: Transaction) -> bool:
        ended = pauses.remove(tx, target, until)
        if ended is None:
            return False
        if target.kind is PauseKind.USER:
            pauses.add_resumed(tx, target.name)
        elif target.kind is not PauseKind.EXTENSION:
            _make_up_for(tx, ended)
        tx.after_commit(self.ports.tasks.assign)
        return True

    def _complete_release(self, user_id: str) -> None:
        if self.ports.database.read(partial(pauses.user_is_paused, user_id=user_id)):
            return
        self.holding.release_user(user_id)
        self.ports.database.write(partial(pauses.forget_resumed, user_id=user_id, before_ms=RELEASED_FOR_MS))


def _check(tx: Transaction, target: PauseTarget, until: int | None, *, drain: bool) -> None:
    if until is not None and until <= tx.now:
        raise InvalidRequest(f"until must lie in the future: it is {wire_time(tx.now)} now.")
    if target.kind is PauseKind.EXTENSION:
        if not fleet.is_known(tx.connection, target.name):
            raise NotFound(f"No extension {target.name} has ever connected.")
    elif drain:
        raise InvalidRequest("drain is for an extension: name it as extensionId.")


def _not_held(connection: Connection) -> list[str]:
    """The paused users who have requests in the queue nevertheless."""
    paused = [pause.target.name for pause in pauses.every(connection) if pause.target.kind is PauseKind.USER]
    return [user_id for user_id in paused if usage.has_waiting(connection, user_id, 1)]


def _make_up_for(tx: Transaction, ended: QueuePause) -> None:
    """Count the time of the pause neither as waiting nor as time without an extension.

    A queue that is paused by another pause, too, is made up for the rest when that ends.
    """
    others = pauses.every(tx.connection)
    if ended.target.kind is PauseKind.MODEL:
        models = [ended.target.name]
        until = others.everything.paused_at if others.everything else tx.now
        pauses.make_up_for(tx, ended.paused_at, until, model=ended.target.name)
    else:
        models = [ANY_MODEL, *queue.models_waited_for(tx.connection)]
        paused = {pause.target.name: pause for pause in others if pause.target.kind is PauseKind.MODEL}
        for model, pause in paused.items():
            pauses.make_up_for(tx, ended.paused_at, pause.paused_at, model=model)
        pauses.make_up_for(tx, ended.paused_at, tx.now, without=paused)
    for model in models:
        service_state.update_last_served(tx, model, served_now=True)
