"""Valid tokens, and invalid ones."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.adapters.tokens_jwt import JsonWebTokens
from app.config import Settings
from app.domain.access import CredentialKind, Role, Scope
from app.domain.errors import Unauthorized, Unavailable
from tests.support.serving import serving

KEY = b"a secret of this service, 32 bytes or more"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
NOW = int(time.time())  # when tests are collected, perhaps many minutes before they run
DAY = 86_400
CLAIMS: dict[str, Any] = {
    "iss": "imagefleet",
    "aud": "imagefleet",
    "sub": "ann",
    "iat": NOW,
    "exp": NOW + DAY,
    "jti": "one",
    "scope": "read write",
}


def part(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(claims: Any, header: dict[str, Any] | None = None, key: bytes = KEY) -> str:
    """A token with any claims and header, signed as for HS256."""
    text = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def with_header(**more: Any) -> str:
    return signed(CLAIMS, {"alg": "HS256", "typ": "JWT", **more})


INVALID = {
    "nothing": "",
    "no token": "nonsense",
    "dots": "..",
    "none": f"{part({'alg': 'none'})}.{part(CLAIMS)}.",
    "NoNe": f"{part({'alg': 'NoNe'})}.{part(CLAIMS)}.",
    "none, signed": signed(CLAIMS, {"alg": "none"}),
    "stripped": signed(CLAIMS).rpartition(".")[0] + ".",
    "cut": signed(CLAIMS).rpartition(".")[0],
    "payload swapped": signed(CLAIMS).replace(part(CLAIMS), part({**CLAIMS, "sub": "bob"})),
    "another key": signed(CLAIMS, key=b"x" * 32),
    "empty key": signed(CLAIMS, key=b""),
    "no algorithm": signed(CLAIMS, {"typ": "JWT"}),
    "HS512": jwt.encode(CLAIMS, KEY * 2, "HS512"),
    "RS256 without JWKS_URL": jwt.encode(CLAIMS, RSA, "RS256", {"kid": "rsa"}),
    "algorithm as a list": signed(CLAIMS, {"alg": ["HS256"]}),
    "expired": signed({**CLAIMS, "exp": NOW - 11}),
    "not yet": signed({**CLAIMS, "nbf": NOW + DAY}),
    "exp as text": signed({**CLAIMS, "exp": str(NOW + DAY)}),
    "exp as text, huge": signed({**CLAIMS, "exp": "9999999999"}),
    "exp huge": signed({**CLAIMS, "exp": 2**70}),
    "exp infinite": signed(json.dumps({**CLAIMS, "exp": float("inf")}).encode()),
    "exp not a number": signed(json.dumps({**CLAIMS, "exp": float("nan")}).encode()),
    "exp true": signed({**CLAIMS, "exp": True}),
    "exp null": signed({**CLAIMS, "exp": None}),
    "exp a list": signed({**CLAIMS, "exp": [NOW + DAY]}),
    "iat as text": signed({**CLAIMS, "iat": str(NOW)}),
    "nbf as text": signed({**CLAIMS, "nbf": str(NOW)}),
    "iat negative": signed({**CLAIMS, "iat": -1}),
    **{f"no {name}": signed(without(name)) for name in ("exp", "iat", "sub", "iss", "aud", "jti")},
    "wrong aud": signed({**CLAIMS, "aud": "another"}),
    "wrong iss": signed({**CLAIMS, "iss": "another"}),
    "iss a list": signed({**CLAIMS, "iss": ["imagefleet"]}),
    "sub a number": signed({**CLAIMS, "sub": 7}),
    "sub of an extension": signed({**CLAIMS, "sub": "extension/painter"}),
    "sub with a break": signed({**CLAIMS, "sub": "ann\nbob"}),
    "jti with a NUL": signed({**CLAIMS, "jti": "a\x00"}),
    "jti long": signed({**CLAIMS, "jti": "a" * 129}),
    "jti a number": signed({**CLAIMS, "jti": 1}),
    "role unknown": signed({**CLAIMS, "role": "root"}),
    "role a list": signed({**CLAIMS, "role": ["operator"]}),
    "scope a list": signed({**CLAIMS, "scope": ["read"]}),
    "key a number": signed({**CLAIMS, "key": 3}),
    "claims a list": signed([CLAIMS]),
    "jku": with_header(jku="http://127.0.0.1:1/keys"),
    "jwk": with_header(jwk={"kty": "oct", "k": part(b"x" * 32)}),
    "x5u": with_header(x5u="http://127.0.0.1:1/chain"),
    "crit": with_header(crit=["exp"], exp=1),
    "kid a path, RS256": signed(CLAIMS, {"alg": "RS256", "kid": "../../../../dev/null"}, b""),
    "2 MB": signed({**CLAIMS, "more": "x" * 2_000_000}),
    "8 kB": signed({**CLAIMS, "more": "x" * 8_192}),
    "not ASCII": "é.é.é",
    "surrogates": "\ud800.\ud800.\ud800",
}


def reader(**changes: Any) -> JsonWebTokens:
    return JsonWebTokens(dataclasses.replace(Settings.from_env({}), **changes))


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_token_is_refused(name: str) -> None:
    with pytest.raises(Unauthorized):
        reader().read(INVALID[name], KEY)


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_token_is_refused_also_with_a_jwks_url(name: str, jwks: str) -> None:
    with pytest.raises(Unauthorized):
        reader(jwks_url=jwks).read(INVALID[name] if "without JWKS_URL" not in name else "", KEY)


def test_a_valid_token_identifies_its_user() -> None:
    credential = reader().read(signed(CLAIMS), KEY)
    assert (credential.kind, credential.id, credential.subject, credential.role) == (
        CredentialKind.TOKEN,
        "one",
        "ann",
        Role.USER,
    )
    assert credential.scopes == {Scope.READ, Scope.WRITE}
    assert credential.expires_at == CLAIMS["exp"] * 1000


def test_the_kid_of_an_own_token_is_ignored() -> None:
    assert reader().read(with_header(kid="../../etc/passwd"), KEY).subject == "ann"


def test_clocks_may_differ_by_a_few_seconds() -> None:
    now = int(time.time())
    assert reader().read(signed({**CLAIMS, "exp": now - 3, "nbf": now + 3}), KEY).subject == "ann"


@pytest.mark.parametrize("ahead_s", [150, DAY])
def test_a_token_made_before_the_clock_was_set_back_stays_good(ahead_s: int) -> None:
    assert reader().read(signed({**CLAIMS, "iat": NOW + ahead_s, "exp": NOW + 2 * DAY}), KEY).subject == "ann"


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_a_token_signed_with_a_key_at_the_jwks_url_is_valid(jwks: str, key: Any, algorithm: str, kid: str) -> None:
    token = jwt.encode(CLAIMS, key, algorithm, {"kid": kid})
    assert reader(jwks_url=jwks).read(token, KEY).subject == "ann"


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, {"alg": "HS256", "kid": "rsa"}, PUBLIC_PEM),
        signed(CLAIMS, {"alg": "RS256", "kid": "rsa"}, PUBLIC_PEM),
        signed(CLAIMS, {"alg": "RS256", "kid": "rsa"}),
        jwt.encode(CLAIMS, RSA, "RS256"),
        jwt.encode(CLAIMS, RSA, "RS256", {"kid": "unknown"}),
        jwt.encode(CLAIMS, RSA, "RS256", {"kid": "ec"}),
        jwt.encode(CLAIMS, EC, "ES256", {"kid": "rsa"}),
        jwt.encode(CLAIMS, RSA, "RS512", {"kid": "rsa"}),
        jwt.encode(CLAIMS, RSA, "PS256", {"kid": "rsa"}),
        jwt.encode(CLAIMS, rsa.generate_private_key(65537, 2048), "RS256", {"kid": "rsa"}),
        jwt.encode({**CLAIMS, "exp": NOW - 60}, RSA, "RS256", {"kid": "rsa"}),
        jwt.encode({**CLAIMS, "iss": "another"}, RSA, "RS256", {"kid": "rsa"}),
        jwt.encode(CLAIMS, b"k" * 32, "HS256", {"kid": "shared"}),
    ],
)
def test_keys_and_algorithms_cannot_be_confused(jwks: str, token: str) -> None:
    with pytest.raises(Unauthorized):
        reader(jwks_url=jwks).read(token, KEY)


def test_an_unreachable_jwks_url_is_a_temporary_error() -> None:
    with pytest.raises(Unavailable):
        reader(jwks_url="http://127.0.0.1:1/keys").read(jwt.encode(CLAIMS, RSA, "RS256", {"kid": "rsa"}), KEY)


def test_unknown_kids_do_not_cause_one_request_each(requests: list[str], jwks: str) -> None:
    tokens = reader(jwks_url=jwks)
    requests.clear()
    for n in range(20):
        with pytest.raises(Unauthorized):
            tokens.read(jwt.encode(CLAIMS, RSA, "RS256", {"kid": f"unknown-{n}"}), KEY)
    assert len(requests) <= 2


@pytest.fixture(scope="module")
def requests() -> list[str]:
    """The paths requested from the JWKS URL."""
    return []


@pytest.fixture(scope="module")
def jwks(requests: list[str]) -> Iterator[str]:
    """The URL of public keys of another issuer."""
    keys = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa", "use": "sig"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key())), "kid": "ec", "use": "sig"},
        {"kty": "oct", "kid": "shared", "k": part(b"k" * 32), "use": "sig"},
    ]
    with serving(json.dumps({"keys": keys}).encode(), requests) as url:
        yield url
