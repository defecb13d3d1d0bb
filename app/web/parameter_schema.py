"""The JSON Schema of a request's `parameters`; `image_request.clean_parameters` validates them."""

from app.domain import image_request

_SIDE = {"type": ["integer", "null"], "minimum": image_request.SIDE_PX[0], "maximum": image_request.SIDE_PX[1]}
_OPTION = {"type": ["string", "null"], "pattern": rf"^{image_request.OPTION.pattern}$"}
_TEXT = r"^[^\x00]*$"
VALUE = "ParameterValue"
NAME = {"pattern": _TEXT}
ANYTHING = {"$ref": f"#/components/schemas/{VALUE}"}
# It refers to itself, so it must be one of the document's schemas and cannot be inside the field that uses it.
VALUE_SCHEMA = {
    "description": "A value that is passed to the extension unchanged; at most 8 levels deep, no lone surrogates.",
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "number", "minimum": -image_request.LARGEST_NUMBER, "maximum": image_request.LARGEST_NUMBER},
        {"type": "string", "pattern": _TEXT},
        {"type": "array", "items": ANYTHING},
        {"type": "object", "propertyNames": NAME, "additionalProperties": ANYTHING},
    ],
}
PARAMETERS = {
    "type": ["object", "null"],
    "description": (
        "Options of the image. Other fields are passed to the extension unchanged, if they are at most 8 levels deep and "
        "contain no NUL and no number beyond 2^64 - 1. Integers beyond 2^53 - 1 reach extensions as strings, since JavaScript would round them."
    ),
    "properties": {
        "width": {**_SIDE, "description": "px"},
        "height": {**_SIDE, "description": "px"},
        "numberOfImages": {
            "type": ["integer", "null"],
            "minimum": image_request.IMAGES[0],
            "maximum": image_request.IMAGES[1],
            "default": 1,
        },
        "quality": _OPTION,
        "style": _OPTION,
    },
    "propertyNames": NAME,
    "additionalProperties": ANYTHING,
    "maxProperties": image_request.EXTRA_PARAMETERS,
}
