"""The messages on an extension's socket: what it sends (`incoming`), what the server sends (`outgoing`), and `parse`.

They are pydantic models. To add a message, add its class and its name in the union of its module, and here; the parser and
the AsyncAPI document follow from that.
"""

from app.domain.messages.fields import (
    ACTIVE_REQUESTS,
    CAPABILITIES,
    CAPABILITY_CHARS,
    ID,
    IMAGES,
    MAX_CONCURRENT,
    NOTE_CHARS,
    TEXT_CHARS,
    TOKEN_CHARS,
    URL_CHARS,
    Message,
)
from app.domain.messages.incoming import (
    Authenticate,
    ExtensionMetadata,
    Heartbeat,
    HeartbeatStatus,
    ImageGenerated,
    ImageGenerationFailed,
    ImageGenerationProgress,
    Incoming,
    Report,
)
from app.domain.messages.outgoing import (
    AuthenticationRequired,
    AuthenticationSuccess,
    CancelGeneration,
    Error,
    GenerateImage,
    HeartbeatResponse,
    ImageGenerationConfirmed,
    Outgoing,
    Upload,
)
from app.domain.messages.parsing import DEPTH, parse

__all__ = [
    "ACTIVE_REQUESTS",
    "CAPABILITIES",
    "CAPABILITY_CHARS",
    "DEPTH",
    "ID",
    "IMAGES",
    "MAX_CONCURRENT",
    "NOTE_CHARS",
    "TEXT_CHARS",
    "TOKEN_CHARS",
    "URL_CHARS",
    "Authenticate",
    "AuthenticationRequired",
    "AuthenticationSuccess",
    "CancelGeneration",
    "Error",
    "ExtensionMetadata",
    "GenerateImage",
    "Heartbeat",
    "HeartbeatResponse",
    "HeartbeatStatus",
    "ImageGenerated",
    "ImageGenerationConfirmed",
    "ImageGenerationFailed",
    "ImageGenerationProgress",
    "Incoming",
    "Message",
    "Outgoing",
    "Report",
    "Upload",
    "parse",
]
