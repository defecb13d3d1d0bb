"""What data protection asks for: everything about a user as a copy, and its erasure."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

from app.db import credentials, personal_data, stored_files
from app.db.credential_tables import api_keys
from app.db.engine import Transaction
from app.db.personal_data import PARTS
from app.domain.errors import AlreadyFinished, NotFound
from app.services.access import Access
from app.services.accounts import FOR_EVER
from app.services.cancellation import Cancellation
from app.services.ports import Ports
from app.services.removal import delete_files

ERASED_BY_PAGE = ("batches", "styles", "webhook_deliveries", "webhooks")


class PersonalData:
    def __init__(self, ports: Ports, access: Access, cancellation: Cancellation) -> None:
        self.ports = ports
        self.access = access
        self.cancellation = cancellation

    def check(self, user_id: str) -> None:
        """Raises NotFound if nothing is stored about this user."""
        if not self.ports.database.read(lambda c: personal_data.any_of(c, user_id)):
            raise NotFound(f"Nothing is stored about a user {user_id}.")

    def rows(self, user_id: str, part: str) -> Iterator[dict[str, Any]]:
        """The rows of one of `PARTS`, without secrets. Times are in ms since the epoch."""
        return personal_data.rows(self.ports.database, PARTS[part], user_id)

    def files(self, user_id: str) -> Iterator[str]:
        """The names of the user's pictures that were not removed."""
        for row in self.rows(user_id, "pictures"):
            if row["file"] in self.ports.database.read(partial(stored_files.named, names=[row["file"]])):
                yield row["file"]

    def close_account(self, user_id: str) -> None:
        """Refuse the user's credentials, and delete the account with its keys; requests and pictures stay."""
        self._shut_out(user_id)
        self.ports.database.write(lambda tx: personal_data.erase_account(tx, user_id))
        self.access.forget()

    def erase(self, user_id: str) -> int:
        """Delete everything about the user, in transactions of a bounded size; returns how many requests that were.

        If it is interrupted, do it again: it goes on where it was.
        """
        self._shut_out(user_id)
        self._cancel(user_id)
        erased = 0
        while found := self._erase_some(user_id):
            erased += found
        for part in ERASED_BY_PAGE:
            table, of_user, _ = PARTS[part]
            erase = partial(personal_data.erase_page, table=table, of_user=of_user, user_id=user_id)
            while self.ports.database.write(erase):
                pass
        self.ports.database.write(lambda tx: personal_data.erase_rest(tx, user_id))
        self.ports.database.write(lambda tx: personal_data.erase_account(tx, user_id))
        self.access.forget()
        return erased

    def _shut_out(self, user_id: str) -> None:
        def work(tx: Transaction) -> None:
            if credentials.role_of(tx.connection, user_id) is not None:
                credentials.disable(tx, user_id)
            for key in credentials.keys(tx.connection, user_id=user_id):
                credentials.revoke(tx, api_keys, key.id)
            credentials.revoke_all(tx, user_id, FOR_EVER)

        self.ports.database.write(work)
        self.access.forget()

    def _cancel(self, user_id: str) -> None:
        while ids := self.ports.database.read(lambda c: personal_data.open_requests(c, user_id)):
            for job_id in ids:
                with contextlib.suppress(AlreadyFinished, NotFound):
                    self.cancellation.cancel(job_id)

    def _erase_some(self, user_id: str) -> int:
        found, names = self.ports.database.write(lambda tx: personal_data.erase_requests(tx, user_id))
        delete_files(self.ports, names)
        return found
