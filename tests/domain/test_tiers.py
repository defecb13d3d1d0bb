"""Tiers of users."""

from __future__ import annotations

import pytest

from app.domain.errors import Forbidden
from app.domain.fair_queueing import Priority
from app.domain.tiers import DEFAULT, EVERYBODY, Tier, Tiers


def test_tiers_are_read_from_one_setting() -> None:
    tiers = Tiers.parse("gratis:1:low:normal, pro:3:normal:high")
    assert tiers.named("pro") == Tier("pro", 3, Priority.NORMAL, Priority.HIGH)
    assert tiers.named(None) == tiers.named("removed-since") == Tier("gratis", 1, Priority.LOW, Priority.NORMAL)
    assert DEFAULT.named(None).name == "standard"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a:1:low",
        "a:0:low:low",
        "a:1001:low:low",
        "a:x:low:low",
        "a:1:best:low",
        "a:1:high:low",
        ":1:low:low",
        "a:1:low:low,a:2:low:low",
        "a b:1:low:low",
        f"{'a' * 33}:1:low:low",
        "a:1:low:low:low",
        "a:-1:low:low",
    ],
)
def test_bad_tiers_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Tiers.parse(text)


def test_a_request_gets_the_default_of_its_tier_or_what_it_asks_for_up_to_the_highest() -> None:
    tier = Tier("free", 1, Priority.LOW, Priority.NORMAL)
    assert tier.priority(None) is Priority.LOW
    for wanted in (Priority.NORMAL, Priority.LOW, Priority.IDLE):
        assert tier.priority(wanted) is wanted
    with pytest.raises(Forbidden, match=r"priority high .* tier \(free\) .* highest is normal"):
        tier.priority(Priority.HIGH)


def test_any_priority_may_be_asked_for_where_nobody_proves_who_they_are() -> None:
    assert [EVERYBODY.priority(wanted) for wanted in Priority] == list(Priority)
