"""The contact sheet of a batch's folder: a page without scripts that works from a disk, without the service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import TextIO
from urllib.parse import quote

from imagefleet.batching.entries import Entry, SavedPicture
from imagefleet.models import Batch

_STYLE = """
:root { color-scheme: light dark; --ground: #f3f4f6; --card: #fff; --line: #d9dde3; --ink: #1b2026; --soft: #58616c; --link: #1f5fa8; --alert: #a92a2a; }
@media (prefers-color-scheme: dark) { :root { --ground: #111417; --card: #1b1f24; --line: #343a42; --ink: #e6e9ed; --soft: #a3adb8; --link: #85b8f2; --alert: #f39191; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
header, main, footer { max-width: 110rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2rem; padding-bottom: 1.25rem; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; overflow-wrap: anywhere; }
header p, footer p { margin: .15rem 0; color: var(--soft); }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
li { display: flex; flex-direction: column; min-width: 0; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; overflow: hidden;
  content-visibility: auto; contain-intrinsic-size: auto 24rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(45%, 1fr)); grid-auto-rows: minmax(0, 1fr); gap: 1px; aspect-ratio: 1; overflow: hidden; background: var(--line); }
.pictures > * { position: relative; display: grid; place-items: center; min-width: 0; min-height: 0; margin: 0; background: var(--ground); }
img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
.none { padding: 1rem; color: var(--soft); text-align: center; }
.failed .none, .none.problem { color: var(--alert); }
.text { padding: .75rem .9rem .9rem; }
h2 { margin: 0 0 .25rem; font-size: 1rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 span { color: var(--soft); font-weight: 400; font-variant-numeric: tabular-nums; }
.prompt { margin: 0; font-size: .9rem; overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 5; line-clamp: 5; white-space: pre-line; overflow-wrap: anywhere; }
.made { margin: .4rem 0 0; color: var(--soft); font-size: .8rem; overflow-wrap: anywhere; }
footer { padding-top: 1.5rem; padding-bottom: 3rem; font-size: .9rem; }
@media print {
  @page { margin: 12mm; }
  :root { --ground: #fff; --card: #fff; --line: #bbb; --ink: #000; --soft: #444; --link: #000; --alert: #700; color-scheme: light; }
  body { font-size: 9pt; }
  header, main, footer { padding-left: 0; padding-right: 0; }
  ol { grid-template-columns: repeat(4, 1fr); gap: 4mm; }
  li { break-inside: avoid; content-visibility: visible; }
  a { text-decoration: none; }
}
"""
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{summary}</p>
<p>The same as a table in <a href="index.csv">index.csv</a>, for programs in <a href="index.json">index.json</a>.</p>
</header>
<main>
<ol>
"""
_ITEM = """<li class="{status}" id="item-{number}">
<div class="pictures">{pictures}</div>
<div class="text">
<h2><span>{number}</span> {custom_id}</h2>
<p class="prompt" title="{prompt}">{prompt}</p>
<p class="made">{made}</p>{why}
</div>
</li>
"""
_FOOT = """</ol>
</main>
<footer>
<p>Batch {batch_id}, as it was at {made_at}.</p>
</footer>
</body>
</html>
"""


def write(file: TextIO, batch: Batch, entries: Iterable[Entry], made_at: datetime) -> None:
    """Write the page. Raises OSError."""
    title = batch.name or f"Batch {batch.batch_id}"
    file.write(_HEAD.format(title=escape(title), style=_STYLE, summary=escape(_summary(batch))))
    for entry in entries:
        file.write(_item(entry))
    when = f"{made_at:%Y-%m-%d %H:%M:%S} UTC"
    file.write(_FOOT.format(batch_id=escape(batch.batch_id), made_at=when))


def _summary(batch: Batch) -> str:
    counts = batch.counts
    parts = {
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "still to come": max(0, counts.total - counts.ended),
    }
    return f"{counts.total:,} items: " + ", ".join(f"{count:,} {words}" for words, count in parts.items() if count)


def _item(entry: Entry) -> str:
    first = next((each for each in entry.pictures if each.width and each.height), None)
    size = f"{first.width} × {first.height}" if first else None
    seed = None if entry.seed is None else f"seed {entry.seed}"
    made = " · ".join(part for part in (entry.model, size, seed) if part)
    shown = "".join(_picture(entry, each, n) for n, each in enumerate(entry.pictures, 1))
    why = "" if not entry.why or not entry.pictures else f'<p class="made">{escape(entry.why)}</p>'
    return _ITEM.format(
        status=escape(entry.status),
        number=entry.number,
        pictures=shown or f'<p class="none">{escape(entry.why or entry.status)}</p>',
        custom_id=escape(entry.custom_id or ""),
        prompt=escape(entry.prompt or ""),
        made=escape(made),
        why=why,
    )


def _picture(entry: Entry, picture: SavedPicture, number: int) -> str:
    if picture.file is None:
        return f'<p class="none problem">{escape(picture.problem or "It is still on the server.")}</p>'
    address = escape(quote(picture.file))
    several = f", picture {number}" if len(entry.pictures) > 1 else ""
    size = f' width="{picture.width}" height="{picture.height}"' if picture.width and picture.height else ""
    words = escape((entry.custom_id or f"Item {entry.number}") + several)
    return f'<a href="{address}"><img src="{address}"{size} loading="lazy" decoding="async" alt="{words}"></a>'
