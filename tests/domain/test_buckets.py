"""Token buckets as arithmetic."""

from __future__ import annotations

import pytest

from app.domain.buckets import SECOND_US, Bucket, take

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
