"""Randomness from the system."""

from __future__ import annotations

import os
import random
import secrets


class SystemRandomness:
    """The real thing, where tests have numbers that they know."""

    def token(self) -> str:
        """A fresh secret of 128 bits in hex: letters and digits only, which every part of the wire takes."""
        return secrets.token_hex(16)

    def bytes(self, size: int) -> bytes:
        """Fresh random bytes."""
        return os.urandom(size)

    def jitter(self) -> float:
        """A number from 0 to 1."""
        return random.random()
