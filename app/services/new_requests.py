"""A client's request as the columns of a new row."""

from collections.abc import Sequence
from typing import Any

from app.db.job_inputs import JobInput
from app.domain.fingerprints import fingerprint
from app.domain.image_request import DEFAULT_MODEL, CacheMode, ImageRequest
from app.domain.input_images import operation_of


def columns_of(order: ImageRequest, inputs: Sequence[JobInput] = ()) -> dict[str, Any]:
    """The columns that say what is to be made, of a request whose style is applied and that has these input pictures."""
    model = order.model or DEFAULT_MODEL
    return {
        "user_id": order.user_id,
        "model": model,
        "any_model": order.model is None,
        "prompt": order.prompt,
        "parameters": dict(order.parameters),
        "number_of_images": order.number_of_images,
        "style": order.style,
        "variables": None if order.style is None else dict(order.variables),
        "original_prompt": order.original_prompt,
        "fingerprint": fingerprint(
            order.prompt,
            model,
            any_model=order.model is None,
            parameters=order.parameters,
            number_of_images=order.number_of_images,
            inputs=[(each.sha256, each.role, each.strength) for each in inputs],
        ),
        "operation": operation_of(each.role for each in inputs),
        "parent_id": next((each.request_id for each in order.inputs if each.request_id is not None), None),
        "keep_days": order.keep_days,
        "previews": order.previews,
        "cache": None if order.cache is CacheMode.OFF else order.cache,
    }
