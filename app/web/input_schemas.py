"""Queries and answers about input pictures."""

from typing import Annotated, Literal

from pydantic import Field

from app.db.inputs import StoredInput
from app.domain.clock import wire_time
from app.domain.wire_types import Time, Uuid, WireModel
from app.web.request_schemas import Query, user_field

PNG: Literal["image/png"] = "image/png"


class InputQuery(Query):
    """Whose input picture it is."""

    user_id: Annotated[str | None, user_field("string", description="Whose picture it becomes. Default: yours.")] = None


class InputDetails(WireModel):
    """An input picture, as it is stored: a PNG without metadata."""

    input_id: Uuid = Field(description="name it in `inputImages` of a request")
    width: int = Field(description="px")
    height: int = Field(description="px")
    bytes: int
    sha256: str
    mime_type: Literal["image/png"] = PNG
    expires_at: Time = Field(description="until then requests can name it")
    user_id: str
    correlation_id: str
    timestamp: Time

    @classmethod
    def of(cls, stored: StoredInput, correlation_id: str, now: str) -> "InputDetails":
        """That of a stored one."""
        return cls(
            input_id=stored.id,
            width=stored.width,
            height=stored.height,
            bytes=stored.bytes,
            sha256=stored.sha256,
            expires_at=wire_time(stored.expires_at),
            user_id=stored.user_id,
            correlation_id=correlation_id,
            timestamp=now,
        )


class InputRemoved(WireModel):
    """The input picture is removed."""

    input_id: Uuid
    message: str = "The input picture is removed"
    correlation_id: str
    timestamp: Time
