"""The wire contract's own examples, as the models of this service: the documents show them, and tests check them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.domain import errors, messages
from app.domain.fleet import ExtensionStatus
from app.domain.messages import Message
from app.domain.states import Status
from app.services.generation import IMAGES_PATH
from app.web import fleet_schemas, request_schemas, schemas

REQUEST_ID = "550e8400-e29b-41d4-a716-446655440000"
CORRELATION_ID = "660e8400-e29b-41d4-a716-446655440001"
EXTENSION_ID = "chrome-extension-123"
WEB_PROCESS = "770e8400-e29b-41d4-a716-446655440002"
PROMPT = "A beautiful sunset over mountains"
MODEL = "dall-e-3"
USER_ID = "cli-user-123"
IMAGE_URL = "https://example.com/generated-image.png"
FILE = f"{REQUEST_ID}_1705238520000.png"
SIGNATURE = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
LEASE = "Q3b0YxqkT1u7d0Jm9bqV2g"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"  # noqa: S105 - an example
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PARAMETERS = {"width": 1024, "height": 1024, "quality": "hd", "style": "natural", "numberOfImages": 1}
CREATED, POLLED, GENERATED, STORED, READ = (
    f"2024-01-14T12:0{time}.000Z" for time in ("0:00", "1:00", "2:00", "2:10", "2:30")
)
EXPIRES_AT = "2024-01-14T12:15:00.000Z"
UPLOAD_URL = f"http://localhost:3000/api/uploads/{REQUEST_ID}?attempt=1&expires=1705234500000&signature={SIGNATURE}"

_STATE: dict[str, Any] = {
    "request_id": REQUEST_ID,
    "correlation_id": CORRELATION_ID,
    "created_at": CREATED,
}
_STATUS = schemas.RequestStatus(
    **_STATE,
    status=Status.PROCESSING,
    progress=75,
    message="Generating image...",
    version=4,
    updated_at=POLLED,
    timestamp=POLLED,
)
_PICTURE = schemas.StoredPicture(
    image_url=IMAGE_URL, image_path=IMAGES_PATH + FILE, width=1024, height=1024, bytes=1_482_113, sha256=SHA256
)
_RESULT = schemas.RequestResult(
    **_STATE,
    status=Status.COMPLETED,
    progress=100,
    version=6,
    updated_at=STORED,
    timestamp=READ,
    image_url=IMAGE_URL,
    image_path=IMAGES_PATH + FILE,
    images=[_PICTURE],
    metadata=schemas.PictureMetadata(model=MODEL, prompt=PROMPT, width=1024, height=1024, generated_at=GENERATED),
    user_id=USER_ID,
)

_EXTENSION = fleet_schemas.ExtensionState(
    extension_id=EXTENSION_ID,
    connected=True,
    standing=ExtensionStatus.PAUSED,
    since=CREATED,
    last_seen_at=READ,
    last_success_at=STORED,
    version="1.0.0",
    capabilities=["image-generation", MODEL],
    available=True,
    max_concurrent=2,
    active=1,
    request_ids=[REQUEST_ID],
    failures=1,
    pause=fleet_schemas.Pause(until=EXPIRES_AT, reason="Too many requests in the last hour"),
    web_process=WEB_PROCESS,
)

REQUESTS: dict[type[BaseModel], dict[str, Any]] = {
    request_schemas.GenerateRequest: {"prompt": PROMPT, "model": MODEL, "parameters": PARAMETERS, "userId": USER_ID},
}

RESPONSES: dict[type[BaseModel], BaseModel] = {
    type(each): each
    for each in (
        schemas.Accepted(request_id=REQUEST_ID, correlation_id=CORRELATION_ID, timestamp=CREATED),
        _STATUS,
        _RESULT,
        schemas.RequestPage(images=[_RESULT], next_cursor=REQUEST_ID, timestamp=READ),
        schemas.Cancelled(request_id=REQUEST_ID, correlation_id=CORRELATION_ID, timestamp=POLLED),
        schemas.TokenIssued(token=TOKEN, expires_in=3600, scope="read write"),
        fleet_schemas.FleetPage(extensions=[_EXTENSION], next_cursor=EXTENSION_ID, timestamp=READ),
        schemas.UploadReceipt(
            image_url=f"http://localhost:3000/api/uploads/{REQUEST_ID}/1/0",
            sha256=SHA256,
            bytes=1_482_113,
        ),
        schemas.HealthReport(
            status="healthy",
            timestamp=CREATED,
            uptime=3600,
            memory=schemas.Memory(rss=104_857_600, heap_total=52_428_800, heap_used=26_214_400),
            environment="production",
            database=True,
            redis=True,
        ),
        schemas.SocketInfo(url="ws://localhost:3001/ws", active_connections=5, timestamp=CREATED),
    )
}

# One value for each name in a path or a query.
PARAMETER_VALUES: dict[str, Any] = {
    "requestId": REQUEST_ID,
    "file": FILE,
    "wait": 20,
    "since": 4,
    "userId": USER_ID,
    "status": "completed",
    "connected": True,
    "limit": 20,
    "cursor": REQUEST_ID,
    "attempt": 1,
    "expires": 1_705_234_500_000,
    "signature": SIGNATURE,
    "position": 0,
    "lastEventId": 3,
}

EVENTS = f"""retry: 2000

id: 2
event: ImageGenerationAssignedEvent
data: {{"type": "ImageGenerationAssignedEvent", "requestId": "{REQUEST_ID}", "seq": 2, "status": "processing", \
"timestamp": "{CREATED}", "data": {{"extensionId": "{EXTENSION_ID}", "attempt": 1}}}}

event: progress
data: {{"requestId": "{REQUEST_ID}", "status": "processing", "progress": 75, "timestamp": "{POLLED}"}}

"""

_ON_A_REQUEST = {"requestId": REQUEST_ID, "correlationId": CORRELATION_ID}

RECEIVED: dict[type[Message], dict[str, Any]] = {
    messages.Authenticate: {
        "type": "authenticate",
        "extensionId": EXTENSION_ID,
        "metadata": {"version": "1.0.0", "capabilities": ["image-generation", MODEL]},
    },
    messages.ImageGenerated: {
        "type": "image_generated",
        **_ON_A_REQUEST,
        "imageUrl": IMAGE_URL,
        "metadata": {"model": MODEL, "prompt": PROMPT, "width": 1024, "height": 1024, "generatedAt": GENERATED},
    },
    messages.ImageGenerationFailed: {
        "type": "image_generation_failed",
        **_ON_A_REQUEST,
        "error": "Rate limit exceeded",
        "reason": "Too many requests in the last hour",
    },
    messages.ImageGenerationProgress: {
        "type": "image_generation_progress",
        **_ON_A_REQUEST,
        "progress": 50,
        "status": "Generating image...",
    },
    messages.Heartbeat: {
        "type": "heartbeat",
        "extensionId": EXTENSION_ID,
        "status": {"available": True, "queueSize": 2, "activeRequests": 1},
    },
}

SENT: dict[type[Message], Message] = {
    type(each): each
    for each in (
        messages.AuthenticationRequired(timestamp=CREATED),
        messages.AuthenticationSuccess(extension_id=EXTENSION_ID, timestamp=CREATED),
        messages.GenerateImage(
            request_id=REQUEST_ID,
            prompt=PROMPT,
            model=MODEL,
            parameters={"width": 1024, "height": 1024, "quality": "hd"},
            user_id=USER_ID,
            correlation_id=CORRELATION_ID,
            timestamp=CREATED,
            lease=LEASE,
            upload=messages.Upload(
                url=UPLOAD_URL,
                method="PUT",
                headers={"Content-Type": "application/octet-stream"},
                max_bytes=10_485_760,
                expires_at=EXPIRES_AT,
            ),
        ),
        messages.ImageGenerationConfirmed(
            request_id=REQUEST_ID, image_path=IMAGES_PATH + FILE, correlation_id=CORRELATION_ID, timestamp=STORED
        ),
        messages.HeartbeatResponse(timestamp=CREATED),
        messages.CancelGeneration(request_id=REQUEST_ID, correlation_id=CORRELATION_ID, timestamp=POLLED),
        messages.Error(error="Invalid message format", timestamp=CREATED, code=errors.MalformedMessage.code),
    )
}


def problem(title: str, status: int, code: str, detail: str) -> dict[str, Any]:
    """A refusal as it is sent."""
    body = schemas.Problem(
        title=title,
        status=status,
        code=code,
        detail=detail,
        error=detail,
        correlation_id=CORRELATION_ID,
        timestamp=CREATED,
    )
    return as_json(body)


def as_json(model: BaseModel) -> dict[str, Any]:
    """The model as it is sent."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
