"""What operators do to the queue: pause and resume everything, a model, a user or an extension."""

from functools import partial

from sqlalchemy import Connection

from app import logs
from app.db import fleet, pauses, queue, service_state, usage
from app.db.engine import Transaction
from app.domain.clock import wire_time
from app.domain.errors import InvalidRequest, NotFound
from app.domain.operations import Operation, queue_key
from app.domain.pauses import PauseKind, Pauses, PauseTarget, QueuePause
from app.domain.policy import ANY_KEYS, ANY_MODEL
from app.services.fleet_summaries import FleetSummaries
from app.services.holding import Holding
from app.services.ports import Ports

# How long after the end of a user's pause requests are still released: longer than a submission that has seen the pause.
RELEASED_FOR_MS = 120_000
AT_ONCE = 2_000  # requests of one transaction

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
        ended = False
        while (more := self.ports.database.write(partial(self._end, target, until))) is not None:
            ended = True
            if not more:
                break
        if not ended:
            return False
        self.summaries.forget()
        log.info("The queue was resumed", action="queue.resumed", kind=target.kind.value, name=target.name)
        if target.kind is PauseKind.USER:
            self.holding.release_user(target.name)
        return True

    def _end(self, target: PauseTarget, until: int | None, tx: Transaction) -> bool | None:
        """Returns whether it has to be continued; None if it is not paused."""
        ending = pauses.begin_end(tx, target, until)
        if ending is None:
            return None
        if target.kind is PauseKind.USER:
            pauses.add_resumed(tx, target.name)
        elif target.kind is not PauseKind.EXTENSION and _made_up_for_some(tx, *ending):
            return True
        pauses.remove(tx, target)
        tx.after_commit(self.ports.tasks.assign)
        return False

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


def _made_up_for_some(tx: Transaction, ended: QueuePause, ended_at: int, after: str) -> bool:
    """Count the time of the pause neither as waiting nor as time without an extension; True if there are more requests.

    A queue that is paused by another pause, too, is made up for the rest when that ends.
    """
    paused = [pause for pause in pauses.every(tx.connection) if pause.target != ended.target]
    others = {pause.target.name: pause.paused_at for pause in paused if pause.target.kind is PauseKind.MODEL}
    if (everything := next((pause for pause in paused if pause.target.kind is PauseKind.ALL), None)) is not None:
        others[ANY_MODEL] = everything.paused_at
    if pauses.make_up_for(tx, ended, ended_at, others, after, AT_ONCE) is not None:
        return True
    is_model = ended.target.kind is PauseKind.MODEL
    of_model = [queue_key(ended.target.name, operation) for operation in Operation]
    for key in of_model if is_model else [*ANY_KEYS, *queue.models_waited_for(tx.connection)]:
        service_state.update_last_served(tx, key, served_now=True)
    return False
