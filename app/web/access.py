"""Who asks over HTTP: what `Authorization` says is looked at before anything else is done for the request."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

from flask import Flask, g, request

from app.container import Services
from app.domain.access import Caller, Need, Proof, bearer_of
from app.domain.errors import Unauthorized
from app.services.auth_throttle import AuthThrottle
from app.services.credential_status import CredentialStatus
from app.web.api import Api

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Beside the operations: pages, and the extension, which holds no secret. Whatever else is served needs a caller that is
# let in. Flask's own endpoint for the pages' static files is public too.
STATIC = "static"
PAGES = frozenset(
    {
        "/",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/socket",
        "/extension",
        "/extension/imagefleet-extension.zip",
        "/extension/demo",
    }
)


def install(app: Flask, api: Api, services: Services, throttle: AuthThrottle) -> None:
    """Find out who asks, and refuse those who may not, before any view of `app`. Install it before what counts callers."""
    unguarded = PAGES | {services.settings.ws_path}

    @app.before_request
    def _admit() -> None:
        need = _need(api.needs, unguarded)
        if need is Need.NOTHING:
            return
        g.caller, g.proof = admitted(throttle, need, g.caller.address, request.environ)
        g.credential = CredentialStatus(services.access, g.proof)


def _need(needs: Mapping[str, Need], unguarded: Set[str]) -> Need:
    """What the request asks for. Nothing is served where nothing is found, and to preflights; the socket asks itself."""
    endpoint = request.endpoint
    if endpoint in {None, STATIC} or request.path in unguarded or request.method == "OPTIONS":
        return Need.NOTHING
    return needs.get(endpoint, Need.CALLER)


def admitted(throttle: AuthThrottle, need: Need, address: str, environ: WSGIEnvironment) -> tuple[Caller, Proof | None]:
    """Who asks from this address, and what was shown and found good. Raises Unauthorized, TooManyFailures, Unavailable, and
    MissingScope or Forbidden where that is not enough."""
    bearer = bearer_of(environ.get("HTTP_AUTHORIZATION", ""))
    if bearer is None and (throttle.access.required or need is Need.PROOF):
        raise Unauthorized
    proof = None if bearer is None else throttle.authenticate(address, bearer)
    caller = Caller(address) if proof is None else Caller.proven(address, proof)
    caller.check(need)
    return caller, proof
