"""What an extension reports about how it made the images. It may report anything; what is not usable is left out."""

from collections.abc import Mapping
from typing import Any

from app.domain.image_request import EXTRA_PARAMETERS, FORBIDDEN, IMAGES, MODEL, PROMPT_CHARS

SEED_CHARS = 64
NAME_CHARS = 128

Reported = Mapping[str, Any] | None


def model(reported: Reported, requested: str) -> str:
    """The model that was used; the requested one if the extension reports none."""
    name = _field(reported, "model")
    return name if isinstance(name, str) and MODEL.fullmatch(name) else requested


def seed(reported: Reported) -> int | str | None:
    """The seed of the first image: a whole number, or a text if it is beyond 2^53."""
    return _seed(_field(reported, "seed"))


def seeds(reported: Reported) -> list[int | str] | None:
    """The seeds of all images."""
    found = [_seed(each) for each in _list(reported, "seeds")[: IMAGES[1]]]
    usable = [each for each in found if each is not None]
    return usable if usable and len(usable) == len(found) else None


def revised_prompt(reported: Reported) -> str | None:
    """What the generator made of the prompt."""
    return _text(_field(reported, "revisedPrompt"), PROMPT_CHARS)


def ignored_parameters(reported: Reported) -> list[str] | None:
    """The names of the parameters that had no effect."""
    names = (_text(each, NAME_CHARS) for each in _list(reported, "ignoredParameters"))
    return [name for name in names if name][:EXTRA_PARAMETERS] or None


def _field(reported: Reported, name: str) -> object:
    return (reported or {}).get(name)


def _list(reported: Reported, name: str) -> list[object]:
    value = _field(reported, name)
    return value if isinstance(value, list) else []


def _seed(value: object) -> int | str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return value if _text(str(value), SEED_CHARS) else None


def _text(value: object, most: int) -> str | None:
    usable = isinstance(value, str) and 0 < len(value) <= most and not FORBIDDEN.search(value)
    return str(value) if usable else None
