"""Bodies and queries as models, or a refusal that names the field."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from app.domain import json_text
from app.domain.errors import InvalidJson, InvalidPrompt, InvalidRequest, UnsupportedMediaType
from app.domain.other_names import OTHER_FIELDS
from app.domain.validation import field_name, first_error, sentence
from app.domain.wire_types import without_nulls

Model = TypeVar("Model", bound=BaseModel)
JSON = "application/json"


def json_body(model: type[Model], *, optional: bool = False) -> Model:
    """The request's body as `model`. Raises UnsupportedMediaType, InvalidJson, InvalidRequest, InvalidPrompt.

    An `optional` one that is not sent is an empty object.
    """
    check_not_compressed()
    if optional and not request.get_data():
        return model()
    if not request.is_json:
        raise UnsupportedMediaType("The body must be JSON, sent with Content-Type: application/json.")
    return fit(model, _decoded(request.get_data(cache=False)), "The body")


def check_not_compressed() -> None:
    """Raises UnsupportedMediaType: bodies are taken as they are, since a small one could unpack to any size."""
    encoding = request.headers.get("Content-Encoding", "").strip()
    if encoding.lower() not in ("", "identity"):
        name = json_text.printable(encoding)
        raise UnsupportedMediaType(f"The body is compressed (Content-Encoding: {name}): send it without compression.")


def query(model: type[Model]) -> Model:
    """The URL's query as `model`; of repeated names the first counts. Raises InvalidRequest."""
    return fit(model, request.args.to_dict(), "The query")


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        body = json_text.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidJson("The body is not valid UTF-8.") from None
    except json_text.RepeatedName as repeated:
        raise InvalidJson(f"The body contains a field twice: {repeated.name}.") from None
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidJson(f"The body is not valid JSON{where}.") from None
    if not isinstance(body, dict):
        raise InvalidRequest('The body must be a JSON object, such as {"prompt": "a red fox"}.')
    return without_nulls(body)  # type: ignore[no-any-return]


def fit(model: type[Model], values: dict[str, Any], where: str) -> Model:
    """The values as `model`. Raises InvalidRequest, InvalidPrompt; their sentences begin with `where`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal(error, where, model) from None


def _refusal(error: ValidationError, where: str, model: type[BaseModel]) -> InvalidRequest | InvalidPrompt:
    first = first_error(error)
    if first["loc"] == ("prompt",):
        return InvalidPrompt("prompt is missing: it must be a string that describes the image.")
    if first["type"] == "extra_forbidden":
        name = field_name(first)
        other_names: Mapping[str, str] = getattr(model, "OTHER_NAMES", {})
        hint = f"Use {known}." if (known := other_names.get(name)) else _fields(model, first["loc"])
        return InvalidRequest(f"{where} contains an unknown field: {name}. {hint}", field=name)
    return InvalidRequest(f"{sentence(first, model)}.", field=field_name(first))


def _fields(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """What to send instead of a field that the model does not have."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return OTHER_FIELDS if "parameters" in names or len(loc) > 1 else f"There are {', '.join(names)}."
