"""What the reference extension understands of a request's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from imagefleet.extension.picture_files import MAX_SIDE_PX

MAX_IMAGES = 10
_SIDE = f"a whole number from 1 to {MAX_SIDE_PX}"
_WANTED = {
    "width": _SIDE,
    "height": _SIDE,
    "numberOfImages": f"a whole number from 1 to {MAX_IMAGES}",
    "seed": "a whole number",
}


class BadJob(Exception):
    """The job cannot be done by this extension; the text gives the reason."""


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic reports it as what is wrong with the field
    return value


def _no_text(value: object) -> object:
    if isinstance(value, str):
        raise ValueError("not a number")  # noqa: TRY004 - the same
    return _no_boolean(value)


Side = Annotated[int, BeforeValidator(_no_text), Field(ge=1, le=MAX_SIDE_PX)]
Count = Annotated[int, BeforeValidator(_no_text), Field(ge=1, le=MAX_IMAGES)]
# The server sends one beyond 2^53 as text.
Seed = Annotated[int, BeforeValidator(_no_boolean)]


class Parameters(BaseModel):
    """Sizes in px. What the request leaves open is None."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, extra="ignore")

    width: Side | None = None
    height: Side | None = None
    number_of_images: Count | None = None
    seed: Seed | None = None

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Parameters:
        """From those of the job. Raises BadJob, which names the one that is wrong and says what it must be."""
        try:
            return cls.model_validate(parameters)
        except ValidationError as error:
            name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
            raise BadJob(f"{name} must be {_WANTED[name]}.") from None
