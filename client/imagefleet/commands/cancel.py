"""`imagefleet cancel`: cancels a request or a batch."""

from __future__ import annotations

from imagefleet.commands.results import either
from imagefleet.options import ID, command
from imagefleet.output.terminal import describe_batch
from imagefleet.session import Session

EXAMPLES = """
imagefleet cancel 550e8400-e29b-41d4-a716-446655440000
"""


@command("cancel", examples=EXAMPLES)
@ID
def cancel(session: Session, request_id: str) -> None:
    """Cancel a request, or all of a batch that has not ended."""
    with session.connect() as client:

        def of_request() -> None:
            answer = client.cancel(request_id)
            session.show(answer, answer.message or answer.status)

        def of_batch() -> None:
            batch = client.cancel_batch(request_id)
            session.show(batch, describe_batch(batch))

        either(of_request, of_batch)
