"""Random tokens in messages."""

from __future__ import annotations

import json

from app.adapters.randomness import SystemRandomness
from app.domain import messages


def test_every_token_is_a_valid_lease() -> None:
    base = {"type": "image_generation_progress", "requestId": "one", "progress": 1}
    for token in {SystemRandomness().token() for _ in range(500)}:
        report = messages.parse(json.dumps({**base, "lease": token}))
        assert isinstance(report, messages.ImageGenerationProgress)
        assert report.lease == token
