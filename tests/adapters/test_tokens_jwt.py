"""Tokens that are good, and all that are not."""

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

KEY = b"a secret that nobody knows, 32 bytes and more"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
NOW = int(time.time())  # when tests are collected, perhaps many minutes before they run
DAY = 86_400
GOOD: dict[str, Any] = {
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
    """A token with whatever is said in it, signed as HS256 is."""
    text = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    return f"{text}.{part(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def with_header(**more: Any) -> str:
    return signed(GOOD, {"alg": "HS256", "typ": "JWT", **more})


STRANGER = part(RSA.public_key().public_numbers().n.to_bytes(256, "big"))
HOSTILE = {
    "nothing": "",
    "no token": "nonsense",
    "dots": "..",
    "none": f"{part({'alg': 'none'})}.{part(GOOD)}.",
    "NoNe": f"{part({'alg': 'NoNe'})}.{part(GOOD)}.",
    "none, signed": signed(GOOD, {"alg": "none"}),
    "stripped": signed(GOOD).rpartition(".")[0] + ".",
    "cut": signed(GOOD).rpartition(".")[0],
    "payload swapped": signed(GOOD).replace(part(GOOD), part({**GOOD, "sub": "bob"})),
    "another key": signed(GOOD, key=b"x" * 32),
    "empty key": signed(GOOD, key=b""),
    "no algorithm": signed(GOOD, {"typ": "JWT"}),
    "HS512": jwt.encode(GOOD, KEY * 2, "HS512"),
    "RS256 where none is known": jwt.encode(GOOD, RSA, "RS256", {"kid": "rsa"}),
    "algorithm as a list": signed(GOOD, {"alg": ["HS256"]}),
    "expired": signed({**GOOD, "exp": NOW - 11}),
    "not yet": signed({**GOOD, "nbf": NOW + DAY}),
    "made later": signed({**GOOD, "iat": NOW + DAY}),
    "exp as text": signed({**GOOD, "exp": str(NOW + DAY)}),
    "exp as text, huge": signed({**GOOD, "exp": "9999999999"}),
    "exp huge": signed({**GOOD, "exp": 2**70}),
    "exp infinite": signed(json.dumps({**GOOD, "exp": float("inf")}).encode()),
    "exp not a number": signed(json.dumps({**GOOD, "exp": float("nan")}).encode()),
    "exp true": signed({**GOOD, "exp": True}),
    "exp null": signed({**GOOD, "exp": None}),
    "exp a list": signed({**GOOD, "exp": [NOW + DAY]}),
    "iat as text": signed({**GOOD, "iat": str(NOW)}),
    "nbf as text": signed({**GOOD, "nbf": str(NOW)}),
    "iat negative": signed({**GOOD, "iat": -1}),
    **{f"no {name}": signed(without(name)) for name in ("exp", "iat", "sub", "iss", "aud", "jti")},
    "wrong aud": signed({**GOOD, "aud": "another"}),
    "wrong iss": signed({**GOOD, "iss": "another"}),
    "iss a list": signed({**GOOD, "iss": ["imagefleet"]}),
    "sub a number": signed({**GOOD, "sub": 7}),
    "sub of an extension": signed({**GOOD, "sub": "extension/painter"}),
    "sub with a break": signed({**GOOD, "sub": "ann\nbob"}),
    "jti with a NUL": signed({**GOOD, "jti": "a\x00"}),
    "jti long": signed({**GOOD, "jti": "a" * 129}),
    "jti a number": signed({**GOOD, "jti": 1}),
    "role unknown": signed({**GOOD, "role": "root"}),
    "role a list": signed({**GOOD, "role": ["operator"]}),
    "scope a list": signed({**GOOD, "scope": ["read"]}),
    "key a number": signed({**GOOD, "key": 3}),
    "claims a list": signed([GOOD]),
    "jku": with_header(jku="http://127.0.0.1:1/keys"),
    "jwk": with_header(jwk={"kty": "oct", "k": part(b"x" * 32)}),
    "x5u": with_header(x5u="http://127.0.0.1:1/chain"),
    "crit": with_header(crit=["exp"], exp=1),
    "kid a path, RS256": signed(GOOD, {"alg": "RS256", "kid": "../../../../dev/null"}, b""),
    "2 MB": signed({**GOOD, "more": "x" * 2_000_000}),
    "8 kB": signed({**GOOD, "more": "x" * 8_192}),
    "not ASCII": "é.é.é",
    "surrogates": "\ud800.\ud800.\ud800",
}


def reader(**changes: Any) -> JsonWebTokens:
    return JsonWebTokens(dataclasses.replace(Settings.from_env({}), **changes))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused(name: str) -> None:
    with pytest.raises(Unauthorized):
        reader().read(HOSTILE[name], KEY)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused_also_where_others_sign(name: str, jwks: str) -> None:
    with pytest.raises(Unauthorized):
        reader(jwks_url=jwks).read(HOSTILE[name] if "where none" not in name else "", KEY)


def test_a_good_token_says_who_comes() -> None:
    credential = reader().read(signed(GOOD), KEY)
    assert (credential.kind, credential.id, credential.subject, credential.role) == (
        CredentialKind.TOKEN,
        "one",
        "ann",
        Role.USER,
    )
    assert credential.scopes == {Scope.READ, Scope.WRITE}
    assert credential.expires_at == GOOD["exp"] * 1000


def test_a_kid_of_our_own_tokens_means_nothing() -> None:
    assert reader().read(with_header(kid="../../etc/passwd"), KEY).subject == "ann"


def test_a_clock_may_be_a_little_wrong() -> None:
    now = int(time.time())
    assert reader().read(signed({**GOOD, "exp": now - 3, "nbf": now + 3}), KEY).subject == "ann"


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_a_token_that_others_signed_is_good_where_their_keys_are_known(
    jwks: str, key: Any, algorithm: str, kid: str
) -> None:
    token = jwt.encode(GOOD, key, algorithm, {"kid": kid})
    assert reader(jwks_url=jwks).read(token, KEY).subject == "ann"


@pytest.mark.parametrize(
    "token",
    [
        signed(GOOD, {"alg": "HS256", "kid": "rsa"}, PUBLIC_PEM),
        signed(GOOD, {"alg": "RS256", "kid": "rsa"}, PUBLIC_PEM),
        signed(GOOD, {"alg": "RS256", "kid": "rsa"}),
        jwt.encode(GOOD, RSA, "RS256"),
        jwt.encode(GOOD, RSA, "RS256", {"kid": "unknown"}),
        jwt.encode(GOOD, RSA, "RS256", {"kid": "ec"}),
        jwt.encode(GOOD, EC, "ES256", {"kid": "rsa"}),
        jwt.encode(GOOD, RSA, "RS512", {"kid": "rsa"}),
        jwt.encode(GOOD, RSA, "PS256", {"kid": "rsa"}),
        jwt.encode(GOOD, rsa.generate_private_key(65537, 2048), "RS256", {"kid": "rsa"}),
        jwt.encode({**GOOD, "exp": NOW - 60}, RSA, "RS256", {"kid": "rsa"}),
        jwt.encode({**GOOD, "iss": "another"}, RSA, "RS256", {"kid": "rsa"}),
        jwt.encode(GOOD, b"k" * 32, "HS256", {"kid": "shared"}),
    ],
)
def test_keys_and_algorithms_cannot_be_confused(jwks: str, token: str) -> None:
    with pytest.raises(Unauthorized):
        reader(jwks_url=jwks).read(token, KEY)


def test_keys_that_cannot_be_had_are_nobodys_fault() -> None:
    with pytest.raises(Unavailable):
        reader(jwks_url="http://127.0.0.1:1/keys").read(jwt.encode(GOOD, RSA, "RS256", {"kid": "rsa"}), KEY)


def test_many_unknown_kids_are_not_asked_about_one_by_one(asked: list[str], jwks: str) -> None:
    tokens = reader(jwks_url=jwks)
    asked.clear()
    for n in range(20):
        with pytest.raises(Unauthorized):
            tokens.read(jwt.encode(GOOD, RSA, "RS256", {"kid": f"unknown-{n}"}), KEY)
    assert len(asked) <= 2


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """What the keys' host was asked for."""
    return []


@pytest.fixture(scope="module")
def jwks(asked: list[str]) -> Iterator[str]:
    """Where the public keys of others are."""
    keys = [
        {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rsa", "use": "sig"},
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC.public_key())), "kid": "ec", "use": "sig"},
        {"kty": "oct", "kid": "shared", "k": part(b"k" * 32), "use": "sig"},
    ]
    with serving(json.dumps({"keys": keys}).encode(), asked) as url:
        yield url
