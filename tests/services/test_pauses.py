"""What ends the pause of an extension, and how the extension learns of it."""

from app.db.fleet import Socket
from app.domain.messages import Authenticate, ExtensionMetadata
from tests.support.harness import HUB, Harness


def reconnect(harness: Harness, *capabilities: str, repaired: bool = False) -> None:
    """Connect the extension again, over another socket."""
    metadata = ExtensionMetadata(capabilities=capabilities, repaired=repaired)
    hello = Authenticate(extension_id="e1", metadata=metadata)
    harness.services.extensions.connected(hello, Socket(HUB, "another-connection"))


def paused(harness: Harness) -> bool:
    """Whether the extension e1 is paused."""
    return bool(harness.extension_row().cooldown_until > harness.now())


def pause(harness: Harness) -> None:
    """Connect an extension that makes dall-e-3 and is paused for an hour."""
    harness.connect("e1", "dall-e-3")
    harness.update_extension(failures=4, cooldown_until=harness.now() + 3_600_000, cooldown_reason="It failed.")


def test_reconnecting_alone_ends_no_pause(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3")
    assert paused(harness)


def test_new_capabilities_end_the_pause(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3", "flux")
    assert not paused(harness)
    assert harness.extension_row().failures == 0


def test_an_extension_whose_fault_was_repaired_is_no_longer_paused(harness: Harness) -> None:
    pause(harness)
    reconnect(harness, "dall-e-3", repaired=True)
    assert not paused(harness)


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
