"""Plots as SVG text: ratios as dots with their spread on a line, and what an operation costs as stacked bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bench.figures import Spread, formatted
from bench.results import Bar, Row

WIDTH, LABEL, LINE, TOP = 920, 420, 26, 30
MOST_RATIO = 1000.0
# The same process has the same colour everywhere.
PROCESSES = (
    "web",
    "dispatch",
    "download",
    "redis",
    "postgresql",
    "beat",
    "worker",
    "sending",
    "submission",
    "hand-off and download",
    "report",
    "picture",
    "Pillow",
    "load generator",
)


def ratio_plot(rows: Sequence[Row]) -> str:
    """Each ratio to its floor, on a logarithmic scale; a bar across shows the budget. "" where there are no floors."""
    compared = [(row, row.ratio) for row in rows if row.ratio is not None]
    if not compared:
        return ""
    values = [x for row, ratio in compared for x in (ratio.low, ratio.high, row.budget or 1.0)]
    low = math.log10(max(min([*values, 0.9]), 0.01))
    high = math.log10(min(max([*values, 3.0]) * 1.1, MOST_RATIO))

    def at(value: float) -> float:
        share = (math.log10(min(max(value, 10**low), 10**high)) - low) / (high - low)
        return LABEL + share * (WIDTH - LABEL - 70)

    parts = [_grid(at, low, high, TOP + LINE * len(compared))]
    for number, (row, ratio) in enumerate(compared):
        parts.append(_ratio_line(row, ratio, TOP + LINE * number + LINE / 2, at))
    return _svg(parts, TOP + LINE * len(compared) + 8, "times the floor, with the spread of the repeats")


def _ratio_line(row: Row, ratio: Spread, y: float, at: object) -> str:
    assert callable(at)
    kind = {None: "plain", True: "held", False: "beyond"}[row.held]
    budget = "" if row.budget is None else _line(at(row.budget), y - 9, at(row.budget), y + 9, "budget")
    spread = _line(at(ratio.low), y, at(ratio.high), y, f"spread {kind}")
    dot = f'<circle class="{kind}" cx="{at(ratio.median):.1f}" cy="{y:.1f}" r="5"/>'
    figure = _text(WIDTH - 4, y + 4, f"{ratio.median:.2f} ×", f"figure {kind}")
    return f"<g><title>{escape(row.label)}: {ratio.median:.2f} × ({ratio.low:.2f} to {ratio.high:.2f})</title>" + (
        _text(LABEL - 12, y + 4, row.label, "label") + budget + spread + dot + figure + "</g>"
    )


def _grid(at: object, low: float, high: float, bottom: float) -> str:
    assert callable(at)
    ticks = [m * 10**e for e in range(-2, 4) for m in (1, 2, 5) if low <= math.log10(m * 10**e) <= high]
    if len(ticks) > 8:
        ticks = [tick for tick in ticks if math.log10(tick) % 1 < 1e-9 or tick == 1]
    lines = [_line(at(tick), TOP - 6, at(tick), bottom, "floor" if tick == 1 else "grid") for tick in ticks]
    return "".join(lines + [_text(at(tick), TOP - 12, f"{tick:g} ×", "tick") for tick in ticks])


def cost_plot(bars: Sequence[Bar], unit: str) -> str:
    """What an operation costs in each process, one bar an operation. "" where nothing was counted."""
    if not bars:
        return ""
    longest = max(sum(bar.parts.values()) for bar in bars) or 1.0
    scale = (WIDTH - LABEL - 90) / longest
    parts = []
    for number, bar in enumerate(bars):
        y, x = TOP - 10 + LINE * number, float(LABEL)
        parts.append(_text(LABEL - 12, y + 17, bar.label, "label"))
        for name in sorted(bar.parts, key=_order):
            wide = bar.parts[name] * scale
            tooltip = f"<title>{escape(bar.label)}, {escape(name)}: {formatted(bar.parts[name])}</title>"
            parts.append(
                f'<rect class="{_class(name)}" x="{x:.1f}" y="{y + 4}" width="{wide:.1f}" height="17">{tooltip}</rect>'
            )
            x += wide
        parts.append(_text(x + 6, y + 17, formatted(sum(bar.parts.values())), "total"))
    return _svg(parts, TOP + LINE * len(bars), unit) + _legend(bars)


def _legend(bars: Sequence[Bar]) -> str:
    names = sorted({name for bar in bars for name in bar.parts}, key=_order)
    each = "".join(f'<span><i class="{_class(name)}"></i>{escape(name)}</span>' for name in names)
    return f'<p class="legend">{each}</p>'


def _order(name: str) -> int:
    return PROCESSES.index(name) if name in PROCESSES else len(PROCESSES)


def _class(name: str) -> str:
    return f"process p{_order(name)}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _svg(parts: Sequence[str], height: float, what: str) -> str:
    view = f'viewBox="0 0 {WIDTH} {height:.0f}"'
    return f'<figure><svg role="img" aria-label="{escape(what)}" {view}>{"".join(parts)}</svg><figcaption>{escape(what)}</figcaption></figure>'
