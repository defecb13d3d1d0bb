"""`imagefleet models`: the models that can make pictures now."""

from __future__ import annotations

from imagefleet.options import command
from imagefleet.output.tables import Column
from imagefleet.session import Session

EXAMPLES = """
imagefleet models
imagefleet models --json
"""


@command("models", examples=EXAMPLES)
def models(session: Session) -> None:
    """List the models that the connected extensions make pictures with."""
    with session.connect() as client:
        none = "No extension that names its models is connected."
        session.show_each(client.models(), (Column("MODEL"),), lambda model: (model.id,), none)
