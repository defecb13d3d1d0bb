"""Authentication of keys, tokens and extensions: who is accepted and until when, and what is stored."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from app.db.credential_tables import api_keys, extension_tokens, revoked_tokens
from app.db.fleet import Socket
from app.db.tables import metadata
from app.domain.access import Credential, CredentialKind, Role, Scope, Secret
from app.domain.errors import Forbidden, InvalidRequest, NotFound, Unauthorized
from app.domain.messages import Authenticate
from app.services import caching
from app.services.access import Access
from tests.support.harness import Harness
from tests.support.waiting import until

BOTH = (Scope.READ, Scope.WRITE)


@pytest.fixture
def secrets(harness: Harness) -> Harness:
    """A harness with authentication, a user ann and an operator olga."""
    harness.services.accounts.create_user("ann", Role.USER)
    harness.services.accounts.create_user("olga", Role.OPERATOR)
    return harness


def elsewhere(harness: Harness) -> Access:
    """The services of another process, with an empty cache."""
    return Access(harness.bench.ports, cache_s=0)


def test_a_key_authenticates_its_user_with_its_scopes(secrets: Harness) -> None:
    key = secrets.services.accounts.create_key("ann", [Scope.READ])
    credential = secrets.services.access.authenticate(str(key))
    assert credential == Credential(CredentialKind.KEY, key.id, "ann", Role.USER, frozenset({Scope.READ}))
    assert secrets.services.access.authenticate(f"sk-{key}") == credential


def test_a_key_that_is_wrong_in_any_part_is_refused(secrets: Harness) -> None:
    key = secrets.services.accounts.create_key("ann", BOTH)
    other = secrets.services.accounts.create_key("ann", BOTH)
    for wrong in (
        f"imgk_{key.id}_{other.secret}",
        f"imgk_{'0' * 16}_{key.secret}",
        f"imgx_{key.id}_{key.secret}",
        f"imgk_{key.id}_{key.secret[:-1]}",
        f"imgk_{key.id}_{key.secret}0",
        f"imgk_{key.id}_{key.digest}",
        f"IMGK_{key.id}_{key.secret}",
        f"imgk_{key.id}_",
    ):
        with pytest.raises(Unauthorized):
            secrets.services.access.authenticate(wrong)


def test_a_key_that_has_expired_is_refused_and_its_tokens_end_with_it(secrets: Harness) -> None:
    access = elsewhere(secrets)
    key = secrets.services.accounts.create_key("ann", BOTH, lifetime_ms=60_000)
    token, seconds, scope = access.exchange(access.authenticate(str(key)))
    assert (0 < seconds <= 60, scope) == (True, "read write")
    secrets.bench.database.write(lambda tx: tx.connection.execute(api_keys.update().values(expires_at=1)))
    for shown in (str(key), token):
        with pytest.raises(Unauthorized):
            access.authenticate(shown)


def test_a_revoked_key_and_its_tokens_are_refused_at_once_in_every_process(secrets: Harness) -> None:
    here, there = secrets.services.access, elsewhere(secrets)
    key = secrets.services.accounts.create_key("ann", BOTH)
    token, _, _ = here.exchange(here.authenticate(str(key)))
    assert there.authenticate(token).subject == "ann"
    secrets.services.accounts.revoke_key(key.id)
    for shown in (str(key), token):
        with pytest.raises(Unauthorized):
            there.authenticate(shown)
    for shown in (str(key), token):
        until(partial(_refused, here, shown), what="what is remembered here to be forgotten")


def test_a_revoked_token_does_not_end_other_credentials(secrets: Harness) -> None:
    access = secrets.services.access
    key = secrets.services.accounts.create_key("ann", BOTH)
    first, second = (access.exchange(access.authenticate(str(key)))[0] for _ in range(2))
    access.revoke(access.authenticate(first))
    for place in (access, elsewhere(secrets)):
        with pytest.raises(Unauthorized):
            place.authenticate(first)
        assert place.authenticate(second).subject == "ann"


def test_revocations_of_expired_tokens_are_deleted(secrets: Harness) -> None:
    secrets.services.access.revoke_token("long-ago", 1)
    secrets.services.access.revoke_token("now", secrets.now() + 60_000)
    secrets.services.access.revoke_token("now", secrets.now() + 60_000)
    kept = secrets.bench.database.read(lambda c: list(c.execute(select(revoked_tokens.c.jti)).scalars()))
    assert kept == ["now"]


def test_a_token_is_issued_for_a_key_only(secrets: Harness) -> None:
    access = secrets.services.access
    key = secrets.services.accounts.create_key("ann", BOTH)
    token = access.authenticate(access.exchange(access.authenticate(str(key)))[0])
    with pytest.raises(Forbidden):
        access.exchange(token)
    with pytest.raises(Forbidden):
        access.revoke(access.authenticate(str(key)))


def test_the_signing_key_is_generated_once_for_all_processes(secrets: Harness) -> None:
    here, there = secrets.services.access, elsewhere(secrets)
    assert here.signing_key.value() == there.signing_key.value()
    assert len(here.signing_key.value()) == 32
    named = secrets.with_settings(jwt_secret="s" * 32)
    assert named.services.access.signing_key.value() == b"s" * 32
    key = secrets.services.accounts.create_key("ann", BOTH)
    with pytest.raises(Unauthorized):
        here.authenticate(named.services.access.exchange(here.authenticate(str(key)))[0])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that moves the process's clock forward by this many seconds."""
    passed = [0.0]
    monotonic = time.monotonic
    monkeypatch.setattr(caching, "time", SimpleNamespace(monotonic=lambda: monotonic() + passed[0]))

    def forward(seconds: float) -> None:
        passed[0] += seconds

    return forward


def last_use(harness: Harness) -> int | None:
    [key] = harness.services.accounts.list_keys("ann")
    return key.last_used_at


def set_last_use(harness: Harness, moment: int) -> None:
    harness.bench.database.write(lambda tx: tx.connection.execute(api_keys.update().values(last_used_at=moment)))


def test_a_process_stores_the_last_use_once_a_minute(secrets: Harness, clock: Callable[[float], None]) -> None:
    key = str(secrets.services.accounts.create_key("ann", BOTH))
    access = elsewhere(secrets)
    assert last_use(secrets) is None
    access.authenticate(key)
    assert abs((last_use(secrets) or 0) - secrets.now()) < 60_000
    for seconds, is_noted in ((0, False), (59, False), (2, True), (0, False)):
        set_last_use(secrets, 1)
        clock(seconds)
        access.authenticate(key)
        assert (last_use(secrets) != 1) is is_noted, seconds


def test_only_one_of_many_processes_stores_the_last_use_in_a_minute(secrets: Harness) -> None:
    key = str(secrets.services.accounts.create_key("ann", BOTH))
    moment = secrets.now()
    for used_before_ms, is_noted in ((50_000, False), (61_000, True)):
        set_last_use(secrets, moment - used_before_ms)
        elsewhere(secrets).authenticate(key)
        assert (last_use(secrets) != moment - used_before_ms) is is_noted, used_before_ms


def test_the_last_use_is_stored_for_each_key(secrets: Harness) -> None:
    used, unused = (secrets.services.accounts.create_key("ann", BOTH) for _ in range(2))
    elsewhere(secrets).authenticate(str(used))
    uses = {key.id: key.last_used_at for key in secrets.services.accounts.list_keys("ann")}
    assert uses[used.id] is not None
    assert uses[unused.id] is None


def test_the_last_use_of_an_extensions_token_is_stored_too(secrets: Harness) -> None:
    token = str(secrets.services.accounts.create_extension_token("painter"))
    access = elsewhere(secrets)
    access.admit_extension("painter", token)
    query = select(extension_tokens.c.last_used_at)
    assert secrets.bench.database.read(lambda c: c.execute(query).scalar_one()) is not None


def test_secrets_are_stored_only_as_hashes(secrets: Harness, tmp_path: Path) -> None:
    key = secrets.services.accounts.create_key("ann", BOTH)
    token = secrets.services.accounts.create_extension_token("painter")
    for table, made in ((api_keys, key), (extension_tokens, token)):
        query = select(table)
        [row] = secrets.bench.database.read(lambda c, query=query: c.execute(query).all())  # type: ignore[misc]
        assert made.secret not in repr(row)
        assert row.hash == made.digest
    stored = everything_stored(secrets, tmp_path)
    for made in (key, token):
        assert made.id.encode() in stored
        assert made.secret.encode() not in stored
    assert key.secret not in repr(key)


def everything_stored(harness: Harness, folder: Path) -> bytes:
    """Every row of every table, and on SQLite the files of the database as well."""
    rows = [
        repr(row)
        for table in metadata.sorted_tables
        for row in harness.bench.database.read(lambda c, table=table: c.execute(select(table)).all())  # type: ignore[misc]
    ]
    reader = harness.bench.database.reader
    files = Path(reader.url.database or "").parent.glob("*.db*") if reader.dialect.name == "sqlite" else ()
    copies = [shutil.copyfile(file, folder / f"copy-{file.name}") for file in files]
    assert bool(copies) == (reader.dialect.name == "sqlite")
    return b"\n".join(["\n".join(rows).encode(), *(copy.read_bytes() for copy in copies)])


@pytest.mark.parametrize(
    ("user", "scopes", "error"),
    [
        ("nobody", BOTH, NotFound),
        ("ann", (), InvalidRequest),
        ("ann", (Scope.ADMIN,), InvalidRequest),
    ],
)
def test_a_key_with_invalid_values_is_not_created(
    secrets: Harness, user: str, scopes: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        secrets.services.accounts.create_key(user, scopes)
    assert secrets.services.accounts.list_keys() == []


def test_a_user_name_can_be_taken_once(secrets: Harness) -> None:
    with pytest.raises(InvalidRequest, match="already"):
        secrets.services.accounts.create_user("ann", Role.OPERATOR)
    with pytest.raises(InvalidRequest):
        secrets.services.accounts.create_user("a b", Role.USER)


def test_a_token_is_issued_only_for_a_known_user_and_with_scopes_that_fit_its_role(secrets: Harness) -> None:
    accounts, access = secrets.services.accounts, secrets.services.access
    assert access.authenticate(accounts.issue_token("olga", None, [Scope.ADMIN])[0]).role is Role.OPERATOR
    credential = access.authenticate(accounts.issue_token("painter", Role.EXTENSION, BOTH)[0])
    assert (credential.role, credential.scopes) == (Role.EXTENSION, frozenset())
    with pytest.raises(NotFound):
        accounts.issue_token("nobody", None, BOTH)
    with pytest.raises(InvalidRequest):
        accounts.issue_token("ann", Role.OPERATOR, BOTH)


# -- extensions


def test_an_extension_connects_only_with_its_own_token(secrets: Harness) -> None:
    accounts = secrets.services.accounts
    painter = accounts.create_extension_token("painter")
    others = [
        str(accounts.create_extension_token("sculptor")),
        str(accounts.create_key("olga", list(Scope))),
        accounts.issue_token("olga", None, list(Scope))[0],
        accounts.issue_token("sculptor", Role.EXTENSION, ())[0],
        "nonsense",
        f"imgx_{painter.id}_{'0' * 64}",
    ]
    for required in (True, False):
        access = secrets.with_settings(auth_required=required).services.access
        for shown in (str(painter), accounts.issue_token("painter", Role.EXTENSION, ())[0]):
            assert access.admit_extension("painter", shown) is not None
        for wrong in (*others, None, ""):
            with pytest.raises(Unauthorized):
                access.admit_extension("painter", wrong)


def test_an_extension_without_a_token_is_accepted_if_authentication_is_off(secrets: Harness) -> None:
    assert secrets.services.access.admit_extension("stranger", None) is None
    with pytest.raises(Unauthorized):
        secrets.with_settings(auth_required=True).services.access.admit_extension("stranger", None)


def test_an_extension_whose_token_ended_is_refused(secrets: Harness) -> None:
    accounts, access = secrets.services.accounts, elsewhere(secrets)
    token = accounts.create_extension_token("painter")
    signed = accounts.issue_token("painter", Role.EXTENSION, ())[0]
    kept, made = (access.admit_extension("painter", each) for each in (str(token), signed))
    assert kept is not None
    assert made is not None
    accounts.revoke_extension_token(token.id)
    access.revoke(made)
    for shown in (str(token), signed):
        with pytest.raises(Unauthorized):
            access.admit_extension("painter", shown)
    assert access.admit_extension("painter", None) is None  # its name is free again


def test_a_connected_extension_is_replaced_only_with_its_own_token(secrets: Harness) -> None:
    def join(again: int, token_id: str | None) -> None:
        from_socket = Socket("hub-1", f"socket-{again}")
        secrets.services.extensions.connected(Authenticate(extension_id="painter"), from_socket, token_id=token_id)

    join(1, None)
    join(2, "one")
    join(3, "one")
    for other in ("two", None):
        with pytest.raises(Unauthorized):
            join(4, other)
    assert secrets.extension_row("painter").connection_id == "socket-3"
    secrets.services.extensions.disconnected("socket-3")
    join(5, "two")


@pytest.mark.parametrize("text", ["imgk", "imgk__", f"imgz_{'0' * 16}_{'0' * 64}", f"imgk_{'٠' * 16}_{'0' * 64}"])
def test_a_string_in_another_format_is_not_parsed_as_a_credential(text: str) -> None:
    assert Secret.read(text) is None


def _refused(access: Access, shown: str) -> bool:
    try:
        access.authenticate(shown)
    except Unauthorized:
        return True
    return False


def test_a_rotated_key_is_valid_until_the_overlap_is_over(secrets: Harness) -> None:
    accounts, day_ms = secrets.services.accounts, 86_400_000
    old = accounts.create_key("ann", BOTH, "laptop", lifetime_ms=30 * day_ms)
    new = accounts.rotate_key(old.id, 2 * day_ms)
    before, after = accounts.list_keys("ann")
    assert (before.id, after.id) == (old.id, new.id)
    assert before.expires_at is not None
    assert 0 < before.expires_at - secrets.now() <= 2 * day_ms
    assert (after.user_id, after.scopes, after.name, after.expires_at) == ("ann", frozenset(BOTH), "laptop", None)
    for key in (old, new):
        assert elsewhere(secrets).authenticate(str(key)).subject == "ann"


def test_a_rotation_never_extends_the_old_key(secrets: Harness) -> None:
    old = secrets.services.accounts.create_key("ann", BOTH, lifetime_ms=60_000)
    (before,) = secrets.services.accounts.list_keys("ann")
    secrets.services.accounts.rotate_key(old.id, 86_400_000)
    assert secrets.services.accounts.list_keys("ann")[0].expires_at == before.expires_at


def test_a_key_that_is_rotated_without_an_overlap_is_revoked(secrets: Harness) -> None:
    old = secrets.services.accounts.create_key("ann", BOTH)
    secrets.services.accounts.rotate_key(old.id, 0)
    with pytest.raises(Unauthorized):
        elsewhere(secrets).authenticate(str(old))
    assert secrets.services.accounts.list_keys("ann")[0].revoked_at is not None


def test_a_key_that_is_not_valid_cannot_be_rotated(secrets: Harness) -> None:
    accounts = secrets.services.accounts
    old = accounts.create_key("ann", BOTH)
    accounts.revoke_key(old.id)
    with pytest.raises(InvalidRequest, match="is revoked or has expired"):
        accounts.rotate_key(old.id, 0)
    assert len(accounts.list_keys("ann")) == 1
