"""Styles: named templates of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imagefleet.models.base import NOTHING, Answer, Time


class Style(Answer):
    """A style. `variables` are the defaults of what its template names, None where a request has to give it.

    It is everybody's if it is `shared`, otherwise that of `user_id`.
    """

    name: str
    template: str
    shared: bool = False
    user_id: str | None = None
    description: str | None = None
    variables: Mapping[str, str | None] = NOTHING
    model: str | None = None
    parameters: Mapping[str, Any] = NOTHING
    created_at: Time | None = None
    updated_at: Time | None = None
