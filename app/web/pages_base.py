"""What the service's pages share: templates, and a Content-Security-Policy that allows nothing but the service's own files."""

import json
import re
from typing import Any

from flask import Flask, Response, render_template
from jinja2 import StrictUndefined
from markupsafe import Markup, escape

CODE = re.compile(r"`([^`]+)`")
SELF = "'self'"
NOTHING_ELSE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def install(app: Flask) -> None:
    """Set up the templates of `app`; a name that a template uses and does not get is an error."""
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    for each in (inline, breakable, pretty):
        app.add_template_filter(each)


def page(template: str, policy: str, **values: Any) -> Response:
    """The rendered template as a response with this Content-Security-Policy."""
    return Response(render_template(template, **values), headers={"Content-Security-Policy": policy})


def policy(**sources: str) -> str:
    """A Content-Security-Policy that allows these sources only, as in `style_src="'self'"`."""
    allowed = (f"{name.replace('_', '-')} {source}" for name, source in sources.items())
    return "; ".join([NOTHING_ELSE, *allowed])


def inline(text: str) -> Markup:
    """Escaped text whose `code` is marked up."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped in the same line


def breakable(name: str) -> Markup:
    """A long name that may break after its dots and underscores."""
    return Markup(re.sub(r"([._])", r"\1<wbr>", str(escape(name))))  # noqa: S704 - escaped in the same line


def pretty(value: Any) -> str:
    """JSON on several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)
