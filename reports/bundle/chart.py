"""A small chart of something over time, as SVG that needs no script and no font of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from reports.inert import inert

WIDTH, HEIGHT = 640, 206
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 28, 56
KEY = 190
"""Width of one entry of the legend."""
COURSES = 6
"""Courses that are drawn, those that rise highest; the table beside the chart has all."""
LINES = (
    ("#1f5fbf", ""),
    ("#c2410c", "6 3"),
    ("#15803d", "2 2"),
    ("#7e22ce", "8 2 2 2"),
    ("#0e7490", "4 4"),
    ("#555", "1 3"),
)
"""Colour and dashes: told apart without colours too."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """Courses between two moments (seconds since 1970). Values may be NaN, moments may be missing: a gap."""

    title: str
    unit: str
    """"%" for shares from 0 to 1; else what stands behind a number."""
    bound: float | None
    start: float
    end: float
    step: float
    courses: Mapping[str, Points]


def svg(chart: Chart) -> str:
    """The chart with its title, its bound, its highest value and a legend."""
    drawn = sorted(chart.courses.items(), key=lambda row: -_highest(row[1]))[:COURSES]
    top = max([chart.bound or 0.0, *(_highest(points) for _, points in drawn)]) or 1.0
    body = "".join((*_frame(chart, top), *_bound(chart, top), *_curves(chart, drawn, top), *_legend(chart, drawn)))
    label = escape(inert(chart.title, 200))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{label}" font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="bold">{label}</text>{body}</svg>\n'
    )


def _frame(chart: Chart, top: float) -> Iterator[str]:
    base = HEIGHT - BOTTOM
    yield f'<path d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}" fill="none" stroke="#888"/>'
    for value in (0.0, top / 2, top):
        yield f'<text x="{LEFT - 6}" y="{_y(value, top) + 4:.1f}" text-anchor="end">{_told(value, chart.unit)}</text>'
    for at, anchor in ((chart.start, "start"), ((chart.start + chart.end) / 2, "middle"), (chart.end, "end")):
        moment = f"{datetime.fromtimestamp(at, UTC):%H:%M}"
        yield f'<text x="{_x(at, chart):.1f}" y="{base + 14}" text-anchor="{anchor}">{moment}</text>'


def _bound(chart: Chart, top: float) -> Iterator[str]:
    if chart.bound is not None:
        y, said = _y(chart.bound, top), _told(chart.bound, chart.unit)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#b91c1c" stroke-dasharray="3 3"/>'
        yield f'<text x="{WIDTH - RIGHT}" y="{y - 3:.1f}" text-anchor="end" fill="#b91c1c">at most {said}</text>'


def _curves(chart: Chart, drawn: Sequence[tuple[str, Points]], top: float) -> Iterator[str]:
    for (_, points), (colour, dashes) in zip(drawn, LINES, strict=False):
        path = " ".join(_path(chart, points, top))
        if path:
            yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dashes}"/>'


def _path(chart: Chart, points: Points, top: float) -> Iterator[str]:
    """A line from point to point; where one is missing, it begins anew."""
    before: tuple[float, float] | None = None
    for at, value in points:
        there = math.isfinite(value)
        if there:
            joined = before is not None and at - before[0] < 1.5 * chart.step
            yield f"{'L' if joined else 'M'}{_x(at, chart):.1f} {_y(value, top):.1f}" + ("" if joined else "h.01")
        before = (at, value) if there else None


def _legend(chart: Chart, drawn: Sequence[tuple[str, Points]]) -> Iterator[str]:
    places = [(LEFT + column * KEY, HEIGHT - 24 + row * 16) for row in range(2) for column in range(3)]
    for (x, y), (name, points), (colour, dashes) in zip(places, drawn, LINES, strict=False):
        highest = _highest(points)
        said = "no value" if math.isinf(highest) else f"highest {_told(highest, chart.unit)}"
        label = escape(f"{inert(name, 20).split(' [...')[0] or '(none)'}: {said}")
        yield f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        yield f'<text x="{x + 22}" y="{y}">{label}</text>'
    if left := len(chart.courses) - len(drawn):
        yield f'<text x="{WIDTH - RIGHT}" y="16" text-anchor="end">{left} more in the table</text>'


def _highest(points: Points) -> float:
    """The highest value; minus infinity where there is none."""
    return max((value for _, value in points if math.isfinite(value)), default=-math.inf)


def _x(at: float, chart: Chart) -> float:
    whole = chart.end - chart.start
    return LEFT + (at - chart.start) / whole * (WIDTH - LEFT - RIGHT) if whole > 0 else LEFT


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - max(0.0, min(1.0, value / top)) * (HEIGHT - BOTTOM - TOP)


def _told(value: float, unit: str) -> str:
    return f"{value * 100:.3g} %" if unit == "%" else f"{value:.3g} {unit}".strip()


def table(chart: Chart) -> str:
    """The values as CSV: a row for each moment (RFC 3339, UTC), a column for each course; empty: there was none."""
    names = list(chart.courses)
    values = [dict(chart.courses[name]) for name in names]
    moments = sorted({at for found in values for at in found})
    rows = [",".join(["time", *(_cell(name) for name in names)])]
    for at in moments:
        shown = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        rows.append(",".join([shown, *(_number(found.get(at)) for found in values)]))
    return "".join(f"{row}\n" for row in rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.9g}"


def _cell(text: str) -> str:
    """A heading that a spreadsheet takes for text, whatever it says."""
    shown = " ".join(inert(text, 100).split()).replace('"', '""')
    return f'"\'{shown}"' if shown[:1] in ("=", "+", "-", "@") else f'"{shown}"'
