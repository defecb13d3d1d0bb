"""Request bodies and queries. The domain validates their values; the JSON Schema here describes the same rules."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.domain import image_request, styles, webhooks
from app.domain.errors import InvalidRequest
from app.domain.fair_queueing import Priority
from app.domain.image_request import CacheMode
from app.domain.input_images import MOST as MOST_INPUTS
from app.domain.input_images import clean_input_images, clean_parent
from app.domain.input_references import InputReference
from app.domain.other_names import OTHER_NAMES
from app.domain.states import Status
from app.domain.webhooks import Target
from app.web.parameter_schema import PARAMETERS

CONTROLS = r"\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
TEXT = rf"^[^{CONTROLS}]*$"
VISIBLE = rf"^[^{CONTROLS}]*[^\s{image_request.INVISIBLE}{CONTROLS}][^{CONTROLS}]*$"
MAX_WAIT_S = 60


def checked(check: Callable[..., object], **schema: Any) -> Any:
    """A field that the domain validates; `schema` describes the same rules as JSON Schema."""
    return PlainValidator(check, json_schema_input_type=Annotated[Any, WithJsonSchema(schema)])


def user_field(kind: str | list[str], **schema: str) -> Any:
    return checked(image_request.clean_user, type=kind, pattern=rf"^{image_request.USER.pattern}$", **schema)


STRENGTH = {"type": "number", "minimum": 0, "maximum": 1}
POSITION = {"type": "integer", "minimum": 0, "maximum": image_request.IMAGES[1] - 1}
_ID = {"type": "string", "format": "uuid"}
_ROLE = {"enum": ["image", "mask"], "default": "image"}
INPUT_IMAGES: dict[str, Any] = {
    "type": ["array", "null"],
    "maxItems": MOST_INPUTS,
    "items": {
        "type": "object",
        "oneOf": [
            {
                "title": "An uploaded picture",
                "properties": {"inputId": _ID, "role": _ROLE, "strength": STRENGTH},
                "required": ["inputId"],
                "additionalProperties": False,
            },
            {
                "title": "A picture of a completed request",
                "properties": {"requestId": _ID, "position": POSITION, "role": _ROLE, "strength": STRENGTH},
                "required": ["requestId"],
                "additionalProperties": False,
            },
        ],
    },
    "description": "The pictures that it is made from: uploaded ones (`POST /api/inputs`) and those of completed requests, all of "
    "them yours. A `mask`, one at most, is as large as the first image, and transparent where that is to be changed. `strength`: how "
    "much the result may differ. Only extensions that announce `image-variation` get the request, or `image-edit` with a mask.",
}


class GenerateRequest(BaseModel):
    """A request for images. A field that is null counts as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")  # unknown fields are refused by name
    OTHER_NAMES: ClassVar[Mapping[str, str]] = OTHER_NAMES

    prompt: Annotated[
        str,
        checked(
            image_request.clean_prompt,
            type="string",
            minLength=1,
            maxLength=image_request.PROMPT_CHARS,
            pattern=VISIBLE,
            description="What the image shows.",
            examples=["A beautiful sunset over mountains"],
        ),
    ]
    model: Annotated[
        str,
        checked(
            image_request.clean_model,
            type=["string", "null"],
            pattern=rf"^{image_request.MODEL.pattern}$",
            default=image_request.DEFAULT_MODEL,
        ),
    ] = image_request.DEFAULT_MODEL
    parameters: Annotated[dict[str, Any], checked(image_request.clean_parameters, **PARAMETERS)] = Field(
        default_factory=dict
    )
    style: Annotated[
        str | None,
        checked(
            styles.clean_style,
            type=["string", "null"],
            pattern=rf"^{styles.NAME.pattern}$",
            description="The style to make it with, one of `GET /api/styles`; `prompt` is what its template calls `{prompt}`.",
        ),
    ] = None
    variables: Annotated[
        dict[str, str],
        checked(
            styles.clean_variables,
            type=["object", "null"],
            propertyNames={"pattern": rf"^{styles.VARIABLE.pattern}$"},
            additionalProperties={"type": ["string", "null"], "maxLength": styles.VARIABLE_CHARS, "pattern": TEXT},
            maxProperties=styles.VARIABLES,
            description="The variables of the style, by name.",
        ),
    ] = Field(default_factory=dict)
    user_id: Annotated[str, user_field(["string", "null"], default=image_request.DEFAULT_USER)] = (
        image_request.DEFAULT_USER
    )
    deadline_ms: Annotated[
        int | None,
        checked(
            image_request.clean_deadline,
            type=["integer", "null"],
            minimum=image_request.DEADLINE_MS[0],
            maximum=image_request.DEADLINE_MS[1],
            description="Milliseconds from acceptance after which the request fails with ERR_TIMEOUT.",
        ),
    ] = None
    priority: Annotated[
        Priority | None,
        checked(
            image_request.clean_priority,
            type=["string", "null"],
            enum=[*(priority.word for priority in Priority), None],
            description="Requests of a better class are handed out first; `idle` ones only when no other request could be. "
            "Default: your tier's, which is normal unless the operator changed it.",
        ),
    ] = None
    cache: Annotated[
        CacheMode,
        checked(
            image_request.clean_cache,
            type=["string", "null"],
            enum=[*(mode.value for mode in CacheMode), None],
            default=CacheMode.OFF.value,
            description="Whether it may get the pictures of an identical request of yours. `prefer`: of a completed one, or of "
            "one that is in progress; if that fails, it is made itself. `only`: of a completed one, or it is refused.",
        ),
    ] = CacheMode.OFF
    keep: Annotated[
        int | None,
        checked(
            image_request.clean_keep,
            type=["integer", "null"],
            minimum=image_request.KEEP_DAYS[0],
            maximum=image_request.KEEP_DAYS[1],
            description="For how many days after its end the images are kept; at most as long as the operator keeps them. "
            "Default: as long as that.",
        ),
    ] = None

    input_images: Annotated[tuple[InputReference, ...], checked(clean_input_images, **INPUT_IMAGES)] = ()
    webhook: Annotated[
        Target | None,
        checked(
            Target.parse,
            type=["object", "null"],
            properties={
                "url": {"type": "string", "pattern": webhooks.URL_PATTERN, "maxLength": webhooks.URL_CHARS},
                "events": {
                    "type": ["array", "null"],
                    "items": {"enum": list(webhooks.CHOICES)},
                    "minItems": 1,
                },
            },
            required=["url"],
            additionalProperties=False,
            description="Where events of this request are sent, beside your other webhooks. They are signed with the secret of "
            "your account (`POST /api/webhooks/account/rotate-secret`). `events` default: all but `image.progress`.",
        ),
    ] = None


def page_cursor(pattern: str) -> Any:
    """A field for the position of the next page."""
    form = re.compile(pattern)

    def check(value: object) -> str:
        if isinstance(value, str) and form.fullmatch(value):
            return value
        raise InvalidRequest("cursor must be the nextCursor of the previous page, unchanged.")

    return checked(check, type="string", pattern=f"^{pattern}$", description="`nextCursor` of the previous page.")


class Query(BaseModel):
    """The query of a URL; unknown fields are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")


class WaitQuery(Query):
    """Long polling: waiting for news instead of polling repeatedly."""

    wait: float = Field(
        0,
        ge=0,
        le=MAX_WAIT_S,
        allow_inf_nan=False,
        description="Seconds to wait for something new before responding.",
    )
    since: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="The version you know: wait for a newer one. Default: the current version.",
    )


class ListQuery(Query):
    """Which requests to list."""

    user_id: Annotated[
        str | None,
        user_field("string", description="Whose requests. Default: your own, or all users' if you may see them."),
    ] = None
    status: Status | None = None
    parent_id: Annotated[
        str | None,
        checked(
            clean_parent, type="string", format="uuid", description="Only those made from an image of this request."
        ),
    ] = None
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[str | None, page_cursor(r"[0-9a-f-]{36}")] = None


class PictureQuery(Query):
    """How a picture is delivered."""

    format: Literal["png", "webp", "jpeg"] | None = Field(
        None,
        description="the format; `png` is the image as it is stored, others are converted from it",
        examples=["webp"],
    )
    expires: str | None = Field(
        None,
        description="of a signed address: ms since the epoch; ignored where no signature is required",
        examples=["1705838400000"],
    )
    signature: str | None = Field(None, description="of a signed address")


class UploadQuery(Query):
    """The signed part of an upload's address, and the image's position."""

    attempt: int = Field(ge=1, le=2**31 - 1)
    expires: int = Field(ge=0, le=2**53, description="ms since the epoch")
    signature: str = Field(max_length=128)
    position: int = Field(0, ge=0, le=image_request.IMAGES[1] - 1, description="0 for the first image")


class PreviewQuery(Query):
    """Which image of the request."""

    position: int = Field(0, ge=0, le=image_request.IMAGES[1] - 1, description="0 for the first image")


class InputUrlQuery(Query):
    """The signed part of the address of an input picture."""

    expires: int = Field(ge=0, le=2**53, description="ms since the epoch")
    signature: str = Field(max_length=128)


class EventsQuery(Query):
    """Where to resume a stream, for clients that cannot send the Last-Event-ID header."""

    last_event_id: int = Field(0, ge=0, le=2**31 - 1)
