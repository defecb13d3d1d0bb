"""Randomness from the system."""

from __future__ import annotations

import os
import random
import secrets


class SystemChance:
    """The real thing, where tests have numbers that they know."""

    def token(self) -> str:
        """A fresh secret of 144 bits, as 24 characters that are safe in a URL."""
        return secrets.token_urlsafe(18)

    def bytes(self, size: int) -> bytes:
        """Fresh random bytes."""
        return os.urandom(size)

    def jitter(self) -> float:
        """A number from 0 to 1."""
        return random.random()
