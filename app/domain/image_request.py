"""A client's request for pictures, and the validation of its fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.domain.errors import InvalidPrompt, InvalidRequest
from app.domain.fair_queueing import Priority
from app.domain.input_references import InputReference
from app.domain.webhooks import Target

DEFAULT_MODEL = "dall-e-3"
DEFAULT_USER = "cli-user"

PROMPT_CHARS = 8_000
NAME_CHARS = 128
SIDE_PX = (16, 8_192)
IMAGES = (1, 10)
OPTION_CHARS = 64
EXTRA_PARAMETERS = 50
DEADLINE_MS = (1_000, 604_800_000)
KEEP_DAYS = (1, 3_650)
LARGEST_NUMBER = 2**64 - 1  # the largest seed of generators such as ComfyUI
LARGEST_SAFE_INTEGER = 2**53 - 1  # JavaScript rounds larger ones

MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+ -]{0,127}")
USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+|=-]{0,127}")
OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
# Control characters except line breaks and tabs, and lone surrogates: no text may contain them.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Word processors break lines and pages with these: vertical tab, form feed, next line, line and paragraph separator.
_LINE_BREAK = re.compile("[\x0b\x0c\x85\u2028\u2029]")
# Characters without a glyph besides whitespace, as a class of a regular expression: zero-width spaces and joiners, marks of
# writing direction, fillers, variation selectors, the byte order mark.
INVISIBLE = (
    r"\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
)
_VISIBLE = re.compile(rf"[^\s{INVISIBLE}]")
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


class CacheMode(StrEnum):
    """Whether a request may get the pictures of an identical earlier one of its owner.

    PREFER: of a completed one, or of one that is being made; if that fails, it is made itself. ONLY: of a completed one, or
    it is refused.
    """

    OFF = "off"
    PREFER = "prefer"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """A valid request for pictures. `parameters` are sent to the extension unchanged.

    Without a `model` it is the default one, or any other while no extension makes that. `original_prompt` is what the
    client wrote, if `prompt` was made from that, a style and its variables. `previews` is how many of each picture are wanted.
    """

    prompt: str
    model: str | None = None
    user_id: str = DEFAULT_USER
    parameters: Mapping[str, Any] = field(default_factory=dict)
    deadline_ms: int | None = None
    style: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    original_prompt: str | None = None
    priority: Priority | None = None
    cache: CacheMode = CacheMode.OFF
    webhook: Target | None = None
    inputs: tuple[InputReference, ...] = ()
    keep_days: int | None = None
    previews: int = 0

    @property
    def number_of_images(self) -> int:
        return int(self.parameters.get("numberOfImages", 1))


def clean_prompt(value: object) -> str:
    """The prompt: 1 to 8,000 characters, at least one of them visible. Raises InvalidPrompt.

    Tabs and line breaks are allowed; unusual line breaks become plain ones. Other control characters could forge log lines; lone surrogates cannot be stored.
    """
    if value is None:
        raise InvalidPrompt("prompt is missing: it must be a string that describes the image.")
    if not isinstance(value, str):
        raise InvalidPrompt("prompt must be a string.")
    value = _LINE_BREAK.sub("\n", value)
    if not _VISIBLE.search(value):
        raise InvalidPrompt("prompt is empty: it must describe the image.")
    if len(value) > PROMPT_CHARS:
        raise InvalidPrompt(f"prompt is {len(value):,} characters long: at most {PROMPT_CHARS:,} are allowed.")
    if bad := _forbidden_character(value):
        raise InvalidPrompt(f"prompt contains {bad}: remove it.")
    return value


def clean_text(field_name: str, value: object, most: int) -> str:
    """A text of at most `most` characters, which may be empty, with the characters that a prompt may have. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field_name} must be a string.")
    if len(value) > most:
        raise InvalidRequest(f"{field_name} is {len(value):,} characters long: at most {most:,} are allowed.")
    value = _LINE_BREAK.sub("\n", value)
    if bad := _forbidden_character(value):
        raise InvalidRequest(f"{field_name} contains {bad}: remove it.")
    return value


def clean_model(value: object) -> str:
    """The name of a model: 1 to 128 letters, digits and . _ : / @ + - or spaces. Raises InvalidRequest."""
    return _name("model", value, MODEL, "letters, digits, spaces and . _ : / @ + -")


def clean_user(value: object) -> str:
    """The id of a user: 1 to 128 letters, digits and . _ : @ + | = -. Raises InvalidRequest."""
    return _name("userId", value, USER, "letters, digits and . _ : @ + | = -")


def clean_parameters(value: object) -> dict[str, Any]:
    """The parameters without those that are null. Known ones are validated, unknown ones kept unchanged. Raises InvalidRequest.

    width, height: 16 to 8,192 px. numberOfImages: 1 to 10. quality, style: short names.
    """
    if not isinstance(value, Mapping):
        raise InvalidRequest("parameters must be a JSON object.")
    if len(value) > EXTRA_PARAMETERS:
        raise InvalidRequest(f"parameters has {len(value)} fields: at most {EXTRA_PARAMETERS} are allowed.")
    for name, bounds in (("width", SIDE_PX), ("height", SIDE_PX), ("numberOfImages", IMAGES)):
        if value.get(name) is not None:
            whole_number(f"parameters.{name}", value[name], bounds)
    for name in ("quality", "style"):
        if value.get(name) is not None:
            _name(f"parameters.{name}", value[name], OPTION, "letters, digits, spaces and . _ -")
    _check_text(value, "parameters", depth=0)
    return {name: item for name, item in value.items() if item is not None}


def for_javascript(value: Any) -> Any:
    """The value with integers as text that `JSON.parse` would round."""
    if isinstance(value, Mapping):
        return {name: for_javascript(item) for name, item in value.items()}
    if isinstance(value, list):
        return [for_javascript(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > LARGEST_SAFE_INTEGER else value


def clean_deadline(value: object) -> int | None:
    """How long the client will wait, in ms from acceptance: 1,000 to 604,800,000 (a week). Raises InvalidRequest."""
    return None if value is None else whole_number("deadlineMs", value, DEADLINE_MS)


def clean_keep(value: object) -> int | None:
    """For how many days the pictures are kept: 1 to 3,650. Raises InvalidRequest."""
    return None if value is None else whole_number("keep", value, KEEP_DAYS)


def clean_priority(value: object) -> Priority | None:
    """The priority class: high, normal, low or idle. Raises InvalidRequest."""
    if value is None:
        return None
    words = [priority.word for priority in Priority]
    if not isinstance(value, str) or value not in words:
        raise InvalidRequest(f"priority must be one of {', '.join(words)}.")
    return Priority[value.upper()]


def clean_cache(value: object) -> CacheMode:
    """How it may use the pictures of earlier requests: off, prefer or only. Raises InvalidRequest."""
    if value is None:
        return CacheMode.OFF
    words = [mode.value for mode in CacheMode]
    if not isinstance(value, str) or value not in words:
        raise InvalidRequest(f"cache must be one of {', '.join(words)}.")
    return CacheMode(value)


def _forbidden_character(text: str) -> str | None:
    """A description of the first forbidden character, if there is one."""
    found = FORBIDDEN.search(text)
    if found is None:
        return None
    kind = "lone surrogate" if found[0] >= "\ud800" else "control character"
    return f"the {kind} U+{ord(found[0]):04X}"


def whole_number(field_name: str, value: object, bounds: tuple[int, int]) -> int:
    """The number, if it is whole and within the bounds, both of which are allowed. Raises InvalidRequest."""
    least, most = bounds
    if isinstance(value, float) and value.is_integer():  # 64.0 is a whole number in JSON
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequest(f"{field_name} must be a whole number from {least:,} to {most:,}.")
    return value


def _name(field_name: str, value: object, pattern: re.Pattern[str], allowed: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidRequest(
            f"{field_name} must be a string of at most {OPTION_CHARS if pattern is OPTION else NAME_CHARS} characters: "
            f"{allowed}. It must start with a letter or digit."
        )
    return value


def _check_text(value: object, where: str, depth: int) -> None:
    """Reject text and numbers inside `value` that cannot be stored or forwarded."""
    if depth > 8:
        raise InvalidRequest(f"{where} is nested too deeply: at most 8 levels are allowed.")
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise InvalidRequest(f"{where} contains a NUL or a lone surrogate: remove it.")
    elif isinstance(value, int | float):
        if abs(value) > LARGEST_NUMBER:
            raise InvalidRequest(f"{where} is too large a number: at most 2^64 - 1 is allowed.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, f"a field name in {where}", depth + 1)
            _check_text(item, f"{where}.{key}"[:120], depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, where, depth + 1)
