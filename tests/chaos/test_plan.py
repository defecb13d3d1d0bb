"""The plan of a run is made by its seed alone."""

from __future__ import annotations

from tests.chaos.plan import FAULTS, LONG_FAULTS, MODELS, POSTGRESQL_FAULTS, Act, Source, draw


def test_the_same_seed_makes_the_same_plan() -> None:
    assert draw(7, 100, 60, postgresql=True) == draw(7, 100, 60, postgresql=True)


def test_another_seed_makes_another_plan() -> None:
    assert draw(7, 100, 60).orders != draw(8, 100, 60).orders
    assert draw(7, 100, 60).faults != draw(8, 100, 60).faults


def test_every_fault_comes_once_before_any_comes_twice() -> None:
    kinds = [fault.kind for fault in draw(1, 1, 200, postgresql=True).faults]
    every = {*FAULTS, *POSTGRESQL_FAULTS, *LONG_FAULTS}
    assert set(kinds[: len(every)]) == every


def test_a_short_run_has_no_fault_that_outlasts_it() -> None:
    assert not LONG_FAULTS.keys() & {fault.kind for fault in draw(1, 1, 30, faults=100).faults}


def test_faults_come_in_order_and_within_the_run() -> None:
    moments = [fault.at_s for fault in draw(3, 1, 90).faults]
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 90


def test_everything_that_can_happen_happens_in_some_hundred_requests() -> None:
    turns = [turn for order in draw(1, 400, 90).orders for turn in order.turns]
    assert {turn.act for turn in turns} == set(Act)
    assert {turn.source for turn in turns} == set(Source)


def test_a_request_that_nobody_broke_goes_well_in_the_end() -> None:
    order = draw(1, 1, 10).orders[0]
    assert order.turn(1000).act is Act.NORMAL


def test_every_model_has_several_extensions() -> None:
    for seed in range(50):
        members = draw(seed, 1, 10).members
        for model in MODELS:
            able = [m for m in members if not set(m.capabilities) - {"image-generation"} or model in m.capabilities]
            assert len(able) >= 3
