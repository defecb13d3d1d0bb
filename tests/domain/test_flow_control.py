"""Flow control: how long a sender has to wait, and since when."""

from __future__ import annotations

from app.domain.flow_control import Flow


def test_a_flow_is_held_up_beyond_its_burst() -> None:
    flow = Flow(per_s=10, burst_s=2.0, now_s=0.0)
    flow.spend(20, 0.0)
    assert flow.wait_s(0.0) == 0.0
    flow.spend(5, 0.0)
    assert flow.wait_s(0.0) == 0.5
    assert flow.wait_s(0.5) == 0.0


def test_a_flow_that_never_pauses_is_distinguished_from_one_that_does() -> None:
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
