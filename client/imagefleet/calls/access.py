"""What the operations on tokens send."""

from __future__ import annotations

from imagefleet.calls.base import Call, nothing, reading, send
from imagefleet.models import Token

TOKEN = "/api/auth/token"  # noqa: S105 - a path


def create_token() -> Call[Token]:
    """A token for the key. One more than is used does no harm: it expires."""
    return send("POST", TOKEN, None, reading(Token), idempotent=True)


def revoke_token() -> Call[None]:
    """Revoke the token that is sent."""
    return Call("DELETE", TOKEN, read=nothing)
