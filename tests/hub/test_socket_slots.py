"""Limits on sockets: in total, for each address, and for those that have not authenticated yet."""

from __future__ import annotations

import dataclasses

import pytest

from app.config import Settings
from app.domain.errors import Refusal, TooManySockets, Unavailable
from app.hub.socket_slots import SocketSlot, SocketSlots

LIMITS = dataclasses.replace(
    Settings.from_env({}).limits, max_sockets=6, max_sockets_per_address=4, max_unauthenticated_sockets=4
)


def take_authenticated(slots: SocketSlots, address: str) -> SocketSlot:
    slot = slots.take(address)
    slot.authenticated()
    return slot


def refusal(slots: SocketSlots, address: str) -> Refusal:
    with pytest.raises(Refusal) as caught:
        slots.take(address)
    assert caught.value.retry_after_s
    return caught.value


def test_the_slots_of_a_process_are_limited() -> None:
    slots = SocketSlots(LIMITS)
    taken = [take_authenticated(slots, f"203.0.113.{n}") for n in range(6)]
    full = refusal(slots, "203.0.113.99")
    assert isinstance(full, Unavailable)
    taken[0].release()
    taken[0].release()
    slots.take("203.0.113.99")
    refusal(slots, "203.0.113.98")


def test_the_slots_of_an_address_are_limited() -> None:
    slots = SocketSlots(LIMITS)
    taken = [take_authenticated(slots, "203.0.113.1") for _ in range(4)]
    full = refusal(slots, "203.0.113.1")
    assert (type(full), full.status) == (TooManySockets, 429)
    refusal(slots, "::ffff:203.0.113.1")
    slots.take("203.0.113.2")
    taken[1].release()
    slots.take("203.0.113.1")


def test_unauthenticated_sockets_are_limited_and_one_address_may_have_half_of_them() -> None:
    slots = SocketSlots(LIMITS)
    mine = [slots.take("203.0.113.1") for _ in range(2)]
    assert isinstance(refusal(slots, "203.0.113.1"), TooManySockets)
    others = [slots.take("203.0.113.2") for _ in range(2)]
    assert isinstance(refusal(slots, "203.0.113.3"), Unavailable)
    mine[0].authenticated()
    mine[0].authenticated()
    slots.take("203.0.113.1")
    others[0].release()
    slots.take("203.0.113.3")


def test_a_released_slot_leaves_no_trace() -> None:
    slots = SocketSlots(LIMITS)
    for n in range(1000):
        slot = slots.take(f"203.0.113.{n % 250}")
        if n % 2:
            slot.authenticated()
        slot.release()
        slot.authenticated()
    assert not slots._all
    assert not slots._unauthenticated


def test_zero_means_no_limit() -> None:
    limits = dataclasses.replace(LIMITS, max_sockets=0, max_sockets_per_address=0, max_unauthenticated_sockets=0)
    slots = SocketSlots(limits)
    assert len([slots.take("203.0.113.1") for _ in range(50)]) == 50
