"""The course of a watch as small charts: a panel for each thing measured, a line for each version, and its bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reports.inert import inert
from reports.model import WORST_FIRST, Reading, Round, Status, Value, worst
from reports.prose import cut
from reports.wording import SIGNS, WORDS, plural

WIDTH, HEIGHT = 480, 190
LEFT, RIGHT, TOP, BASE = 56, 14, 12, 130
SIGNS_AT = 172
PANELS, LINES, ROWS = 4, 3, 120
"""How many are drawn, and how many rows the table has: the newest."""
LONGEST = 60
"""Characters of a name: what a watch writes down has fewer, what somebody else does may not."""
APART = 16.0
"""Units between two signs, so that they can be told apart."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    path: str
    """SVG path data; where a look has no data, it begins anew."""
    beyond: tuple[float, ...]
    """Where a value is off the scale, by its place on the x axis."""
    last: str


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    says: str
    """All that the drawing says, in a sentence or two."""
    lines: tuple[Line, ...]
    bound: float
    """Its place on the y axis."""
    bound_says: str
    ticks: tuple[tuple[float, str], ...]
    times: tuple[tuple[float, str, str], ...]
    signs: tuple[tuple[float, str, Status], ...]
    """How the checks stood: where that changed, and at the end."""


@dataclass(frozen=True, slots=True)
class Row:
    look: int
    at: str
    values: tuple[str, ...]
    stood: str
    status: Status


@dataclass(frozen=True, slots=True)
class Watch:
    panels: tuple[Panel, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int
    """Looks that the table leaves out: the first ones."""
    says: str


def watch(rounds: Sequence[Round]) -> Watch | None:
    """What to show of a watch; None where there was none."""
    if not rounds:
        return None
    names = list(dict.fromkeys(reading.name for found in rounds for reading in found.readings))[: PANELS * LINES]
    kinds = list(dict.fromkeys(_what(name) for name in names))[:PANELS]
    shown = rounds[-ROWS:]
    return Watch(
        panels=tuple(_panel(kind, [name for name in names if _what(name) == kind][:LINES], rounds) for kind in kinds),
        columns=tuple(_short(name) for name in names),
        rows=tuple(_row(found, names) for found in shown),
        left_out=len(rounds) - len(shown),
        says=_says(rounds),
    )


def status(found: Round) -> Status:
    """How a look came out: as its worst check."""
    return worst(found.statuses.values())


def told(value: Value, unit: str) -> str:
    if value is None:
        return "no data"
    if isinstance(value, str):
        return value
    number, sign = (value * 100, "%") if unit == "%" else (value, unit)
    return f"{number:.2f} {sign}" if abs(number) < 1e6 else f"{number:.2e} {sign}"


def _what(name: str) -> str:
    """`errors` of `canary: errors`."""
    return name.partition(": ")[2] or name


def _who(name: str) -> str:
    return _short(name.partition(": ")[0])


def _short(text: str) -> str:
    return cut(" ".join(inert(text).split()), LONGEST)


def _says(rounds: Sequence[Round]) -> str:
    last = rounds[-1]
    ended = f"It ended with {_short(', '.join(last.failed))} failed." if last.failed else ""
    looks = f"{plural(len(rounds), 'look')} from {clock(rounds[0].at)} to {clock(last.at)} UTC."
    return f"{looks} {ended}".strip()


def _panel(what: str, names: list[str], rounds: Sequence[Round]) -> Panel:
    places = _places(rounds)
    courses = {name: [_reading(found, name) for found in rounds] for name in names}
    known = [reading for course in courses.values() for reading in course if reading is not None]
    bound, unit = known[-1].bound, known[-1].unit
    top = 1.08 * max([bound, *(row.value for row in known if isinstance(row.value, float | int))]) or 1.0
    return Panel(
        title=_short(f"{what[:1].upper()}{what[1:]}"),
        says=" ".join(_course(name, course, bound, unit) for name, course in courses.items()),
        lines=tuple(_line(name, course, places, top, unit) for name, course in courses.items()),
        bound=_y(bound, top),
        bound_says=f"at most {told(bound, unit)}",
        ticks=tuple((_y(value, top), told(value, unit)) for value in (0.0, bound) if bound or not value),
        times=_times(rounds),
        signs=tuple(_signs(rounds, places)),
    )


def _reading(found: Round, name: str) -> Reading | None:
    return next((reading for reading in found.readings if reading.name == name), None)


def _line(name: str, course: Sequence[Reading | None], places: list[float], top: float, unit: str) -> Line:
    path, beyond, pen = [], [], "M"
    for x, reading in zip(places, course, strict=True):
        value = reading.value if reading is not None else None
        if value is None:
            pen = "M"
            continue
        if isinstance(value, str):
            beyond.append(x)
        y = TOP if isinstance(value, str) else _y(value, top)
        path.append(f"{pen}{x:.1f} {y:.1f}" + ("h.1" if pen == "M" else ""))  # a single look is a dot
        pen = "L"
    last = course[-1]
    return Line(_who(name), "".join(path), tuple(beyond), told(last.value if last is not None else None, unit))


def _course(name: str, course: Sequence[Reading | None], bound: float, unit: str) -> str:
    """`canary: 0.10 % to 3.20 %, at last 3.20 %, at most 5.00 %; 2 looks without data.`"""
    values = [row.value if row is not None else None for row in course]
    figures = [value for value in values if isinstance(value, float | int)]
    parts = [f"{told(min(figures), unit)} to {told(max(figures), unit)}"] if figures else []
    parts += [f"at last {told(values[-1], unit)}, and at most {told(bound, unit)} may be"]
    for number, what in ((values.count(None), "without data"), (values.count("off scale"), "off the scale")):
        parts += [f"{plural(number, 'look')} {what}"] if number else []
    return f"{_who(name)}: {'; '.join(parts)}."


def _signs(rounds: Sequence[Round], places: list[float]) -> Iterator[tuple[float, str, Status]]:
    before: Status | None = None
    drawn = -APART
    for number, (found, x) in enumerate(zip(rounds, places, strict=True), 1):
        now, last = status(found), number == len(rounds)
        roomy = x - drawn >= APART and (last or places[-1] - x >= APART)
        if last or (now != before and roomy):
            yield x, SIGNS[now], now
            drawn = x
        before = now


def _row(found: Round, names: list[str]) -> Row:
    readings = [_reading(found, name) for name in names]
    values = tuple(told(row.value, row.unit) if row is not None else "no data" for row in readings)
    number = Counter(found.statuses.values())
    stood = ", ".join(f"{number[each]} {WORDS[each]}" for each in WORST_FIRST if number[each]) or "no check answered"
    ended = f" ({_short(', '.join(found.failed))})" if found.failed else ""
    return Row(found.number, clock(found.at), values, f"{stood}{ended}", status(found))


def _places(rounds: Sequence[Round]) -> list[float]:
    """Each look's place on the x axis, by its time; by its number where a time cannot be read, or they go back."""
    moments = [_moment(found.at) for found in rounds]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments) or known != sorted(known) or known[0] == known[-1]:
        known = [float(number) for number in range(len(rounds))]
    whole = known[-1] - known[0] or 1.0
    return [LEFT + (moment - known[0]) / whole * (WIDTH - LEFT - RIGHT) for moment in known]


def _times(rounds: Sequence[Round]) -> tuple[tuple[float, str, str], ...]:
    first = (LEFT, clock(rounds[0].at), "start")
    return (first, (WIDTH - RIGHT, clock(rounds[-1].at), "end")) if len(rounds) > 1 else (first,)


def _moment(at: str) -> float | None:
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError):
        return None


def clock(at: str) -> str:
    try:
        return f"{datetime.fromisoformat(at):%H:%M:%S}"
    except ValueError:
        return cut(inert(at), len("hh:mm:ss"))


def _y(value: float, top: float) -> float:
    return round(BASE - max(0.0, min(1.0, value / top)) * (BASE - TOP), 1)
