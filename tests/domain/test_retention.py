"""How long pictures are kept."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidRequest
from app.domain.retention import DAY_MS, Retention

TIERS = ("free", "standard", "pro")


def test_nothing_is_removed_by_default() -> None:
    for retention in (Retention(), Retention.parse("off", TIERS), Retention.parse("free=off", TIERS)):
        assert retention.is_off
        assert retention.of("free") is retention.lifetime_ms(None, "free") is None
        retention.check(3_650, "free")


def test_one_number_is_for_everybody() -> None:
    retention = Retention.parse(" 30 ", TIERS)
    assert not retention.is_off
    assert {retention.of(tier) for tier in TIERS} == {30}


def test_tiers_may_have_their_own_numbers() -> None:
    retention = Retention.parse("free=7, pro=OFF ,*=30", TIERS)
    assert [retention.of(tier) for tier in TIERS] == [7, 30, None]
    assert Retention.parse("free=7", TIERS).of("standard") is None


def test_a_request_may_ask_for_less_than_its_tier_has_and_not_for_more() -> None:
    retention = Retention.parse("free=7", TIERS)
    retention.check(7, "free")
    with pytest.raises(InvalidRequest, match=r"^keep is 8 days: .* \(free\) are kept for 7 at most") as refused:
        retention.check(8, "free")
    assert refused.value.field == "keep"
    assert retention.lifetime_ms(2, "free") == retention.lifetime_ms(2, "pro") == 2 * DAY_MS
    # the tier may have had more when the request was submitted
    assert retention.lifetime_ms(30, "free") == 7 * DAY_MS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "1.5",
        "3651",
        "\u0663",
        "never",
        "free=",
        "free=0",
        "free=1,free=2",
        "gold=1",
        "free=1=2",
        "free=1,",
    ],
)
def test_bad_retentions_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Retention.parse(text, TIERS)
