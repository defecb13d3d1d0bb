"""The signed addresses at which an extension gets the input pictures of an attempt."""

import hashlib
import hmac
from dataclasses import dataclass

from app.domain.errors import Forbidden


@dataclass(frozen=True, slots=True)
class InputGrant:
    """Permits one attempt to get one input picture. `expires_at` is in ms since the epoch."""

    request_id: str
    attempt: int
    position: int
    expires_at: int

    def signature(self, key: bytes) -> str:
        """HMAC-SHA256 over the grant, in hex."""
        text = f"input\n{self.request_id}\n{self.attempt}\n{self.position}\n{self.expires_at}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def path(self, key: bytes) -> str:
        """The path of the address, with its query."""
        place = f"/api/inputs/{self.request_id}/{self.attempt}/{self.position}"
        return f"{place}?expires={self.expires_at}&signature={self.signature(key)}"

    def check(self, key: bytes, signature: str, now_ms: int) -> None:
        """Raises Forbidden if the signature is invalid or the grant has expired."""
        if not hmac.compare_digest(self.signature(key).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("signature is invalid for this picture: use the url of generate_image unchanged.")
        if now_ms > self.expires_at:
            raise Forbidden("This address has expired.")
