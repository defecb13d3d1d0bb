"""The bodies of `/v1` as OpenAI's own API has them: names in snake_case, times in seconds since the epoch."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, WithJsonSchema, model_validator

from app.domain import image_request
from app.domain.errors import InvalidRequest
from app.web.parameter_schema import ANYTHING, NAME
from app.web.request_schemas import VISIBLE, checked

AUTO = "auto"
OutputFormat = Literal["png", "webp", "jpeg"]
PNG: OutputFormat = "png"
OUTPUT_FORMATS: tuple[OutputFormat, ...] = ("png", "webp", "jpeg")
DIGITS = r"[1-9][0-9]{1,3}"
SIZE = re.compile(rf"(?P<width>{DIGITS})x(?P<height>{DIGITS})")
# What a field of `parameters` is called here.
NAMES = {"numberOfImages": "n"}


class ResponseFormat(StrEnum):
    """How pictures are delivered: as addresses, or as the files themselves in base64."""

    URL = "url"
    B64_JSON = "b64_json"


def _size(value: object) -> str:
    least, most = image_request.SIDE_PX
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if value == AUTO or (found and all(least <= int(side) <= most for side in found.groups())):
        return str(value)
    raise InvalidRequest(
        f"size must be {AUTO} or WIDTHxHEIGHT such as 1024x1024, each from {least:,} to {most:,}.", field="size"
    )


def _output_format(value: object) -> OutputFormat:
    for each in OUTPUT_FORMATS:
        if value == each:
            return each
    raise InvalidRequest(f"output_format must be one of {', '.join(OUTPUT_FORMATS)}.", field="output_format")


def _named(name: str, check: Callable[[object], Any], ours: str = "") -> Callable[[object], Any]:
    """The check of a field that we call `ours`; a refusal calls it `name`."""

    def call(value: object) -> Any:
        try:
            return check(value)
        except InvalidRequest as error:
            raise InvalidRequest(error.detail.replace(ours or name, name, 1), field=name) from None

    return call


def _nullable(kind: str, **schema: Any) -> WithJsonSchema:
    """The description of a field that may be null."""
    return WithJsonSchema({"type": [kind, "null"], **schema})


def _field(check: Callable[[object], Any], kind: str, **schema: Any) -> Any:
    """A field that may be null."""
    return checked(check, type=[kind, "null"], **schema)


def _option(description: str) -> Any:
    """A field that becomes a parameter; `ImagesRequest.parameters` checks it."""
    pattern = rf"^{image_request.OPTION.pattern}$"
    return _field(lambda value: value, "string", pattern=pattern, description=description)


_OTHERS: dict[str, Any] = {
    "propertyNames": NAME,
    "additionalProperties": ANYTHING,
    "maxProperties": image_request.EXTRA_PARAMETERS,
}


class ImagesRequest(BaseModel):
    """A call of `/v1/images/generations`. Fields that are not listed, such as `background` and `seed`, are passed to the
    extension unchanged, as `parameters` of a request are. A field that is null counts as absent."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_OTHERS)

    prompt: Annotated[
        str,
        checked(
            image_request.clean_prompt,
            type="string",
            minLength=1,
            maxLength=image_request.PROMPT_CHARS,
            pattern=VISIBLE,
            description="What the image shows.",
        ),
    ]
    model: Annotated[
        str | None,
        _field(
            _named("model", image_request.clean_model),
            "string",
            pattern=rf"^{image_request.MODEL.pattern}$",
            description=f"One of `GET /v1/models`. Without one: `{image_request.DEFAULT_MODEL}`, or any other that is there.",
        ),
    ] = None
    n: Annotated[
        Any,
        _field(
            lambda value: value,
            "integer",
            minimum=image_request.IMAGES[0],
            maximum=image_request.IMAGES[1],
            description="How many images.",
        ),
    ] = None
    size: Annotated[
        str | None,
        _field(
            _size, "string", pattern=f"^({AUTO}|{SIZE.pattern.replace('?P<width>', '').replace('?P<height>', '')})$"
        ),
    ] = None
    quality: Annotated[Any, _option("`auto` is the generator's default.")] = None
    style: Annotated[Any, _option("`vivid` or `natural`, or another one that the generator knows.")] = None
    response_format: Annotated[
        ResponseFormat | None,
        _nullable(
            "string",
            enum=[*ResponseFormat, None],
            description="Default: `b64_json` for models that begin with `gpt-image` or `chatgpt-image`, otherwise `url`.",
        ),
    ] = None
    output_format: Annotated[
        OutputFormat | None,
        _field(_output_format, "string", enum=[*OUTPUT_FORMATS, None], description="Default: `png`, as it is stored."),
    ] = None
    stream: Annotated[
        StrictBool | None,
        _nullable(
            "boolean",
            description="Send Server-Sent Events: comments with the progress, partial images, then each image.",
        ),
    ] = None
    partial_images: Annotated[
        StrictInt | None,
        Field(ge=0, le=3),
        _nullable(
            "integer",
            minimum=0,
            maximum=3,
            description="With `stream`: how many previews of each image to send while it is made, if its extension can.",
        ),
    ] = None
    user: Annotated[
        str | None,
        _field(
            _named("user", image_request.clean_user, "userId"),
            "string",
            pattern=rf"^{image_request.USER.pattern}$",
            description="Your own user. With a key it is passed on; without one the request belongs to this user.",
        ),
    ] = None

    @model_validator(mode="after")
    def _check_parameters(self) -> Self:
        if len(self.model_fields_set) > image_request.EXTRA_PARAMETERS:
            raise InvalidRequest(f"The body has more than {image_request.EXTRA_PARAMETERS} fields.")
        self.parameters()
        return self

    def parameters(self) -> dict[str, Any]:
        """What the extension receives as `parameters`. Raises InvalidRequest."""
        values = {name: getattr(self, name) for name in ("quality", "style")}
        values = {name: value for name, value in values.items() if value != AUTO}
        values |= self.model_extra or {}
        found = SIZE.fullmatch(self.size or "")
        if found is not None:
            values |= {name: int(side) for name, side in found.groupdict().items()}
        if self.n is not None:
            values["numberOfImages"] = self.n
        try:
            return image_request.clean_parameters(values)
        except InvalidRequest as error:
            raise _of_the_body(error) from None

    @property
    def previews(self) -> int:
        """How many partial images of each image are sent."""
        return (self.partial_images or 0) if self.stream else 0

    @property
    def delivery(self) -> ResponseFormat:
        """How the pictures are delivered. The models that OpenAI delivers in base64 alone are delivered so here."""
        if self.response_format is not None:
            return self.response_format
        in_base64 = re.match("(chat)?gpt-image", self.model or "")
        return ResponseFormat.B64_JSON if in_base64 else ResponseFormat.URL


def _of_the_body(error: InvalidRequest) -> InvalidRequest:
    """A refusal of a parameter, with the name that the field has here."""
    place, _, rest = error.detail.partition(" ")
    name = place.removeprefix("parameters.")
    if name == place:
        return InvalidRequest(error.detail)
    field = NAMES.get(name, name)
    return InvalidRequest(f"{field} {rest}", field=field)


class DeliveredPicture(BaseModel):
    """One image: its address or its file."""

    url: str | None = Field(None, description="with `response_format` `url`")
    b64_json: str | None = Field(None, description="with `response_format` `b64_json`: the file")
    revised_prompt: str | None = Field(None, description="what the generator made of the prompt")


class ImagesResponse(BaseModel):
    """The images of a request; `x-request-id` is the id of the request."""

    created: int = Field(description="seconds since the epoch")
    output_format: OutputFormat = PNG
    size: str = Field(description="of the first image, in px")
    data: list[DeliveredPicture]


class InputTokens(BaseModel):
    """Always 0."""

    image_tokens: int = 0
    text_tokens: int = 0


class Usage(BaseModel):
    """Always 0: requests are not counted in tokens."""

    input_tokens: int = 0
    input_tokens_details: InputTokens = InputTokens()
    output_tokens: int = 0
    total_tokens: int = 0


class CompletedEvent(BaseModel):
    """An image of a stream."""

    type: Literal["image_generation.completed", "image_edit.completed"] = "image_generation.completed"
    b64_json: str = Field(description="the file")
    created_at: int = Field(description="seconds since the epoch")
    size: str = Field(description="in px")
    quality: str = Field(description="as requested")
    background: str = Field(description="as requested")
    output_format: OutputFormat = PNG
    usage: Usage = Usage()


class PartialImageEvent(BaseModel):
    """What there is of an image by now."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"] = "image_generation.partial_image"
    b64_json: str = Field(description="the file")
    partial_image_index: int = Field(ge=0, description="how many of the same image were sent before")
    created_at: int = Field(description="seconds since the epoch")
    size: str = Field(description="as requested")
    quality: str = Field(description="as requested")
    background: str = Field(description="as requested")
    output_format: OutputFormat = Field(
        description="of this file, which may be smaller than the image and of another format"
    )


class ImageModel(BaseModel):
    """A model that a connected extension makes images with."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="always 0: it is not known")] = 0
    owned_by: Literal["imagefleet"] = "imagefleet"


class ImageModelList(BaseModel):
    """The models of the connected extensions, in alphabetical order."""

    object: Literal["list"] = "list"
    data: list[ImageModel]


class ErrorDetails(BaseModel):
    """What went wrong."""

    message: str = Field(description="for people")
    type: str = Field(description="the kind of the error")
    param: Annotated[str | None, WithJsonSchema({"type": ["string", "null"]})] = Field(
        description="the field that it is about"
    )
    code: str = Field(description="for programs: OpenAI's word where there is one, otherwise a code of this service")


class OpenAIError(BaseModel):
    """An error as OpenAI's clients expect it."""

    error: ErrorDetails
