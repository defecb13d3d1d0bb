"""A client's request as the columns of a new row."""

from typing import Any

from app.domain.fingerprints import fingerprint
from app.domain.image_request import DEFAULT_MODEL, CacheMode, ImageRequest


def columns_of(order: ImageRequest) -> dict[str, Any]:
    """The columns that say what is to be made, of a request whose style is applied."""
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
        ),
        "cache": None if order.cache is CacheMode.OFF else order.cache,
    }
