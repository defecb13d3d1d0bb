"""The body of a request for variations."""

from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from app.domain import image_request
from app.domain.input_images import clean_position, clean_strength
from app.web.request_schemas import POSITION, STRENGTH, VISIBLE, checked


def _named_count(name: str, value: object) -> int:
    return image_request.whole_number(name, value, image_request.IMAGES)


class VariationRequest(BaseModel):
    """How the variations differ from the request whose image they are made from. A field that is null counts as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    prompt: Annotated[
        str | None,
        checked(
            image_request.clean_prompt,
            type=["string", "null"],
            minLength=1,
            maxLength=image_request.PROMPT_CHARS,
            pattern=VISIBLE,
            description="What they show. Default: the prompt of the request.",
        ),
    ] = None
    number_of_images: Annotated[
        int | None,
        checked(
            partial(_named_count, "numberOfImages"),
            type=["integer", "null"],
            minimum=image_request.IMAGES[0],
            maximum=image_request.IMAGES[1],
            description="How many. Default: as many as the request.",
        ),
    ] = None
    strength: Annotated[
        float | None,
        checked(
            partial(clean_strength, "strength"),
            **{**STRENGTH, "type": ["number", "null"]},
            description="How much they may differ: 0 not at all. Default: up to the generator.",
        ),
    ] = None
    position: Annotated[
        int,
        checked(
            partial(clean_position, "position"),
            **{**POSITION, "type": ["integer", "null"]},
            default=0,
            description="Which of the request's images.",
        ),
    ] = 0
    keep: Annotated[
        int | None,
        checked(
            image_request.clean_keep,
            type=["integer", "null"],
            minimum=image_request.KEEP_DAYS[0],
            maximum=image_request.KEEP_DAYS[1],
            description="For how many days after its end the images are kept. Default: as many as the request's.",
        ),
    ] = None
