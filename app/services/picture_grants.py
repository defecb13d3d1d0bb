"""Who may see stored pictures: anybody, or with URL_SIGNING=required those with a signed address, the owner and operators."""

import time

from app.db import jobs
from app.domain.access import Caller
from app.domain.errors import Forbidden
from app.domain.signed_urls import PictureGrant
from app.services.ports import Ports
from app.services.signing_keys import picture_key

UNSIGNED = "This image needs a signed address: use signedUrl of the request's result, or send the API key or token of its owner."


class PictureGrants:
    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._key = picture_key(ports)

    @property
    def required(self) -> bool:
        """True if pictures are not shown to everybody who knows their names."""
        return self.ports.settings.url_signing_required

    def query(self, file: str) -> str:
        """The query string that makes an address of this picture, or of a rendition of it, a signed one."""
        lifetime_ms = self.ports.settings.signed_url_lifetime_ms
        return PictureGrant.lasting(file, lifetime_ms, _now_ms()).query(self._key.value())

    def check(self, file: str, expires: str | None, signature: str | None) -> int:
        """How long the signed address is valid, in ms. Raises Forbidden."""
        if expires is None and signature is None:
            raise Forbidden(UNSIGNED)
        grant, now_ms = PictureGrant.read(file, expires or ""), _now_ms()
        grant.check(self._key.value(), signature or "", now_ms)
        return grant.expires_at - now_ms

    def is_visible(self, file: str, caller: Caller) -> bool:
        """True if the picture is one of the caller's requests, or if the caller is an operator."""
        if caller.is_operator:
            return True
        request_id = file.partition("_")[0]
        job = self.ports.database.read(lambda c: jobs.find_summary(c, request_id))
        return job is not None and job.user_id == caller.user_id


def _now_ms() -> int:
    """By the clock of this host: the lifetimes are long, and pictures are shown often."""
    return time.time_ns() // 1_000_000
