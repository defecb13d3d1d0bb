"""Signed addresses of pictures: whoever has one may see the picture and its renditions until it expires."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Self

from app.domain.errors import Forbidden

HOUR_MS = 3_600_000
INVALID = "signature is invalid for this image: use its signedUrl unchanged."
_EXPIRES = re.compile(r"[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class PictureGrant:
    """Permits to see a picture. `file` is its name, `expires_at` in ms since the epoch."""

    file: str
    expires_at: int

    @classmethod
    def lasting(cls, file: str, lifetime_ms: int, now_ms: int) -> Self:
        """One that is valid for this time at least. Its end is a full hour, so that caches see the same address again."""
        step = min(HOUR_MS, lifetime_ms)
        return cls(file, -(-(now_ms + lifetime_ms) // step) * step)

    @classmethod
    def read(cls, file: str, expires: str) -> Self:
        """The grant that an address claims. Raises Forbidden."""
        if _EXPIRES.fullmatch(expires) is None:
            raise Forbidden(INVALID)
        return cls(file, int(expires))

    def signature(self, key: bytes) -> str:
        """HMAC-SHA256, in hex, over the expiry and the picture's name without its ending, which is that of its renditions too."""
        text = f"picture\n{self.file.removesuffix('.png')}\n{self.expires_at}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def query(self, key: bytes) -> str:
        """The grant as the query string of an address."""
        return f"expires={self.expires_at}&signature={self.signature(key)}"

    def check(self, key: bytes, signature: str, now_ms: int) -> None:
        """Raises Forbidden if the signature is invalid or the grant has expired."""
        if not hmac.compare_digest(self.signature(key).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden(INVALID)
        if now_ms > self.expires_at:
            raise Forbidden("This address has expired: get the result of the request again for a new signedUrl.")
