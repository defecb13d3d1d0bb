"""What ends the pause of an extension, and how the extension learns of it; extensions that accept no work themselves."""

import pytest

from app.db.fleet import REPAIR_EVERY_MS, Socket
from app.domain.image_request import ImageRequest
from app.domain.messages import Authenticate, ExtensionMetadata
from app.services.generation import Holder
from tests.support.harness import HUB, Harness


def reconnect(harness: Harness, *capabilities: str, repaired: bool = False) -> None:
    """Connect the extension again, over another socket."""
    metadata = ExtensionMetadata(capabilities=capabilities, repaired=repaired)
    hello = Authenticate(extension_id="e1", metadata=metadata)
    harness.services.extensions.connected(hello, Socket(HUB, "another-connection"))


@pytest.mark.parametrize("model", [None, "flux"])
def test_an_extension_that_connects_as_unavailable_gets_no_request_before_it_says_otherwise(
    harness: Harness, model: str | None
) -> None:
    metadata = ExtensionMetadata(capabilities=("flux",), available=False)
    harness.services.extensions.connected(Authenticate(extension_id="e1", metadata=metadata), Socket(HUB, "c1"))
    job = harness.services.submission.submit(ImageRequest("a fox", model), "correlation-1").job
    assert harness.assign() == 0
    harness.heartbeat(Holder("e1", "c1"))
    assert harness.assign() == 1
    assert harness.reload(job).holder == "e1"


def paused(harness: Harness) -> bool:
    """Whether the extension e1 is paused."""
    return bool(harness.extension_row().cooldown_until > harness.now())


def pause(harness: Harness, connected_ms_ago: int = REPAIR_EVERY_MS) -> None:
    """Connect an extension that makes dall-e-3 and is paused for an hour."""
    harness.connect("e1", "dall-e-3")
    harness.update_extension(
        failures=4,
        connected_at=harness.now() - connected_ms_ago,
        cooldown_until=harness.now() + 3_600_000,
        cooldown_reason="It failed.",
    )


def test_reconnecting_alone_ends_no_pause(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3")
    assert paused(harness)


def test_new_capabilities_end_the_pause(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3", "flux")
    assert not paused(harness)


def test_an_extension_whose_fault_was_repaired_is_no_longer_paused(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3", repaired=True)
    assert not paused(harness)


@pytest.mark.parametrize(("capabilities", "repaired"), [(["dall-e-3"], True), (["dall-e-3", "flux"], False)])
def test_its_word_ends_a_pause_once_a_minute_and_is_never_forgotten(
    harness: Harness, capabilities: list[str], repaired: bool
) -> None:
    pause(harness, connected_ms_ago=20_000)
    connected_at = harness.extension_row().connected_at
    for _ in range(2):
        reconnect(harness, *capabilities, repaired=repaired)
        assert harness.extension_row().cooldown_until == connected_at + REPAIR_EVERY_MS


def test_only_a_stored_picture_proves_a_repair(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3", repaired=True)
    assert harness.extension_row().failures == 4


def test_a_repair_makes_no_pause_longer(harness: Harness) -> None:
    pause(harness, connected_ms_ago=0)
    until = harness.now() + 1_000
    harness.update_extension(cooldown_until=until)
    reconnect(harness, "dall-e-3", repaired=True)
    assert harness.extension_row().cooldown_until == until


def test_a_heartbeat_returns_the_pause(harness: Harness) -> None:
    holder = harness.connect("e1", "dall-e-3")
    state = harness.heartbeat(holder)
    assert state is not None
    assert (state.cooldown_until, state.cooldown_reason) == (0, None)
    until = harness.now() + 60_000
    harness.update_extension(cooldown_until=until, cooldown_reason="It failed.")
    state = harness.heartbeat(holder)
    assert state is not None
    assert (state.cooldown_until, state.cooldown_reason) == (until, "It failed.")
