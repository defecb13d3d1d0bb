"""What the operations on styles send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagefleet.calls.base import Call, Listing, get, nothing, part, reading, reading_page, send, truth
from imagefleet.models import Style

STYLES = "/api/styles"


def create(name: str, fields: Mapping[str, Any], *, shared: bool | None, user_id: str | None) -> Call[Style]:
    """A new style."""
    return send("POST", STYLES, {"name": name, **fields, "shared": shared, "userId": user_id}, reading(Style))


def replace(name: str, fields: Mapping[str, Any], *, shared: bool | None, user_id: str | None) -> Call[Style]:
    """Replace a style."""
    return send("PUT", _one(name), fields, reading(Style), _whose(shared, user_id))


def details(name: str, *, shared: bool | None, user_id: str | None) -> Call[Style]:
    """One style."""
    return get(_one(name), reading(Style), _whose(shared, user_id))


def remove(name: str, *, shared: bool | None, user_id: str | None) -> Call[None]:
    """Remove a style."""
    return Call("DELETE", _one(name), _whose(shared, user_id), read=nothing)


def listing(*, shared: bool | None, user_id: str | None, page_size: int) -> Listing[Style]:
    """Styles, ordered by name."""
    return Listing(STYLES, {**_whose(shared, user_id), "limit": page_size}, reading_page(Style, "styles"))


def fields_of(
    template: str,
    variables: Mapping[str, str | None] | None,
    model: str | None,
    parameters: Mapping[str, Any] | None,
    description: str | None,
) -> dict[str, Any]:
    """What a style is, beside its name."""
    return {
        "template": template,
        "variables": variables,
        "model": model,
        "parameters": parameters,
        "description": description,
    }


def _one(name: str) -> str:
    return f"{STYLES}/{part(name, 'name of a style')}"


def _whose(shared: bool | None, user_id: str | None) -> dict[str, object]:
    return {"shared": truth(shared), "userId": user_id}
