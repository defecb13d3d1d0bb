"""The header Idempotency-Key (draft-ietf-httpapi-idempotency-key-header), and when two bodies are the same."""

import hashlib
import json
import re
from typing import Any, NamedTuple

from app.domain.errors import InvalidRequest

HEADER = "Idempotency-Key"
KEY_CHARS = 255

# The draft's string in quotes, or the key alone, as many clients send it. The key alone contains no comma: servers join
# several headers of one name with commas.
_QUOTED = rf'"(?:[!#-\[\]-~]|\\["\\]){{1,{KEY_CHARS}}}"'
_BARE = rf"[!#-+\--~]{{1,{KEY_CHARS}}}"
PATTERN = f"{_QUOTED}|{_BARE}"
_KEY = re.compile(PATTERN)
_ESCAPED = re.compile(r'\\(["\\])')


class OwnedKey(NamedTuple):
    """A key as it is stored: the same key of another user, or for another operation, is another one."""

    owner: str
    operation: str
    key: str


def parse_key(value: str) -> str:
    """The key in the value of the header; `"abc"` and `abc` are the same. Raises InvalidRequest."""
    if not _KEY.fullmatch(value):
        raise InvalidRequest(
            f"{HEADER} must be sent once, with 1 to {KEY_CHARS} visible ASCII characters, best in quotes and chosen at "
            f'random, such as "8e03978e-40d5-43dd-bc93-6894a57f9324".'
        )
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def body_hash(body: Any) -> str:
    """The SHA-256, in hex, of a parsed body: whitespace, escapes and the order of fields make no difference.

    Numbers are compared as they are written: 64 and 64.0 reach an extension as they were sent.
    """
    return hashlib.sha256(canonical(body)).hexdigest()


def canonical(value: Any) -> bytes:
    """A value of JSON in the one form that all its spellings have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
