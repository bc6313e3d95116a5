"""What a watch shows of each round: how the checks stand, and how what was measured moves against its bounds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fixtures.observation import OBSERVATIONS, CannotObserve, decoded, read
from reports.model import WORST_FIRST, Reading, Round, Value
from reports.rounds import measured
from reports.watch_chart import clock, told
from reports.wording import SIGNS, WORDS

if TYPE_CHECKING:
    from fixtures.settings import Traffic
    from fixtures.traffic import Counts

BARS = "▁▂▃▄▅▆▇█"
MISSING = "·"
SHOWN = 30
"""Rounds that a chart shows, the newest last."""


class Board:
    """Tells of each round in a line or two, and of what ended the watch. Times are in seconds."""

    def __init__(self, tell: Callable[[str], None], seconds: float, interval: float) -> None:
        self._tell = tell
        self._history: dict[str, list[Value]] = {}
        self.interval = min(interval, seconds)
        self.seconds = seconds
        self.planned = 1 + math.ceil(seconds / self.interval)
        """Looks, the first and the last included."""
        self.rounds = 0

    def show(self, found: Round) -> None:
        self.rounds = found.number
        self._tell("".join(f"{line}\n" for line in self._lines(found)))

    def _lines(self, found: Round) -> list[str]:
        counts = Counter(found.statuses.values())
        stand = "  ".join(
            f"{SIGNS[status]} {counts[status]} {WORDS[status]}" for status in WORST_FIRST if counts[status]
        )
        lines = [f"{clock(found.at)}  look {found.number} of {self.planned}  {stand or 'no check answered'}"]
        lines += [self._charted(reading) for reading in found.readings]
        if found.failed:
            lines += [f"  {said}" for said in found.says]
            lines.append(f"The watch ends here: {', '.join(found.failed)} failed.")
        return lines

    def _charted(self, reading: Reading) -> str:
        history = self._history.setdefault(reading.name, [])
        history.append(reading.value)
        value, bound = told(reading.value, reading.unit), told(reading.bound, reading.unit)
        return f"  {reading.name:<22} {value:>9} of at most {bound:<8} {chart(history, reading.bound)}"


def chart(values: list[Value], bound: float) -> str:
    """A bar for each of the newest values: the tallest stands for the bound and all above it."""
    return "".join(_bar(value, bound) for value in values[-SHOWN:])


def _bar(value: Value, bound: float) -> str:
    if value is None:
        return MISSING
    share = value / bound if isinstance(value, float | int) and bound > 0 else math.inf
    return BARS[max(0, min(len(BARS) - 1, math.ceil(share * len(BARS)) - 1 if math.isfinite(share) else len(BARS) - 1))]


def readings(folder: Path, traffic: Traffic) -> tuple[Reading, ...]:
    """What the newest looks of this run measured of both versions; nothing where they did not look at them."""
    file = folder / "observations" / "canary_traffic.json"
    if not file.exists():
        return ()
    try:
        seen = decoded(OBSERVATIONS["canary_traffic"], read(file).value)
    except CannotObserve:
        seen = None
    sides = {"canary": seen and seen.judged, "stable": seen and seen.stable}
    return tuple(
        reading
        for side, counts in sides.items()
        for reading in _measured(side, counts, traffic)
        if counts is not None or side == "canary"
    )


def _measured(side: str, counts: Counts | None, traffic: Traffic) -> Iterator[Reading]:
    rate, slowest = (counts.error_rate, counts.quantile(0.99)) if counts is not None else (None, None)
    yield Reading(f"{side}: errors", measured(rate), traffic.max_error_rate, "%")
    yield Reading(f"{side}: latency (p99)", measured(slowest), traffic.max_p99, "s")
