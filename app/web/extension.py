"""The extension for people's browsers: a download that is ready to load, its guide, and a page to try it on."""

from pathlib import Path

from flask import Flask, Response, request
from werkzeug.wrappers import Response as AnyResponse

from app.config import Settings
from app.domain.errors import NotFound
from app.web import archive, pages_base
from app.web.archive import Extension
from app.web.pages_base import SELF
from app.web.public_url import public_url

FOLDER = Path(__file__).parents[2] / "extension"
ZIP = "imagefleet-extension.zip"
GUIDE_POLICY = pages_base.policy(style_src=SELF, img_src=SELF)
# The demo studio shows the pictures that its script paints.
DEMO_POLICY = pages_base.policy(script_src=SELF, style_src=SELF, img_src="'self' blob: data:")


def install(app: Flask, settings: Settings) -> None:
    """Serve the extension's guide, its zip and the demo page on `app`."""

    @app.get("/extension")
    def get_extension_guide() -> Response:
        return pages_base.page(
            "extension.html",
            GUIDE_POLICY,
            extension=_extension(),
            server=public_url(""),
            kilobytes=max(1, len(_packed()) // 1000),
            required=settings.auth_required,
        )

    @app.get(f"/extension/{ZIP}")
    def get_extension_zip() -> AnyResponse:
        _extension()
        response = Response(_packed(), content_type="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="{ZIP}"'
        # It names the server as this caller reached it, so no shared cache may keep it for another.
        response.headers["Cache-Control"] = "private, no-cache"
        response.add_etag()
        return response.make_conditional(request)

    @app.get("/extension/demo")
    def get_extension_demo() -> Response:
        return pages_base.page("demo.html", DEMO_POLICY)


def _extension() -> Extension:
    try:
        return archive.read(FOLDER)
    except FileNotFoundError:
        raise NotFound("Not found: this server was installed without the extension's folder.") from None


def _packed() -> bytes:
    return archive.pack(FOLDER, public_url(""))
