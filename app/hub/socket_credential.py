"""What an extension came in with, and whether that is still good while its socket lives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from app.domain.access import Proof
from app.domain.messages import Authenticate
from app.services.auth_throttle import AuthThrottle
from app.services.credential_status import ANYBODY, CredentialStatus


class SocketCredential:
    """The token of one connection. `shown` came with the handshake; what `authenticate` says goes before it."""

    def __init__(self, throttle: AuthThrottle, address: str, shown: str | None = None) -> None:
        self._throttle = throttle
        self._address = address
        self._shown = shown
        self._proof: Proof | None = None
        self._standing = ANYBODY

    @property
    def token_id(self) -> str | None:
        """The id of the token; None where none was needed."""
        return None if self._proof is None else self._proof.id

    def admit(self, hello: Authenticate) -> None:
        """Let the extension in. Raises Unauthorized, TooManyFailures, Unavailable."""
        self._proof = self._throttle.admit_extension(self._address, hello.extension_id, hello.token or self._shown)
        self._standing = CredentialStatus(self._throttle.access, self._proof)

    def lasting(self, end: Callable[[], object]) -> AbstractContextManager[None]:
        """While inside, `end` is called, once and within seconds, where the token expires or is revoked; then see `check`."""
        return self._standing.lasting(end)

    def check(self) -> None:
        """Raises Unauthorized once the token is known to have ended. It asks nobody."""
        self._standing.check()
