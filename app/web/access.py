"""Who asks over HTTP: what `Authorization` says is looked at before anything else is done for the request."""

from __future__ import annotations

from collections.abc import Mapping, Set

from flask import Flask, g, request

from app.container import Services
from app.domain.access import Caller, Need, Proof, bearer_of
from app.domain.errors import Unauthorized
from app.services.auth_throttle import AuthThrottle
from app.services.credential_status import CredentialStatus
from app.web.api import Api

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
        g.caller, g.proof = _admitted(throttle, need, g.caller.address)
        g.credential = CredentialStatus(services.access, g.proof)


def _need(needs: Mapping[str, Need], unguarded: Set[str]) -> Need:
    """What the request asks for. Nothing is served where nothing is found, and to preflights; the socket asks itself."""
    endpoint = request.endpoint
    if endpoint in {None, STATIC} or request.path in unguarded or request.method == "OPTIONS":
        return Need.NOTHING
    return needs.get(endpoint, Need.CALLER)


def _admitted(throttle: AuthThrottle, need: Need, address: str) -> tuple[Caller, Proof | None]:
    """The caller at this address, and the proof of its credential if it sent one.

    Raises Unauthorized, TooManyFailures, Unavailable; MissingScope or Forbidden if the credential does not suffice.
    """
    bearer = bearer_of(request.headers.get("Authorization", ""))
    if bearer is None and (throttle.access.required or need is Need.PROOF):
        raise Unauthorized
    proof = None if bearer is None else throttle.authenticate(address, bearer)
    caller = Caller(address) if proof is None else Caller.proven(address, proof)
    caller.check(need)
    return caller, proof
