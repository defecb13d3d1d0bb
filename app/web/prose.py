"""The little Markdown that the documents' descriptions use, as HTML: paragraphs, lists, `code`."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

CODE = re.compile(r"`([^`]+)`")


def inline(text: str) -> Markup:
    """A line: escaped, with its code marked."""
    return Markup(CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


def prose(text: str) -> Markup:
    """Paragraphs and lists."""
    return Markup("\n").join(_block(block) for block in text.split("\n\n"))


def _block(block: str) -> Markup:
    if not block.startswith("- "):
        return Markup("<p>{}</p>").format(inline(block))
    items = Markup("").join(Markup("<li>{}</li>").format(inline(line.removeprefix("- "))) for line in block.split("\n"))
    return Markup("<ul>{}</ul>").format(items)
