"""JSON Web Tokens: ours, signed with our secret, and those of whoever signs with the keys at JWKS_URL.

Which key a token is held against, and by which algorithm, follows from what signs there: a secret is never used for
RS256, nor a public key for HS256. Nothing that a token says about where its key is found is followed.
"""

from __future__ import annotations

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

LARGEST = 8_192
LEEWAY_S = 10
JWKS_TIMEOUT_S = 3
JWKS_KEPT_S = 300
LAST_SECOND = 253_402_300_799  # of the year 9999
OURS = "HS256"
THEIRS = ("RS256", "ES256")
REQUIRED = ["exp", "iat", "sub", "iss", "aud", "jti"]
KEYS_OF_THEIR_OWN = frozenset({"jku", "jwk", "x5u", "x5c", "crit"})
WRONG = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError, KeyError, AttributeError)


class JsonWebTokens:
    """Makes and reads tokens."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._keys = (
            PyJWKClient(settings.jwks_url, timeout=JWKS_TIMEOUT_S, lifespan=JWKS_KEPT_S) if settings.jwks_url else None
        )

    def issue(self, credential: Credential, scope: str, now_s: int, key: bytes) -> str:
        """A token that says what the credential says; it begins at `now_s` and ends when the credential does."""
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
        return jwt.encode(claims, key, OURS)

    def read(self, token: str, key: bytes) -> Credential:
        """What the token says, where it is good; whether it was revoked is not asked here. `key` is our secret.

        Raises Unauthorized, and Unavailable where the keys at JWKS_URL cannot be had.
        """
        if len(token) > LARGEST:
            raise Unauthorized(f"This token has more than {LARGEST} bytes.", shown=True)
        try:
            return _credential(self._claims(token, key))
        except PyJWKClientConnectionError as error:
            raise Unavailable("The keys to verify tokens with are temporarily unavailable.", retry_after_s=5) from error
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This token has expired.", shown=True) from None
        except WRONG:
            raise Unauthorized("This token is invalid.", shown=True) from None

    def unverified_id(self, token: str) -> str | None:
        """The `jti` that a token gives itself, whether it is good or not; None for what is no token."""
        try:
            jti = jwt.decode(token, options={"verify_signature": False}).get("jti") if len(token) <= LARGEST else None
        except WRONG:
            return None
        return jti if isinstance(jti, str) and JTI.fullmatch(jti) else None

    def _claims(self, token: str, key: bytes) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if KEYS_OF_THEIR_OWN & set(header):
            raise ValueError(header)
        if header["alg"] == OURS:
            return self._decode(token, key, OURS)
        if self._keys is None or header["alg"] not in THEIRS or not isinstance(header.get("kid"), str):
            raise ValueError(header)
        return self._decode(token, self._keys.get_signing_key(header["kid"]).key, header["alg"])

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer,
            leeway=LEEWAY_S,
            options={"require": REQUIRED},
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
    )


def _check_time(value: object) -> None:
    """Seconds since the epoch as a number: what is text, or beyond any calendar, was made to confuse."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(value)
    if not 0 <= value <= LAST_SECOND:
        raise ValueError(value)
