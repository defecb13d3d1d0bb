"""The wire contract's own examples, from `documents/`: the documents show them, and tests check them against the models."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.domain.messages import Message

FOLDER = Path(__file__).parent / "documents"
STREAMS = {
    "request": (FOLDER / "stream.txt").read_text("utf-8"),
    "batch": (FOLDER / "batch_stream.txt").read_text("utf-8"),
}
_EXAMPLES: dict[str, dict[str, Any]] = json.loads((FOLDER / "examples.json").read_text("utf-8"))

PARAMETERS = _EXAMPLES["parameters"]  # one value for each name in a path or a query


def body(model: type[BaseModel]) -> dict[str, Any]:
    """The body of a request or a response as it is sent."""
    return dict(_EXAMPLES["bodies"][model.__name__])


def message(kind: type[Message]) -> dict[str, Any]:
    """A message on the socket as it is sent."""
    return dict(_EXAMPLES["messages"][kind.type_name()])


def problem(title: str, status: int, code: str, detail: str) -> dict[str, Any]:
    """A refusal as it is sent."""
    fields = {"title": title, "status": status, "code": code, "detail": detail, "error": detail}
    return {**_EXAMPLES["bodies"]["Problem"], **fields}
