"""`imagefleet get`: the pictures of a request."""

from __future__ import annotations

from pathlib import Path

from imagefleet.commands.results import prepare, show_result
from imagefleet.options import ID, OUTPUT, command
from imagefleet.session import Session

EXAMPLES = """
imagefleet get 550e8400-e29b-41d4-a716-446655440000
imagefleet get 550e8400-e29b-41d4-a716-446655440000 --output pictures
imagefleet get 550e8400-e29b-41d4-a716-446655440000 --json
"""


@command("get", examples=EXAMPLES)
@ID
@OUTPUT
def get(session: Session, request_id: str, output: Path | None) -> None:
    """Print the URLs of a request's pictures, or save them.

    With --json everything that is known about the request. If it has not ended, the exit code is 4.
    """
    prepare(output)
    with session.connect() as client:
        show_result(session, client, client.get(request_id), output)
