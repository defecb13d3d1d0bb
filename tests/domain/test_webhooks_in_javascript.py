"""Signatures of webhooks as the JavaScript library of Standard Webhooks checks them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.domain import webhooks
from tests.support.missing import missing
from tests.support.node import node

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "extension" / "node_modules"
BODY = '{"type":"image.completed","data":{"prompt":"ein Füchslein 🦊"}}'


def secret(number: int = 1) -> bytes:
    return webhooks.secret_bytes(b"k" * 32, "a", number)


def verified(body: str, headers: dict[str, str]) -> CompletedProcess[str]:
    """What the library says, with the first secret."""
    if not (MODULES / "standardwebhooks").exists():
        missing("standardwebhooks is missing: make check-extension installs it")
    given = {"secret": webhooks.secret_text(secret()), "headers": headers, "body": body}
    return node(ROOT / "tests/support/verify_webhook.cjs", MODULES, json.dumps(given))


def signed(*numbers: int, ago_s: int = 0) -> dict[str, str]:
    return webhooks.headers([secret(n) for n in numbers], "evt_a_1", int(time.time()) - ago_s, BODY.encode())


@pytest.mark.parametrize("numbers", [(1,), (2, 1)])
def test_the_library_accepts_the_signature_also_during_a_rotation(numbers: tuple[int, ...]) -> None:
    answer = verified(BODY, signed(*numbers))
    assert (answer.returncode, json.loads(answer.stdout)) == (0, json.loads(BODY))


FORGERIES = {
    "another body": lambda: (BODY.replace("completed", "cancelled"), signed(1)),
    "another secret": lambda: (BODY, signed(2)),
    "a replay after an hour": lambda: (BODY, signed(1, ago_s=3600)),
    "another id": lambda: (BODY, {**signed(1), "webhook-id": "evt_a_2"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_the_library_refuses_forgeries_and_replays(forgery: str) -> None:
    answer = verified(*FORGERIES[forgery]())
    assert answer.returncode == 1, answer.stdout
    assert answer.stdout in ("No matching signature found", "Message timestamp too old"), answer.stdout
