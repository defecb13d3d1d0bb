"""Flow control: how long a sender has to wait, and for how long it has been too fast."""

from __future__ import annotations

from app.domain.flow_control import Flow


def test_a_sender_is_delayed_beyond_its_burst() -> None:
    flow = Flow(per_s=10, burst_s=2.0, now_s=0.0)
    flow.spend(20, 0.0)
    assert flow.wait_s(0.0) == 0.0
    flow.spend(5, 0.0)
    assert flow.wait_s(0.0) == 0.5
    assert flow.wait_s(0.5) == 0.0


def test_a_pause_resets_the_time_over_the_limit() -> None:
    flow, now_s = Flow(per_s=10, burst_s=1.0, now_s=0.0), 0.0
    for _ in range(100):
        now_s += flow.wait_s(now_s)
        flow.spend(2, now_s)
    assert now_s - 2 < flow.over_for_s(now_s) <= now_s
    assert flow.over_for_s(now_s + 2) == 0.0


def test_without_a_rate_nothing_is_delayed() -> None:
    flow = Flow(per_s=0, burst_s=2.0, now_s=0.0)
    flow.spend(10**9, 0.0)
    assert (flow.wait_s(0.0), flow.over_for_s(100.0)) == (0.0, 0.0)
