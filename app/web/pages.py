"""The API's own pages: documents for programs, a page for people."""

from __future__ import annotations

import json

from flask import Flask, Response

from app.config import Settings
from app.web import asyncapi, openapi
from app.web.api import JSON, Api
from app.web.status import socket_url


def install(app: Flask, api: Api, settings: Settings) -> None:
    """Serve them on `app`."""
    described = json.dumps(openapi.document(api.operations), ensure_ascii=False)

    @app.get("/openapi.json")
    def get_openapi() -> Response:
        return Response(described, content_type=JSON)

    @app.get("/asyncapi.json")
    def get_asyncapi() -> Response:
        described = asyncapi.document(settings, socket_url(settings))
        return Response(json.dumps(described, ensure_ascii=False), content_type=JSON)
