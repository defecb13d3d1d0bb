"""The plan of a run depends only on its seed."""

from __future__ import annotations

from tests.chaos.plan import FAULTS, LONG_FAULTS, MODELS, POSTGRESQL_FAULTS, Behaviour, Source, draw


def test_the_same_seed_makes_the_same_plan() -> None:
    assert draw(7, 100, 60, postgresql=True) == draw(7, 100, 60, postgresql=True)


def test_another_seed_makes_another_plan() -> None:
    assert draw(7, 100, 60).requests != draw(8, 100, 60).requests
    assert draw(7, 100, 60).faults != draw(8, 100, 60).faults


def test_every_fault_occurs_once_before_any_is_repeated() -> None:
    kinds = [fault.kind for fault in draw(1, 1, 200, postgresql=True).faults]
    every = {*FAULTS, *POSTGRESQL_FAULTS, *LONG_FAULTS}
    assert set(kinds[: len(every)]) == every


def test_a_short_run_has_no_fault_that_outlasts_it() -> None:
    assert not LONG_FAULTS.keys() & {fault.kind for fault in draw(1, 1, 30, faults=100).faults}


def test_faults_come_in_order_and_within_the_run() -> None:
    moments = [fault.at_s for fault in draw(3, 1, 90).faults]
    assert moments == sorted(moments)
    assert 0 < moments[0] < moments[-1] < 90


def test_a_few_hundred_requests_cover_all_behaviours() -> None:
    attempts = [attempt for request in draw(1, 400, 90).requests for attempt in request.attempts]
    assert {attempt.behaviour for attempt in attempts} == set(Behaviour)
    assert {attempt.source for attempt in attempts} == set(Source)


def test_later_attempts_succeed() -> None:
    request = draw(1, 1, 10).requests[0]
    assert request.attempt(1000).behaviour is Behaviour.NORMAL


def test_items_of_batches_are_numbered_after_the_requests() -> None:
    plan = draw(5, 100, 60)
    items = [item for batch in plan.batches for item in batch.items]
    assert [item.number for item in items] == list(range(100, 100 + len(items)))
    assert [plan.request(n).number for n in (0, 99, 100, 99 + len(items))] == [0, 99, 100, 99 + len(items)]
    assert plan.batches == draw(5, 100, 60).batches != draw(6, 100, 60).batches


def test_every_control_of_a_batch_is_planned() -> None:
    batches = draw(1, 100, 60).batches
    assert any(batch.pause_after_s for batch in batches)
    assert any(batch.cancel_after_s for batch in batches)
    assert any(batch.retries for batch in batches)


def test_every_model_has_several_extensions() -> None:
    for seed in range(50):
        extensions = draw(seed, 1, 10).extensions
        for model in MODELS:
            able = [e for e in extensions if not set(e.capabilities) - {"image-generation"} or model in e.capabilities]
            assert len(able) >= 3
