"""A result as one self-contained HTML page with plots, tables and explanations; light and dark."""

from __future__ import annotations

from html import escape

from bench.figures import Spread, formatted
from bench.plots import PROCESSES, cost_plot, ratio_plot
from bench.results import Measure, Result, Row

HUES = (212, 28, 140, 350, 265, 60, 28, 320, 212, 28, 265, 140, 140, 0)

ABOUT = (
    "Only ratios can be compared between machines or days: service and floor, a minimal program for the same purpose, were "
    "measured alternately, and the ratio is the median of the pairs. A line shows the spread of the repeats, a bar across "
    "it the budget. Times are wall-clock times; CPU is the steadier figure."
)

STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1f; --soft: #5d636b; --line: #d9dce1; --paper: #fff; --good: #15803d;
  --bad: #c2410c; --plain: #3b6fb5; --light: 52%; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa1ab; --line: #363b43; --paper: #15171a;
  --good: #4ade80; --bad: #fb923c; --plain: #7aa9e6; --light: 60%; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 960px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } p { max-width: 75ch; }
.soft, figcaption { color: var(--soft); font-size: .85rem; }
figure { margin: 1rem 0 .25rem; overflow-x: auto; } svg { width: 100%; min-width: 640px; height: auto; }
svg text { font-size: 12px; fill: var(--ink); } .label { text-anchor: end; } .tick { text-anchor: middle; fill: var(--soft); }
.figure { text-anchor: end; font-variant-numeric: tabular-nums; } svg .total, svg .tick { fill: var(--soft); }
.grid { stroke: var(--line); } .floor { stroke: var(--soft); stroke-dasharray: 3 3; }
.budget { stroke: var(--ink); stroke-width: 2; } .spread { stroke-width: 3; opacity: .45; }
line.held { stroke: var(--good); } line.beyond { stroke: var(--bad); } line.plain { stroke: var(--plain); }
circle.held { fill: var(--good); } circle.beyond { fill: var(--bad); } circle.plain { fill: var(--plain); }
svg text.held { fill: var(--good); } svg text.beyond { fill: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; } thead th { color: var(--soft); font-weight: 500; }
td.held { color: var(--good); } td.beyond { color: var(--bad); } .scroll { overflow-x: auto; }
.legend span { margin-right: 1rem; font-size: .85rem; white-space: nowrap; }
.legend i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: 2px; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--soft); }
"""


def html(result: Result) -> str:
    """The whole page."""
    machine = result.machine
    about = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memoryGiB']} GiB, {machine['system']}, "
        f"Python {machine['python']}; {machine['at']}; load before it {machine['loadBefore']}"
    )
    kind = " A quick run: too short to be quoted." if result.settings["quick"] else ""
    parts = [
        f"<h1>Imagefleet, measured</h1><p>{escape(about)}.{kind}</p>",
        f"<p>{ABOUT}</p>",
        _summary(result),
        *map(_section, result.measures),
        _packages(result),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Imagefleet, measured</title>'
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}<style>{STYLE}{_colours()}</style></head><body>{"".join(parts)}</body></html>\n'


def _summary(result: Result) -> str:
    """Every ratio that has a budget, in one plot."""
    rows = [row for measure in result.measures for row in measure.rows if row.held is not None]
    named = [_with_name(measure, row) for measure in result.measures for row in measure.rows if row.held is not None]
    held = sum(bool(row.held) for row in rows)
    return f"<h2>What is to be held: {held} of {len(rows)}</h2>{ratio_plot(named)}" if rows else ""


def _with_name(measure: Measure, row: Row) -> Row:
    return Row(f"{measure.name}: {row.label}", row.unit, row.subject, row.floor, row.budget, row.more_is_better)


def _section(measure: Measure) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in measure.notes)
    return (
        f'<h2 id="{measure.name}">{escape(measure.title)}</h2><p>{escape(measure.explanation)}</p>{notes}'
        f"{ratio_plot(measure.rows)}{cost_plot(measure.bars, measure.bars_unit)}{_table(measure)}"
        f'<p class="soft">Took {measure.seconds:.0f} s.</p>'
    )


def _table(measure: Measure) -> str:
    head = "".join(
        f"<th>{each}</th>" for each in ("", "unit", "measured", "spread", "floor", "ratio", "spread", "budget")
    )
    rows = "".join(map(_table_row, measure.rows))
    table = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<details open><summary>All figures</summary>{table}</details>"


def _table_row(row: Row) -> str:
    ratio, floor = row.ratio, row.floor_spread
    kind = {None: "", True: "held", False: "beyond"}[row.held]
    cells = [
        escape(row.unit),
        formatted(row.spread.median),
        _ends(row.spread),
        "" if floor is None else formatted(floor.median),
        "" if ratio is None else f"{ratio.median:.2f} ×",
        "" if ratio is None else _ends(ratio),
        "" if row.budget is None else f"≤ {row.budget:g} ×",
    ]
    cells_html = "".join(f'<td class="{kind if number == 4 else ""}">{cell}</td>' for number, cell in enumerate(cells))
    return f"<tr><td>{escape(row.label)}</td>{cells_html}</tr>"


def _ends(spread: Spread) -> str:
    return f"{formatted(spread.low)} – {formatted(spread.high)}"


def _packages(result: Result) -> str:
    each = ", ".join(f"{name} {version}" for name, version in result.machine["packages"].items())
    return f'<p class="soft">{escape(each)}</p>'


def _colours() -> str:
    cells_html = []
    for number, hue in enumerate((*HUES[: len(PROCESSES)], 180)):
        saturation = "0%" if hue == 0 else "55%"
        cells_html.append(
            f".p{number} {{ fill: hsl({hue} {saturation} var(--light)); background: hsl({hue} {saturation} var(--light)) }}"
        )
    return "\n".join(cells_html)
