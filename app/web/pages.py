"""The API's own pages: documents for programs, a page for people."""

from __future__ import annotations

import json

from flask import Flask, Response

from app.config import Settings
from app.web import openapi
from app.web.api import JSON, Api


def install(app: Flask, api: Api, settings: Settings) -> None:
    """Serve them on `app`."""
    described = json.dumps(openapi.document(api.operations), ensure_ascii=False)

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(described, content_type=JSON)
