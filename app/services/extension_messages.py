"""Messages to an extension, sent over the web process that holds its socket."""

from app.db import fleet
from app.db.engine import Transaction
from app.db.jobs import Job
from app.domain import messages
from app.domain.clock import wire_time
from app.services.ports import Ports


def send(ports: Ports, tx: Transaction, extension_id: str | None, message: messages.Message) -> None:
    """Send `message` after the commit if the extension is connected. A lost message does no harm."""
    if extension_id is None:
        return
    socket = fleet.socket_of(tx.connection, extension_id)
    if socket is not None:
        command = {"do": "send", "connection": socket.connection_id, "message": message.to_dict()}
        tx.after_commit(lambda: ports.bus.publish_to_hub(socket.hub_id, command))


def send_cancel(ports: Ports, tx: Transaction, job: Job) -> None:
    """Send the holder of the job, as `job` shows it, the message that the job is cancelled."""
    stop = messages.CancelGeneration(request_id=job.id, correlation_id=job.correlation_id, timestamp=wire_time(tx.now))
    send(ports, tx, job.holder, stop)
