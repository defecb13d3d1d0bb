"""Uploads: who may put which picture where, until when, and by which URL it is then named."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.errors import Forbidden

_UPLOAD_URL = re.compile(
    r"https?://[^/?#]+(?:/[^?#]*)?/api/uploads/([0-9a-f-]{36})/([0-9]{1,9})/([0-9]{1,2})", re.ASCII
)


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
            raise Forbidden("signature is not valid for this upload: use the upload.url of generate_image unchanged.")
        if now_ms > self.expires_at:
            raise Forbidden("This upload address has expired.")


class UploadLocation(NamedTuple):
    """Where an upload lies: its job, the attempt it was made in, and which picture of it it is, from 0."""

    request_id: str
    attempt: int
    position: int

    @property
    def path(self) -> str:
        """What an extension names the upload by, behind this service's public URL."""
        return f"/api/uploads/{self.request_id}/{self.attempt}/{self.position}"

    @classmethod
    def from_url(cls, url: str) -> UploadLocation | None:
        """The upload that a URL ending in `path` names; None for any other URL. Whether it is there is not asked."""
        found = _UPLOAD_URL.fullmatch(url)
        return None if found is None else cls(found[1], int(found[2]), int(found[3]))
