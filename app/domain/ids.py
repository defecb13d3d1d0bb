"""Identifiers: those of requests sort by the time they were made."""

from __future__ import annotations

import re
import uuid

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def time_ordered_id(now_ms: int, randomness: bytes) -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of time in ms, then 74 of the 80 bits of `randomness`."""
    value = (now_ms & (2**48 - 1)) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


def is_request_id(text: str) -> bool:
    """True for a UUID in its usual lower-case form."""
    return _UUID.fullmatch(text) is not None
