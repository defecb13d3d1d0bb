"""The pictures that a request is made from, as its client names them."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.domain.errors import InvalidRequest
from app.domain.ids import is_request_id
from app.domain.image_request import IMAGES, whole_number
from app.domain.input_references import InputReference, Role
from app.domain.json_text import printable
from app.domain.operations import Operation

FIELD = "inputImages"
MOST = 4
_FIELDS = ("inputId", "requestId", "position", "role", "strength")


def clean_input_images(value: object) -> tuple[InputReference, ...]:
    """Up to four references, at most one of them to a mask, and none to a mask alone. Raises InvalidRequest."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST:
        raise InvalidRequest(f"{FIELD} must be a list of at most {MOST} objects.", field=FIELD)
    found = tuple(_reference(f"{FIELD}[{number}]", each) for number, each in enumerate(value))
    masks = [each for each in found if each.role is Role.MASK]
    if len(masks) > 1 or (masks and len(found) == 1):
        wrong = "has more than one mask" if len(masks) > 1 else "has a mask and no image"
        raise InvalidRequest(f"{FIELD} {wrong}: a mask says which part of an image is changed.", field=FIELD)
    return found


def clean_strength(name: str, value: object) -> float | None:
    """How much a picture may differ, from 0 to 1. Raises InvalidRequest."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"{name} must be a number from 0 (as the image) to 1.", field=name)
    return float(value)


def clean_position(name: str, value: object) -> int:
    """The number of a picture of a request, from 0. Raises InvalidRequest."""
    return 0 if value is None else whole_number(name, value, (0, IMAGES[1] - 1))


def clean_parent(value: object) -> str:
    """The id of a request. Raises InvalidRequest."""
    return _id("parentId", value) or ""


def operation_of(roles: Iterable[str]) -> Operation:
    """What a request with inputs in these roles asks for."""
    found = frozenset(roles)
    if not found:
        return Operation.CREATE
    return Operation.EDIT if Role.MASK in found else Operation.VARIATION


def _reference(name: str, value: object) -> InputReference:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{name} must be an object with inputId, or with requestId and position.", field=name)
    given: dict[str, Any] = {key: item for key, item in value.items() if item is not None}
    if unknown := next((key for key in given if key not in _FIELDS), None):
        raise InvalidRequest(
            f"{name}.{printable(unknown)} is no field. There are {', '.join(_FIELDS)}.", field=f"{name}.{unknown}"[:80]
        )
    if ("inputId" in given) == ("requestId" in given):
        raise InvalidRequest(f"{name} must have either inputId or requestId.", field=name)
    if "position" in given and "requestId" not in given:
        raise InvalidRequest(
            f"{name}.position belongs to requestId: an input is one picture.", field=f"{name}.position"
        )
    role = given.get("role", Role.IMAGE)
    if role not in (Role.IMAGE.value, Role.MASK.value):
        raise InvalidRequest(f"{name}.role must be image or mask.", field=f"{name}.role")
    return InputReference(
        input_id=_id(f"{name}.inputId", given.get("inputId")),
        request_id=_id(f"{name}.requestId", given.get("requestId")),
        position=clean_position(f"{name}.position", given.get("position")),
        role=Role(role),
        strength=clean_strength(f"{name}.strength", given.get("strength")),
    )


def _id(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_request_id(value.lower()):
        raise InvalidRequest(f"{name} must be a UUID, as the service returned it.", field=name)
    return value.lower()
