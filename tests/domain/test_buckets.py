"""Token buckets as arithmetic."""

from __future__ import annotations

import pytest

from app.domain.buckets import SECOND_US, Bucket, Flow, take
from app.domain.networks import network

TEN_A_MINUTE = Bucket.of(10, 60_000, 20)


def test_a_bucket_gives_its_capacity_at_once_and_then_one_at_a_time() -> None:
    debt = 0
    for left in reversed(range(20)):
        taken = take([TEN_A_MINUTE], [debt])
        assert taken is not None
        [debt] = taken
        assert TEN_A_MINUTE.left(debt) == left
    assert take([TEN_A_MINUTE], [debt]) is None
    assert TEN_A_MINUTE.wait_us(debt) == 6 * SECOND_US
    assert take([TEN_A_MINUTE], [debt - 6 * SECOND_US]) == [debt]


def test_what_one_bucket_refuses_no_other_gives() -> None:
    assert take([TEN_A_MINUTE, Bucket.of(1, 1000, 1)], [0, SECOND_US]) is None


@pytest.mark.parametrize(("tokens", "window_ms"), [(7, 60_000), (1, 86_400_000), (1_000_000, 100), (3, 100)])
def test_no_rate_gives_more_than_its_capacity_at_once(tokens: int, window_ms: int) -> None:
    bucket, debt, given = Bucket.of(tokens, window_ms, 5), 0, 0
    while (taken := take([bucket], [debt])) is not None:
        debt, given = taken[0], given + 1
    assert given == 5


def test_a_flow_is_held_up_beyond_its_burst() -> None:
    flow = Flow(per_s=10, burst_s=2.0, now_s=0.0)
    flow.spend(20, 0.0)
    assert flow.wait_s(0.0) == 0.0
    flow.spend(5, 0.0)
    assert flow.wait_s(0.0) == 0.5
    assert flow.wait_s(0.5) == 0.0


def test_a_flow_that_never_pauses_is_told_from_one_that_does() -> None:
    flow, now_s = Flow(per_s=10, burst_s=1.0, now_s=0.0), 0.0
    for _ in range(100):
        now_s += flow.wait_s(now_s)
        flow.spend(2, now_s)
    assert now_s - 2 < flow.over_for_s(now_s) <= now_s
    assert flow.over_for_s(now_s + 2) == 0.0


def test_no_rate_holds_nothing_up() -> None:
    flow = Flow(per_s=0, burst_s=2.0, now_s=0.0)
    flow.spend(10**9, 0.0)
    assert (flow.wait_s(0.0), flow.over_for_s(100.0)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_address_of_ipv6_is_one_of_a_network_that_one_client_has(address: str, whose: str) -> None:
    assert network(address) == whose
