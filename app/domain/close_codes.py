"""The codes that the server closes an extension's socket with."""

from enum import IntEnum
from typing import Self


class CloseCode(IntEnum):
    """A WebSocket close code; `meaning` explains to authors of extensions why it is sent and what to do."""

    meaning: str

    GOING_AWAY = 1001, "The server is shutting down: reconnect after a short random pause."
    MESSAGE_TOO_BIG = 1009, "A message was too big."
    SERVER_ERROR = 1011, "The server has an internal error: reconnect after a pause."
    RESTARTING = 1012, "The server is restarting: reconnect after a short random pause."
    TRY_AGAIN_LATER = 1013, "Too many invalid tokens came from this address: reconnect in a few seconds."
    REPLACED = 4000, "Replaced by a newer socket of the same `extensionId`: do not reconnect."
    NOT_AUTHENTICATED = 4001, "Not authenticated in time, or the token is missing, invalid or no longer valid."
    FLOODING = 4003, "Too many messages, or invalid ones for too long."
    SILENT = 4004, "No message arrived for too long."

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make the member an int that carries its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member
