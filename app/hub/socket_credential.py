"""The token of one connection, and whether it is still valid while the socket is open."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from app.domain.access import Credential
from app.domain.messages import Authenticate
from app.services.auth_throttle import AuthThrottle
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus


class SocketCredential:
    """`token` is from the handshake; a token in the message `authenticate` takes precedence."""

    def __init__(self, throttle: AuthThrottle, address: str, token: str | None = None) -> None:
        self._throttle = throttle
        self._address = address
        self._token = token
        self._credential: Credential | None = None
        self._status = NO_CREDENTIAL

    @property
    def token_id(self) -> str | None:
        """The id of the token; None if no token was required."""
        return None if self._credential is None else self._credential.id

    def admit(self, authenticate: Authenticate) -> None:
        """Check the token. Raises Unauthorized, TooManyFailures, Unavailable."""
        self._credential = self._throttle.admit_extension(
            self._address, authenticate.extension_id, authenticate.token or self._token
        )
        self._status = CredentialStatus(self._throttle.access, self._credential)

    def monitored(self, end: Callable[[], object]) -> AbstractContextManager[None]:
        """In this context, `end` is called once within seconds after the token expires or is revoked. `check` then raises."""
        return self._status.monitored(end)

    def check(self) -> None:
        """Raise Unauthorized if the token is known to have expired or been revoked. Makes no query."""
        self._status.check()
