"""The client of an Imagefleet server: `Client`, its answers and its errors.

Importing this is cheap: what is here is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from imagefleet.defaults import VERSION

if TYPE_CHECKING:
    from imagefleet.async_client import AsyncClient
    from imagefleet.client import Client
    from imagefleet.errors import (
        AlreadyFinished,
        BadAnswer,
        Conflict,
        ConnectionLost,
        Forbidden,
        Gone,
        IdempotencyKeyReused,
        ImagefleetError,
        InvalidRequest,
        NotCached,
        NotFound,
        QuotaExceeded,
        RateLimited,
        Refused,
        ServerFailed,
        ServiceUnavailable,
        TimedOut,
        TlsFailed,
        Unauthorized,
        UnknownHost,
        Unreachable,
        error_of,
    )
    from imagefleet.models import (
        Accepted,
        Batch,
        BatchEvent,
        BatchItem,
        Cancelled,
        Counts,
        Delivery,
        Event,
        ExtensionState,
        Health,
        ImageRequest,
        InputPicture,
        InputReference,
        ItemError,
        Metadata,
        Model,
        NewItem,
        PausedPart,
        PicturesRemoved,
        QueuePosition,
        QueueState,
        Redelivered,
        Status,
        StoredPicture,
        Style,
        Token,
        Webhook,
        WebhookSecret,
    )

__version__ = VERSION
__all__ = [
    "Accepted",
    "AlreadyFinished",
    "AsyncClient",
    "BadAnswer",
    "Batch",
    "BatchEvent",
    "BatchItem",
    "Cancelled",
    "Client",
    "Conflict",
    "ConnectionLost",
    "Counts",
    "Delivery",
    "Event",
    "ExtensionState",
    "Forbidden",
    "Gone",
    "Health",
    "IdempotencyKeyReused",
    "ImageRequest",
    "ImagefleetError",
    "InputPicture",
    "InputReference",
    "InvalidRequest",
    "ItemError",
    "Metadata",
    "Model",
    "NewItem",
    "NotCached",
    "NotFound",
    "PausedPart",
    "PicturesRemoved",
    "QueuePosition",
    "QueueState",
    "QuotaExceeded",
    "RateLimited",
    "Redelivered",
    "Refused",
    "ServerFailed",
    "ServiceUnavailable",
    "Status",
    "StoredPicture",
    "Style",
    "TimedOut",
    "TlsFailed",
    "Token",
    "Unauthorized",
    "UnknownHost",
    "Unreachable",
    "Webhook",
    "WebhookSecret",
    "error_of",
]
_MODULES = {"Client": "client", "AsyncClient": "async_client"}


def __getattr__(name: str) -> object:
    """Load what is used for the first time."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in (_MODULES[name],) if name in _MODULES else ("errors", "models"):
        found: object = getattr(import_module(f"imagefleet.{module}"), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
