"""Accepted credentials are cached, and for no longer than documented."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.domain.access import Role, Scope
from app.domain.errors import Unauthorized
from app.services.access import Access
from tests.support.harness import Harness
from tests.support.statements import recorded_statements
from tests.support.waiting import until

BOTH = (Scope.READ, Scope.WRITE)


@pytest.fixture
def secrets(harness: Harness) -> Harness:
    """A harness with authentication and a user ann."""
    harness.services.accounts.create_user("ann", Role.USER)
    return harness


def test_concurrent_uses_of_one_credential_cause_one_query(secrets: Harness) -> None:
    shown = str(secrets.services.accounts.create_key("ann", BOTH))
    access = Access(secrets.bench.ports, cache_s=60)
    with ThreadPoolExecutor(16) as pool, recorded_statements("api_keys.hash") as queries:
        for done in [pool.submit(access.authenticate, shown) for _ in range(64)]:
            done.result()
    assert len(queries) == 1


def test_a_recently_accepted_credential_is_accepted_without_a_query(secrets: Harness) -> None:
    shown = str(secrets.services.accounts.create_key("ann", BOTH))
    access = Access(secrets.bench.ports, cache_s=60)
    credential = access.authenticate(shown)
    with recorded_statements() as queries:
        assert access.authenticate(shown) == access.cached(shown) == credential
    assert queries == []
    assert access.cached(f"{shown}0") is None


def test_an_expired_credential_is_not_answered_from_the_cache(secrets: Harness) -> None:
    access = Access(secrets.bench.ports, cache_s=60)
    shown = str(secrets.services.accounts.create_key("ann", BOTH, lifetime_ms=300))
    ends = access.authenticate(shown).expires_at
    assert ends is not None
    until(lambda: time.time() * 1000 >= ends, 10, "the key to expire")
    assert access.cached(shown) is None


def test_a_credential_read_before_its_revocation_is_not_cached_after_it(secrets: Harness, monkeypatch: Any) -> None:
    """The query started before the revocation and returned the older state."""
    access = secrets.services.access
    shown, _, _ = access.issue("ann", Role.USER, "read")
    credential = access.authenticate(shown)
    access.forget()
    read = access.ports.database.read

    def revoked_meanwhile(question: Any) -> Any:
        seen = read(question)
        monkeypatch.undo()
        access.revoke(credential)
        return seen

    monkeypatch.setattr(access.ports.database, "read", revoked_meanwhile)
    access.authenticate(shown)  # it was valid when the query started
    assert access.cached(shown) is None
    with pytest.raises(Unauthorized):
        access.authenticate(shown)
