"""Tokens: exchange an API key for one, revoke one."""

from flask import Response, g

from app.container import Services
from app.domain.access import Need
from app.domain.errors import Forbidden
from app.web.api import Api, ResponseSpec
from app.web.schemas import TokenIssued

TAG = "Access"


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        "/api/auth/token",
        tag=TAG,
        summary="Exchange an API key for a token",
        need=Need.CREDENTIAL,
        responses=(ResponseSpec("A token with the permissions of the key, for a limited time", TokenIssued),),
        refusals=(Forbidden,),
    )
    def create_token() -> TokenIssued:
        """Send an API key as the bearer. The token is valid until it expires or is revoked, or its key is revoked."""
        token, seconds, scope = services.access.exchange(g.credential)
        return TokenIssued(token=token, expires_in=seconds, scope=scope)

    @api.operation(
        "DELETE",
        "/api/auth/token",
        tag=TAG,
        summary="Revoke a token",
        need=Need.CREDENTIAL,
        responses=(ResponseSpec("The token is revoked", status=204),),
        refusals=(Forbidden,),
    )
    def revoke_token() -> Response:
        """Revoke the token that is sent as the bearer."""
        services.access.revoke(g.credential)
        return Response(status=204)
