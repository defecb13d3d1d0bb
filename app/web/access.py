"""Authentication and authorization of HTTP requests, before any view runs."""

from collections.abc import Mapping, Set

from flask import Flask, g, request

from app.container import Services
from app.domain.access import Caller, Credential, Need, Secret, parse_bearer
from app.domain.errors import Unauthorized
from app.services.auth_throttle import AuthThrottle
from app.services.credential_status import CredentialStatus
from app.web.api import Api
from app.web.openai import errors as openai

# Public beside the operations that need nothing: pages, Flask's endpoint for their static files, and the extension, which
# contains no secret. Everything else requires at least a caller (Need.CALLER).
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
    """Set `g.caller`, `g.credential` and `g.credential_status`, or refuse the request. Install it before the limits."""
    public = PAGES | {services.settings.ws_path}

    @app.before_request
    def _authenticate() -> None:
        need = _need(api.needs, public)
        if need is Need.NOTHING:
            return
        g.caller, g.credential = _authenticated(throttle, need, g.caller.address, _bearer(services))
        g.credential_status = CredentialStatus(services.access, g.credential)


def _need(needs: Mapping[str, Need], public: Set[str]) -> Need:
    """What the request needs. A 404 and a preflight need nothing; the WebSocket authenticates by its first message."""
    endpoint = request.endpoint
    if endpoint in {None, STATIC} or request.path in public or request.method == "OPTIONS":
        return Need.NOTHING
    return needs.get(endpoint, Need.CALLER)


def _bearer(services: Services) -> str | None:
    """The key or token that was sent. OpenAI's clients always send one: where none is needed, only one of ours counts."""
    bearer = parse_bearer(request.headers.get("Authorization", ""))
    if bearer is None or services.access.required or not openai.applies():
        return bearer
    ours = Secret.read(bearer) is not None or services.ports.tokens.unverified_id(bearer) is not None
    return bearer if ours else None


def _authenticated(
    throttle: AuthThrottle, need: Need, address: str, bearer: str | None
) -> tuple[Caller, Credential | None]:
    """The caller at this address, and its credential if it sent one.

    Raises Unauthorized, TooManyFailures, Unavailable; MissingScope or Forbidden if the credential does not suffice.
    """
    if bearer is None and (throttle.access.required or need is Need.CREDENTIAL):
        raise Unauthorized
    credential = None if bearer is None else throttle.authenticate(address, bearer)
    caller = Caller(address) if credential is None else Caller.with_credential(address, credential)
    caller.check(need)
    return caller, credential
