"""Disabled users, and tokens that are revoked by their text or jti."""

from __future__ import annotations

from functools import partial

import pytest

from app.db.credential_tables import revoked_tokens
from app.domain.access import Credential, CredentialKind, Role, Scope
from app.domain.errors import InvalidRequest, NotFound, Unauthorized
from app.services.access import Access
from app.services.accounts import FOR_EVER
from app.services.revocation import Moment, Subscription
from tests.support.harness import Harness
from tests.support.waiting import until

BOTH = (Scope.READ, Scope.WRITE)


@pytest.fixture
def ann(harness: Harness) -> list[str]:
    """The credentials of ann: a key, a token made from it, and an issued token."""
    harness.services.accounts.create_user("ann", Role.USER)
    key = str(harness.services.accounts.create_key("ann", BOTH))
    made = harness.services.access.exchange(harness.services.access.authenticate(key))[0]
    return [key, made, harness.services.accounts.issue_token("ann", None, BOTH)[0]]


def let_in(access: Access, shown: str) -> bool:
    try:
        access.authenticate(shown)
    except Unauthorized:
        return False
    return True


def test_a_disabled_user_is_refused_at_once_in_this_process_and_soon_in_others(
    harness: Harness, ann: list[str]
) -> None:
    here, there = harness.services.access, Access(harness.bench.ports)
    assert all(let_in(there, shown) for shown in ann)
    harness.services.accounts.disable_user("ann")
    assert not any(let_in(here, shown) for shown in ann)
    until(lambda: not any(let_in(there, shown) for shown in ann), what="the other process to notice")
    harness.services.accounts.enable_user("ann")
    assert all(let_in(here, shown) for shown in ann)
    until(lambda: all(let_in(there, shown) for shown in ann), what="the other process to notice")


@pytest.mark.parametrize("with_pictures", [False, True])
def test_all_that_a_deleted_user_had_is_refused_and_a_new_account_of_the_name_is_not(
    harness: Harness, ann: list[str], with_pictures: bool
) -> None:
    here, there = harness.services.access, Access(harness.bench.ports)
    assert all(let_in(there, shown) for shown in ann)
    watched = there.authenticate(ann[-1])
    ended: list[str] = []
    there.revocations.add(Subscription(watched, Moment(), ended.append))
    delete = harness.services.personal_data.erase if with_pictures else harness.services.personal_data.close_account
    delete("ann")
    assert not any(let_in(here, shown) for shown in ann)
    until(lambda: not any(let_in(there, shown) for shown in ann), what="the other process to notice")
    there.revocations.check()
    assert len(ended) == 1
    harness.services.accounts.create_user("ann", Role.USER)
    assert not any(let_in(here, shown) for shown in ann)
    until(lambda: let_in(here, harness.services.accounts.issue_token("ann", None, BOTH)[0]), what="a later second")


def test_disabling_a_user_does_not_affect_others_or_an_extension_of_the_same_name(
    harness: Harness, ann: list[str]
) -> None:
    harness.services.accounts.create_user("bob", Role.USER)
    others = [
        str(harness.services.accounts.create_key("bob", BOTH)),
        str(harness.services.accounts.create_extension_token("ann")),
        harness.services.accounts.issue_token("ann", Role.EXTENSION, ())[0],
    ]
    harness.services.accounts.disable_user("ann")
    assert [let_in(harness.services.access, shown) for shown in (*ann, *others)] == [False] * 3 + [True] * 3


def test_credentials_that_ended_meanwhile_are_still_refused_when_the_user_is_enabled(
    harness: Harness, ann: list[str]
) -> None:
    harness.services.accounts.disable_user("ann")
    harness.services.accounts.revoke_key(ann[0].split("_")[1])
    harness.services.accounts.enable_user("ann")
    access = Access(harness.bench.ports, cache_s=0)
    assert [let_in(access, shown) for shown in ann] == [False, False, True]


def test_requests_of_a_disabled_user_continue(harness: Harness, ann: list[str]) -> None:
    harness.connect(max_concurrent=2)
    running, waiting = harness.submit_and_start(), harness.submit()
    harness.services.accounts.disable_user("ann")
    harness.sweep()
    assert harness.assign() == 1
    assert [harness.reload(job).status for job in (running, waiting)] == ["processing", "processing"]


def test_with_an_external_issuer_an_unknown_user_can_be_disabled(harness: Harness) -> None:
    for act in (harness.services.accounts.disable_user, harness.services.accounts.enable_user):
        with pytest.raises(NotFound):
            act("zoe")
    outside = harness.with_settings(jwks_url="https://issuer.example/jwks").services
    with pytest.raises(NotFound):
        outside.accounts.disable_user("no user can be called this")
    # as the external issuer would sign it, signed by the test
    credential = Credential(CredentialKind.TOKEN, "theirs", "zoe", Role.OPERATOR, frozenset(), harness.now() + 60_000)
    token = harness.bench.ports.tokens.issue(
        credential, "admin", harness.now() // 1000, outside.access.signing_key.value()
    )
    assert let_in(outside.access, token)
    outside.accounts.disable_user("zoe")
    assert not let_in(outside.access, token)
    [user] = outside.accounts.list_users()
    assert (user.id, user.role, user.keys) == ("zoe", Role.USER, 0)
    outside.accounts.enable_user("zoe")
    assert let_in(outside.access, token)


def test_users_are_listed_with_their_state(harness: Harness, ann: list[str]) -> None:
    harness.services.accounts.create_user("olga", Role.OPERATOR)
    second = harness.services.accounts.create_key("ann", BOTH)
    harness.services.accounts.revoke_key(second.id)
    harness.services.accounts.disable_user("ann")
    first = harness.services.accounts.list_users()
    harness.services.accounts.disable_user("ann")
    assert harness.services.accounts.list_users() == first
    assert [(each.id, each.role, each.disabled_at is not None, each.keys) for each in first] == [
        ("ann", Role.USER, True, 1),
        ("olga", Role.OPERATOR, False, 0),
    ]
    assert [each.disabled for each in harness.services.accounts.list_keys("ann")] == [True, True]


@pytest.mark.parametrize("whole", [True, False])
def test_a_token_is_revoked_by_its_text_or_its_jti(harness: Harness, ann: list[str], whole: bool) -> None:
    key, made, issued = ann
    jti = harness.services.access.authenticate(made).id
    assert harness.services.accounts.revoke_token(made if whole else jti) == jti
    assert [let_in(harness.services.access, shown) for shown in (key, made, issued)] == [True, False, True]
    until(partial(lambda access: not let_in(access, made), Access(harness.bench.ports)), what="others to refuse it")


def test_a_revocation_lasts_as_long_as_a_genuine_token_and_otherwise_forever(harness: Harness, ann: list[str]) -> None:
    """Otherwise a forged, earlier expiry would end the revocation before the genuine token expires."""
    genuine = harness.services.access.authenticate(ann[1])
    credential = Credential(CredentialKind.TOKEN, "forged", "ann", Role.USER, frozenset(), harness.now())
    forged = harness.bench.ports.tokens.issue(credential, "", harness.now() // 1000, b"another key" * 4)
    for shown in (ann[1], forged, "by-name"):
        harness.services.accounts.revoke_token(shown)
    rows = harness.bench.database.read(lambda c: c.execute(revoked_tokens.select()).all())
    kept = {row.jti: row.expires_at for row in rows}
    assert kept == {genuine.id: genuine.expires_at, "forged": FOR_EVER, "by-name": FOR_EVER}


@pytest.mark.parametrize("shown", ["", "a b", "x" * 129, "a.b." + "c" * 200, "é"])
def test_a_text_that_is_neither_a_token_nor_a_jti_is_refused(harness: Harness, shown: str) -> None:
    with pytest.raises(InvalidRequest):
        harness.services.accounts.revoke_token(shown)


def test_a_key_is_not_revoked_as_a_token(harness: Harness, ann: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="use revoke-key or revoke-extension-token"):
        harness.services.accounts.revoke_token(ann[0])


def test_tokens_of_extensions_are_listed(harness: Harness) -> None:
    accounts = harness.services.accounts
    kept, gone = accounts.create_extension_token("painter"), accounts.create_extension_token("sculptor")
    accounts.revoke_extension_token(gone.id)
    harness.services.access.authenticate(str(kept))
    found = accounts.list_extension_tokens()
    assert [(each.id, each.extension_id, each.live) for each in found] == [
        (kept.id, "painter", True),
        (gone.id, "sculptor", False),
    ]
    assert (found[0].last_used_at is None, found[1].revoked_at is None) == (False, False)
    assert [each.id for each in accounts.list_extension_tokens("sculptor")] == [gone.id]
