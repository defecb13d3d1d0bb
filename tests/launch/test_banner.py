"""What the banner says in each mode."""

from __future__ import annotations

import pytest

from app.config import Settings
from app.launch.banner import banner


def shown(*, demo: bool = False, **env: str) -> str:
    return banner(Settings.from_env(env), demo=demo)


def test_with_the_reference_extension_a_request_needs_no_more() -> None:
    text = shown(demo=True)
    assert "A reference extension is started too" in text
    assert "app.manage" not in text
    assert "Authorization" not in text


@pytest.mark.parametrize(("ms", "duration"), [("300000", "5 minutes"), ("60000", "1 minute"), ("1500", "1.5 seconds")])
def test_without_an_extension_it_says_when_a_request_fails(ms: str, duration: str) -> None:
    text = shown(NO_EXTENSION_TIMEOUT_MS=ms)
    assert f"A request fails after {duration} if no connected extension can do it" in text


def test_with_required_credentials_the_key_comes_before_the_requests_that_need_it() -> None:
    text = shown(AUTH_MODE="required")
    assert text.index("create-user me") < text.index("KEY=$(") < text.index("curl ")
    requests = [line for line in text.splitlines() if line.startswith("  curl ")]
    assert len(requests) == 2
    assert all('-H "Authorization: Bearer $KEY"' in line for line in requests)
    assert "DATABASE_URL" not in text


def test_a_database_of_ones_own_is_mentioned_but_not_shown() -> None:
    text = shown(AUTH_MODE="required", DATABASE_URL="postgresql://ann:secret@database/imagefleet")
    assert "with the same DATABASE_URL" in text
    assert "secret" not in text
