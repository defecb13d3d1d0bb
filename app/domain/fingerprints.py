"""The fingerprint of a request: equal for requests that ask an extension for the same.

Who asks, how urgently, until when and with which style it was written makes no difference.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.image_request import LARGEST_SAFE_INTEGER

COUNT = "numberOfImages"  # absent means 1


def fingerprint(
    prompt: str,
    model: str,
    *,
    any_model: bool,
    parameters: Mapping[str, Any],
    number_of_images: int,
    inputs: Sequence[tuple[str, str, float | None]] = (),
) -> str:
    """The SHA-256, in hex, of everything that matters to an extension.

    Names of models match without case. A request that names no model may be made with any, and is not the same as one that
    names the default. Parameters are compared as JSON: their order makes no difference, nor does 64.0 instead of 64. `inputs` are
    the input pictures in order: SHA-256, role, strength.
    """
    what: dict[str, Any] = {
        "prompt": prompt,
        "model": model.lower(),
        "anyModel": any_model,
        "parameters": _canonical({name: value for name, value in parameters.items() if name != COUNT}),
        COUNT: number_of_images,
    }
    if inputs:  # without them it is what it was before there were any
        what["inputs"] = [list(each) for each in inputs]
    text = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_SAFE_INTEGER:
        return int(value)
    return value
