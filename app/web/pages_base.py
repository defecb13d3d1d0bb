"""What the pages for people share: templates, style, and a policy that lets in nothing but what is ours."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from werkzeug.wrappers import Response as AnyResponse

from app.web.prose import inline, prose

HERE = Path(__file__).parent
HTML = "text/html; charset=utf-8"
KINDS = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(text: str, policy: str = POLICY) -> Response:
    """A page that may use what the policy says."""
    return Response(text, content_type=HTML, headers={"Content-Security-Policy": policy})


def serve(app: Flask, path: str, name: str) -> None:
    """Serve the static file of this name at this path."""
    file = HERE / "static" / name
    content = file.read_bytes()
    app.add_url_rule(path, path.strip("/"), lambda: kept(content, KINDS[file.suffix]))


def kept(content: bytes, content_type: str) -> AnyResponse:
    """What changes with a release alone: whoever has it already is told so."""
    response = Response(content, content_type=content_type, headers={"Cache-Control": "no-cache"})
    response.add_etag()
    return response.make_conditional(request)


def templates() -> Environment:
    """Where pages are made; a name that is missing in one is an error."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"inline": inline, "prose": prose, "breakable": _breakable}
    return found


def _breakable(name: str) -> Markup:
    """A long name may break behind its dots, slashes and underscores."""
    text = str(escape(name))
    for mark in "./_":
        text = text.replace(mark, f"{mark}<wbr>")
    return Markup(text)  # noqa: S704 - escaped just here
