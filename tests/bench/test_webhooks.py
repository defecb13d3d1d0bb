"""The measure of webhooks measures deliveries that really arrive, and a floor that is signed as they are."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from standardwebhooks import Webhook

from bench.measures.webhooks import Pair

COUNT = 5


@pytest.mark.timeout(120)  # it starts two processes
def test_service_and_floor_send_the_same_number_of_signed_events_of_the_same_size() -> None:
    with ExitStack() as stack:
        pair = Pair(stack, "sqlite", COUNT)
        delivered, bare = pair.delivered(), pair.bare()
        secret = pair.secret
        received = pair.receiver.received
    assert delivered.cpu["sending"] > 500  # no event can cost less
    assert bare.cpu["sending"] > 100
    assert delivered.figures["rate"] > 0
    ours, floor = received[-2 * COUNT : -COUNT], received[-COUNT:]
    assert {each.url for each in ours} == {"/hooks"}
    assert {each.url for each in floor} == {"/bare"}
    for each in (*ours, *floor):
        assert Webhook(secret).verify(each.body, {name.lower(): value for name, value in each.headers.items()})
    assert len(ours[-1].body) == len(floor[-1].body)
