"""The header Retry-After (RFC 9110, section 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime


def retry_after_ms(text: str, now: float, most_ms: int) -> int | None:
    """Convert the header, whole seconds or a date (UTC unless it says otherwise), to a wait in ms of at most `most_ms`."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, most_ms)
    try:
        date = parsedate_to_datetime(text)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, round(wait * 1000)), most_ms)
