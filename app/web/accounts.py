"""Tokens: made from keys, and given back."""

from __future__ import annotations

from flask import Response, g

from app.container import Services
from app.domain.access import Need
from app.domain.errors import Forbidden
from app.web.api import Answer, Api
from app.web.schemas import TokenIssued

TAG = "Access"


def operations(api: Api, services: Services) -> None:
    """Declare them."""

    @api.operation(
        "POST",
        "/api/auth/token",
        tag=TAG,
        summary="Exchange a key for a token",
        need=Need.PROOF,
        answers=(Answer("A token that does what the key does, for a while", TokenIssued),),
        refusals=(Forbidden,),
    )
    def create_token() -> TokenIssued:
        """Send an API key as the bearer. The token ends by itself, with the key, or when it is revoked."""
        token, seconds, scope = services.access.exchange(g.proof)
        return TokenIssued(token=token, expires_in=seconds, scope=scope)

    @api.operation(
        "DELETE",
        "/api/auth/token",
        tag=TAG,
        summary="Revoke a token",
        need=Need.PROOF,
        answers=(Answer("It is no longer good", status=204),),
        refusals=(Forbidden,),
    )
    def revoke_token() -> Response:
        """End the token that is sent as the bearer, before its time."""
        services.access.revoke(g.proof)
        return Response(status=204)
