"""Who may see a picture, and how long the answer may be cached."""

from dataclasses import dataclass

from flask import g, request

from app.container import Services
from app.domain.access import Caller, Need, parse_bearer
from app.domain.errors import Forbidden
from app.services.auth_throttle import AuthThrottle

YEAR_S = 31_536_000
# A file never changes, and its name is never used again.
FOREVER = f"public, max-age={YEAR_S}, immutable"


@dataclass(frozen=True, slots=True)
class Permission:
    """Permits to send a picture. Signed addresses are valid for `valid_s` seconds; a credential permits one answer only.

    The picture will be removed in `kept_s` seconds; None if that is not known.
    """

    valid_s: int | None = None
    by_credential: bool = False
    kept_s: int | None = None

    def caching(self) -> dict[str, str]:
        """The headers about caching of an answer with the picture."""
        if not self._is_public:
            return self._private(self.valid_s or 0)
        return {"Cache-Control": FOREVER if self.kept_s is None else f"public, max-age={self._kept(YEAR_S)}"}

    def redirect_caching(self, most_s: int, *, private: bool) -> dict[str, str]:
        """The same of a redirect that must not be cached longer than this."""
        if self._is_public and not private:
            return {"Cache-Control": f"public, max-age={self._kept(most_s)}"}
        return self._private(most_s if self.valid_s is None else min(most_s, self.valid_s))

    @property
    def _is_public(self) -> bool:
        return self.valid_s is None and not self.by_credential

    def _private(self, seconds: int) -> dict[str, str]:
        if self.by_credential:
            return {"Cache-Control": "private, no-cache", "Vary": "Origin, Authorization"}
        return {"Cache-Control": f"private, max-age={self._kept(seconds)}"}

    def _kept(self, seconds: int) -> int:
        """At most until the removal."""
        return seconds if self.kept_s is None else min(seconds, self.kept_s)


def permitted(
    services: Services, throttle: AuthThrottle, file: str, expires: str | None, signature: str | None
) -> Permission:
    """Permits to send the picture.

    Raises Forbidden where only signed addresses are served and this is none; Unauthorized, TooManyFailures, MissingScope.
    """
    kept_s = services.lookup.kept_s(file)
    if not services.picture_grants.required:
        return Permission(kept_s=kept_s)
    try:
        valid_ms = services.picture_grants.check(file, expires, signature)
    except Forbidden:
        bearer = parse_bearer(request.headers.get("Authorization", ""))
        if bearer is None or not _is_visible(services, throttle, file, bearer):
            raise
        return Permission(by_credential=True, kept_s=kept_s)
    return Permission(valid_ms // 1000, kept_s=kept_s)


def _is_visible(services: Services, throttle: AuthThrottle, file: str, bearer: str) -> bool:
    """True if the sender of this credential may see the picture. Raises Unauthorized, TooManyFailures, MissingScope."""
    address: str = g.caller.address
    caller = Caller.with_credential(address, throttle.authenticate(address, bearer))
    caller.check(Need.READ)
    return services.picture_grants.is_visible(file, caller)
