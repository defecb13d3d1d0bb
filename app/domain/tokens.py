"""Signed addresses for uploads: who may put which picture where, until when."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from app.domain.errors import Forbidden


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """One attempt's leave to hand over its pictures. `expires_at` in ms since the epoch."""

    request_id: str
    attempt: int
    expires_at: int

    def signature(self, key: bytes) -> str:
        """HMAC-SHA256 over the grant, in hex."""
        text = f"upload\n{self.request_id}\n{self.attempt}\n{self.expires_at}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def query(self, key: bytes) -> str:
        """The grant as the query of an upload's URL."""
        return f"attempt={self.attempt}&expires={self.expires_at}&signature={self.signature(key)}"

    def check(self, key: bytes, signature: str, now_ms: int) -> None:
        """Raises Forbidden where the signature is not ours or the grant is over."""
        if not hmac.compare_digest(self.signature(key).encode(), signature.encode("utf-8", "replace")):
            raise Forbidden("signature is not valid for this upload: use the upload.url of generate_image as it is.")
        if now_ms > self.expires_at:
            raise Forbidden("This upload address has expired.")
