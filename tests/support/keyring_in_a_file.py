"""A keyring for processes of tests (PYTHON_KEYRING_BACKEND): a file, or one that fails."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringError


class FileKeyring(KeyringBackend):
    """Keeps passwords in the file KEYRING_FILE; while there is none, everything fails."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write({**self._read(), f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._read()
        del kept[f"{service}/{username}"]
        self._write(kept)

    def _read(self) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(_file().read_text())
            return kept
        except FileNotFoundError:
            raise KeyringError("The keyring is locked") from None

    def _write(self, kept: dict[str, str]) -> None:
        _file().write_text(json.dumps(kept))


def _file() -> Path:
    return Path(os.environ["KEYRING_FILE"])
