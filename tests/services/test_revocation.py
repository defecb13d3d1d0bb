"""Open connections are notified once when their credential ends; one query serves all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import pytest

from app.db.credential_tables import extension_tokens
from app.domain.access import Credential, CredentialKind, Role, Scope
from app.domain.errors import Unauthorized, Unavailable
from app.services import revocation
from app.services.credential_status import NO_CREDENTIAL, CredentialStatus
from app.services.revocation import Moment
from tests.support.harness import Harness
from tests.support.statements import recorded_statements


@pytest.fixture(autouse=True)
def _no_periodic_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No check runs by itself: the tests run them."""
    monkeypatch.setattr(revocation.RevocationWatcher, "_run", lambda self: None)


@pytest.fixture
def ann(harness: Harness) -> Harness:
    harness.services.accounts.create_user("ann", Role.USER)
    return harness


def key(harness: Harness) -> tuple[Credential, Callable[[], object]]:
    made = harness.services.accounts.create_key("ann", [Scope.READ])
    return harness.services.access.authenticate(str(made)), lambda: harness.services.accounts.revoke_key(made.id)


def token(harness: Harness) -> tuple[Credential, Callable[[], object]]:
    credential = harness.services.access.authenticate(harness.services.access.issue("ann", Role.USER, "read")[0])
    return credential, lambda: harness.services.access.revoke(credential)


def token_of_a_key(harness: Harness) -> tuple[Credential, Callable[[], object]]:
    shown, end = key(harness)
    return harness.services.access.authenticate(harness.services.access.exchange(shown)[0]), end


def extension_token(harness: Harness) -> tuple[Credential, Callable[[], object]]:
    made = harness.services.accounts.create_extension_token("painter")
    return harness.services.access.authenticate(str(made)), lambda: harness.services.accounts.revoke_extension_token(
        made.id
    )


def disabled(harness: Harness) -> tuple[Credential, Callable[[], object]]:
    return token(harness)[0], lambda: harness.services.accounts.disable_user("ann")


@pytest.mark.parametrize("credential_of", [key, token, token_of_a_key, extension_token, disabled])
def test_only_the_connection_of_a_revoked_credential_is_notified_and_once(
    ann: Harness, credential_of: Callable
) -> None:
    (credential, end), (other, _) = credential_of(ann), extension_token(ann)
    access, ended = ann.services.access, []
    ending, staying = CredentialStatus(access, credential), CredentialStatus(access, other)
    with ending.monitored(lambda: ended.append("ending")), staying.monitored(lambda: ended.append("staying")):
        access.revocations.check()
        ending.check()
        end()
        access.revocations.check()
        access.revocations.check()
        assert ended == ["ending"]
        with pytest.raises(Unauthorized):
            ending.check()
        staying.check()


def test_a_credential_expires_even_if_the_database_cannot_be_reached(
    ann: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr("app.db.credentials.ended_within", away)
    short = CredentialStatus(
        ann.services.access, Credential(CredentialKind.TOKEN, "x", "painter", Role.EXTENSION, frozenset(), 1)
    )
    long = CredentialStatus(ann.services.access, token(ann)[0])
    with short.monitored(bool), long.monitored(bool):
        with pytest.raises(Unavailable):
            ann.services.access.revocations.check()
        long.check()
        with pytest.raises(Unauthorized, match="expired"):
            short.check()


@pytest.mark.parametrize("clock", ["wall_s", "monotonic_s"])  # one was set back, or the machine slept
def test_a_revocation_is_found_after_any_gap_between_checks(
    ann: Harness, monkeypatch: pytest.MonkeyPatch, clock: str
) -> None:
    credential, end = extension_token(ann)
    credential_status = CredentialStatus(ann.services.access, credential)
    end()
    earlier = extension_tokens.update().values(revoked_at=extension_tokens.c.revoked_at - 3_600_000)
    ann.bench.database.write(lambda tx: tx.connection.execute(earlier))
    with credential_status.monitored(bool):
        ann.services.access.revocations.check()
        credential_status.check()  # checked an hour later, by its own clock
    hour_ago = replace(Moment(), **{clock: getattr(Moment(), clock) - 3_600})
    monkeypatch.setattr(credential_status, "_valid_at", hour_ago)
    with credential_status.monitored(bool):
        ann.services.access.revocations.check()
        with pytest.raises(Unauthorized):
            credential_status.check()


def test_a_check_is_one_query_for_any_number_of_connections(ann: Harness) -> None:
    access = ann.services.access
    for many in (1, 60):
        with ExitStack() as stack:
            for _ in range(many):
                stack.enter_context(CredentialStatus(access, token(ann)[0]).monitored(bool))
            with recorded_statements() as statements:
                access.revocations.check()
        queries = [text for text, _ in statements if not text.startswith(("BEGIN", "COMMIT"))]
        assert len(queries) == 1, "\n".join(queries)


def test_closed_connections_are_forgotten(ann: Harness) -> None:
    ended: list[str] = []
    credential, end = token(ann)
    with CredentialStatus(ann.services.access, credential).monitored(lambda: ended.append("ended")):
        end()
    ann.services.access.revocations.check()
    assert ended == []


def test_a_connection_without_credential_is_not_ended_by_the_revocation_of_a_token(ann: Harness) -> None:
    access, ended = ann.services.access, []
    credential, end = token(ann)
    nothing, shown = CredentialStatus(access, None), CredentialStatus(access, credential)
    with (
        nothing.monitored(lambda: ended.append("nothing")),
        NO_CREDENTIAL.monitored(lambda: ended.append("anybody")),
        shown.monitored(lambda: ended.append("shown")),
    ):
        end()
        access.revocations.check()
        assert ended == ["shown"]
        nothing.check()
        NO_CREDENTIAL.check()
