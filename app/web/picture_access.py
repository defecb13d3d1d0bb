"""Who may see a picture, and how long the answer may be cached."""

from flask import g, request

from app.container import Services
from app.domain.access import Caller, Need, parse_bearer
from app.domain.errors import Forbidden
from app.services.auth_throttle import AuthThrottle

# A file never changes, and its name is never used again.
FOREVER = "public, max-age=31536000, immutable"
BY_CREDENTIAL = {"Cache-Control": "private, no-cache", "Vary": "Origin, Authorization"}


def permitted(
    services: Services, throttle: AuthThrottle, file: str, expires: str | None, signature: str | None
) -> dict[str, str]:
    """The headers about caching, if the picture may be sent.

    Raises Forbidden where only signed addresses are served and this is none; Unauthorized, TooManyFailures, MissingScope.
    """
    if not services.picture_grants.required:
        return {"Cache-Control": FOREVER}
    try:
        valid_ms = services.picture_grants.check(file, expires, signature)
    except Forbidden:
        bearer = parse_bearer(request.headers.get("Authorization", ""))
        if bearer is None or not _is_visible(services, throttle, file, bearer):
            raise
        return BY_CREDENTIAL
    return {"Cache-Control": f"private, max-age={valid_ms // 1000}"}


def _is_visible(services: Services, throttle: AuthThrottle, file: str, bearer: str) -> bool:
    """True if the sender of this credential may see the picture. Raises Unauthorized, TooManyFailures, MissingScope."""
    address: str = g.caller.address
    caller = Caller.with_credential(address, throttle.authenticate(address, bearer))
    caller.check(Need.READ)
    return services.picture_grants.is_visible(file, caller)
