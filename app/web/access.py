"""Who asks over HTTP: what `Authorization` says is looked at before anything else is done for the request."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Flask, g, request

from app.domain.access import Caller, Need, Proof, bearer_of
from app.domain.errors import Unauthorized
from app.services.gate import Gate
from app.services.standing import Standing
from app.web.api import Api
from app.wiring import House

# Beside the operations: pages, and the extension, which holds no secret. Whatever else is served needs a caller that is
# let in.
PAGES = frozenset(
    {
        "/",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
        "/docs/style.css",
        "/docs/icon.svg",
        "/extension",
        "/extension/style.css",
        "/extension/imagefleet-extension.zip",
        "/extension/demo",
        "/extension/demo.css",
        "/extension/demo.js",
    }
)


def install(app: Flask, api: Api, house: House, gate: Gate) -> None:
    """Find out who asks, and refuse those who may not, before any view of `app`. Install it before what counts callers."""

    @app.before_request
    def _admit() -> None:
        need = _need(api.needs, house.settings.ws_path)
        if need is not Need.NOTHING:
            g.proof = _proof(gate, need)
            if g.proof is not None:
                g.caller = Caller.proven(g.caller.address, g.proof)
            g.standing = Standing(house.access, g.proof)
            g.caller.check(need)


def _need(needs: Mapping[str, Need], ws_path: str) -> Need:
    """What the request asks for. Nothing is served where nothing is found, and to preflights; the socket asks itself."""
    if request.endpoint is None or request.method == "OPTIONS" or request.path in PAGES or request.path == ws_path:
        return Need.NOTHING
    return needs.get(request.endpoint, Need.CALLER)


def _proof(gate: Gate, need: Need) -> Proof | None:
    bearer = bearer_of(request.headers.get("Authorization", ""))
    if bearer is not None:
        return gate.authenticate(g.caller.address, bearer)
    if gate.access.required or need is Need.PROOF:
        raise Unauthorized
    return None
