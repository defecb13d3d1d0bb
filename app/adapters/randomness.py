"""Randomness from the system."""

import random
import secrets


class SystemRandomness:
    """Random values of the operating system. Tests replace it with predictable ones."""

    def token(self) -> str:
        """A new secret of 128 bits in hex, which is valid in every message and URL."""
        return secrets.token_hex(16)

    def bytes(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def jitter(self) -> float:
        return random.random()
