"""The extension for people's browsers: handed out ready to load, with a page that leads there, and a page to try it on."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response
from werkzeug.wrappers import Response as AnyResponse

from app.config import Settings
from app.domain.errors import NotFound
from app.web import archive, pages_base, presenters
from app.web.archive import Extension

FOLDER = Path(__file__).parents[2] / "extension"
ZIP = "imagefleet-extension.zip"
# The demonstration studio is a page of the kind that the extension works in: it has a script, and makes pictures.
DEMO_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def install(app: Flask, settings: Settings) -> None:
    """Serve it on `app`."""
    guide = pages_base.templates().get_template("extension.html")
    demo = (pages_base.HERE / "templates" / "demo.html").read_text("utf-8")

    @app.get("/extension")
    def get_extension_guide() -> Response:
        extension = _extension()
        return pages_base.page(
            guide.render(
                extension=extension,
                server=_server(),
                kilobytes=max(1, len(_packed()) // 1000),
                required=settings.auth_required,
            )
        )

    @app.get(f"/extension/{ZIP}")
    def get_extension_zip() -> AnyResponse:
        _extension()
        response = pages_base.kept(_packed(), "application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="{ZIP}"'
        # It names the server as this caller reached it: nobody may keep it for another.
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    @app.get("/extension/demo")
    def get_extension_demo() -> Response:
        return pages_base.page(demo, DEMO_POLICY)

    pages_base.serve(app, "/extension/style.css", "extension.css")
    for name in ("demo.css", "demo.js"):
        pages_base.serve(app, f"/extension/{name}", name)


def _extension() -> Extension:
    try:
        return archive.read(FOLDER)
    except FileNotFoundError:
        raise NotFound("This server was installed without the extension: there is no folder of that name.") from None


def _server() -> str:
    return presenters.public_url("")


def _packed() -> bytes:
    return archive.pack(FOLDER, _server())
