"""JSON Web Tokens: those of this service, signed with its secret, and those of the issuer with the keys at JWKS_URL.

The secret is used only for HS256, and the keys at JWKS_URL only for RS256 and ES256. A token cannot choose where its key is
found: such headers are refused.
"""

import math
from collections.abc import Mapping
from typing import Any

import jwt
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from app.config import Settings
from app.domain import image_request, messages
from app.domain.access import JTI, Credential, CredentialKind, Role, parse_scopes
from app.domain.errors import Unauthorized, Unavailable

MAX_TOKEN_BYTES = 8_192
LEEWAY_S = 10
JWKS_TIMEOUT_S = 3
JWKS_CACHE_S = 300
MAX_TIME_S = 253_402_300_799  # the end of the year 9999
OWN_ALGORITHM = "HS256"
JWKS_ALGORITHMS = ("RS256", "ES256")
REQUIRED = ["exp", "iat", "sub", "iss", "aud", "jti"]
REFUSED_HEADERS = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
INVALID = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError, KeyError, AttributeError)


class JsonWebTokens:
    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._keys = (
            PyJWKClient(settings.jwks_url, timeout=JWKS_TIMEOUT_S, lifespan=JWKS_CACHE_S) if settings.jwks_url else None
        )

    def issue(self, credential: Credential, scope: str, now_s: int, key: bytes) -> str:
        """A token for the credential, valid from `now_s` until the credential expires."""
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": credential.subject,
            "iat": now_s,
            "exp": (credential.expires_at or 0) // 1000,
            "jti": credential.id,
            "role": credential.role.value,
            "scope": scope,
        }
        if credential.key_id is not None:
            claims["key"] = credential.key_id
        return jwt.encode(claims, key, OWN_ALGORITHM)

    def read(self, token: str, key: bytes) -> Credential:
        """Verify the token and return its credential; revocation is not checked here. `key` is this service's secret.

        Raises Unauthorized, and Unavailable if the keys at JWKS_URL cannot be fetched.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized(f"This token has more than {MAX_TOKEN_BYTES} bytes.", credential_sent=True)
        try:
            return _credential(self._claims(token, key))
        except PyJWKClientConnectionError as error:
            raise Unavailable("The keys to verify tokens with are temporarily unavailable.", retry_after_s=5) from error
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This token has expired.", credential_sent=True) from None
        except INVALID:
            raise Unauthorized("This token is invalid.", credential_sent=True) from None

    def unverified_id(self, token: str) -> str | None:
        """The `jti` of a token without verifying it; None if the text is not a token."""
        if len(token) > MAX_TOKEN_BYTES:
            return None
        try:
            jti = jwt.decode(token, options={"verify_signature": False}).get("jti")
        except INVALID:
            return None
        return jti if isinstance(jti, str) and JTI.fullmatch(jti) else None

    def _claims(self, token: str, secret: bytes) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header["alg"]
        if REFUSED_HEADERS & set(header):
            raise ValueError(header)
        if algorithm == OWN_ALGORITHM:
            key: Any = secret
        elif self._keys is None or algorithm not in JWKS_ALGORITHMS or not isinstance(header.get("kid"), str):
            raise ValueError(header)
        else:
            key = self._keys.get_signing_key(header["kid"]).key
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            # Tokens made before the clock was set back stay good: only `nbf` says from when on one is.
            options={"require": REQUIRED, "verify_iat": False},
        )
        return claims


def _credential(claims: Mapping[str, Any]) -> Credential:
    for name in ("exp", "iat", "nbf"):
        if name in claims:
            _check_time(claims[name])
    role = Role(claims.get("role", Role.USER))
    name_of = messages.ID if role is Role.EXTENSION else image_request.USER
    key_id = claims.get("key")
    if not name_of.fullmatch(claims["sub"]) or not JTI.fullmatch(claims["jti"]):
        raise ValueError(claims)
    if key_id is not None and not JTI.fullmatch(key_id):
        raise ValueError(claims)
    return Credential(
        CredentialKind.TOKEN,
        claims["jti"],
        claims["sub"],
        role,
        parse_scopes(claims.get("scope", "")),
        int(claims["exp"] * 1000),
        key_id,
        int(claims["iat"] * 1000),
    )


def _check_time(value: object) -> None:
    """Raise TypeError or ValueError unless `value` is a number of seconds since the epoch, before the year 10000."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(value)
    if not 0 <= value <= MAX_TIME_S:
        raise ValueError(value)
