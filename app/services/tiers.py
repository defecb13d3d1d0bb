"""The tier of a user, which decides the order of the user's requests."""

from sqlalchemy import Connection

from app.db import credentials
from app.domain.tiers import EVERYBODY, Tier
from app.services.ports import Ports


class UserTiers:
    def __init__(self, ports: Ports) -> None:
        self.settings = ports.settings

    def of(self, connection: Connection, user_id: str) -> Tier:
        """The user's tier; the same one for all where callers do not prove who they are."""
        if not self.settings.auth_required:
            return EVERYBODY
        return self.settings.tiers.named(credentials.tier_of(connection, user_id))
