"""The messages on an extension's socket, as pydantic models: those it sends (`incoming`) and receives (`outgoing`).

To add a message, add its class to its module and to the union there, and export it here. The parser and the AsyncAPI
document follow from that.
"""

from app.domain.messages.fields import ID, IMAGES, MAX_CONCURRENT, URL_CHARS, Message
from app.domain.messages.incoming import (
    Authenticate,
    ExtensionMetadata,
    Heartbeat,
    HeartbeatStatus,
    ImageGenerated,
    ImageGenerationFailed,
    ImageGenerationProgress,
    Incoming,
    PreviewImage,
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
    InputImage,
    MessageLimits,
    Outgoing,
    Upload,
)
from app.domain.messages.parsing import DEPTH, UnusableReport, parse, refusal_of
