"""Identifiers: those of requests sort by the time they were made."""

import re

_RANDOM_BITS = 74
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def uuid7(now_ms: int, randomness: bytes, above: str | None = None) -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of time in ms, then 74 of the 80 bits of `randomness`.

    It always sorts after the id `above`: if the clock has not moved on since that one was made, `above` is incremented
    by a random amount instead (RFC 9562, section 6.2, method 2).
    """
    time_bits = (now_ms & (2**48 - 1)) << _RANDOM_BITS
    made = _format(time_bits | int.from_bytes(randomness[:10], "big") & (2**_RANDOM_BITS - 1))
    if above is not None and made <= above:
        return _format(_parse(above) + 1 + int.from_bytes(randomness[:7], "big"))
    return made


def is_request_id(text: str) -> bool:
    """True for a UUID in its usual lower-case form."""
    return _UUID.fullmatch(text) is not None


def _format(number: int) -> str:
    """The 122 bits of time and randomness as a UUID, with the bits of version and variant inserted."""
    digits = f"{number >> 74:012x}7{number >> 62 & 0xFFF:03x}{number & 2**62 - 1 | 2**63:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _parse(text: str) -> int:
    """The 122 bits of time and randomness of a UUID."""
    value = int(text.replace("-", ""), 16)
    return value >> 80 << 74 | (value >> 64 & 0xFFF) << 62 | value & 2**62 - 1
