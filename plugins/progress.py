"""What is seen while a run is under way: one live line on a terminal, a plain line for each answer elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TextIO

from reports.model import WORST_FIRST, Result, Status
from reports.wording import PLAIN_SIGNS, SIGNS, WORDS

if TYPE_CHECKING:
    from rich.text import Text

Waiting = Callable[[], Sequence[str]]
STYLES: dict[Status, str] = {"failed": "bold red", "unverified": "bold yellow", "passed": "green"}


class Progress(Protocol):
    """Told of each answer as it comes."""

    def answered(self, result: Result) -> None: ...

    def said(self, text: str) -> None:
        """Whole lines that people must see, and that stay."""

    def stop(self) -> None: ...


def progress(stream: TextIO, title: str, total: int, waiting: Waiting, *, worded: bool = False) -> Progress:
    """The one that suits `stream`. `waiting` names the looks that are still under way, longest first; `worded`: each
    answer is told in words as well, so that a log needs no line of ours for it.
    """
    if stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb":
        return Live(stream, title, total, waiting)
    return Lines(stream, silent=worded)


class Lines:
    """A line for each answer, as a log wants it."""

    def __init__(self, stream: TextIO, *, silent: bool = False) -> None:
        self._stream, self._silent = stream, silent
        utf = (getattr(stream, "encoding", None) or "").lower().startswith("utf")
        self._signs = SIGNS if utf else PLAIN_SIGNS

    def answered(self, result: Result) -> None:
        if self._silent:
            return
        name = f"{result.id}[{result.parameter}]" if result.parameter else result.id
        reason = f" ({result.reason})" if result.reason else ""
        self._stream.write(f"{self._signs[result.status]} {name:<28} {WORDS[result.status]}{reason}\n")
        self._stream.flush()

    def said(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def stop(self) -> None:
        """Nothing is left on the screen to take away."""


class Live:
    """How many are answered, how they stand, and what is being waited for."""

    def __init__(self, stream: TextIO, title: str, total: int, waiting: Waiting) -> None:
        from rich.console import Console
        from rich.live import Live as Display

        self._title, self._total, self._waiting = title, total, waiting
        self._answered: dict[str, Status] = {}
        self._started = time.monotonic()
        console = Console(file=stream, highlight=False)
        self._display = Display(console=console, get_renderable=self._line, refresh_per_second=8, transient=True)
        self._display.start()

    def answered(self, result: Result) -> None:
        before = self._answered.get(result.id, result.status)
        self._answered[result.id] = min(before, result.status, key=WORST_FIRST.index)

    def said(self, text: str) -> None:
        from rich.text import Text

        self._display.console.print(Text(text), end="", soft_wrap=True)

    def stop(self) -> None:
        self._display.stop()

    def _line(self) -> Text:
        from rich.text import Text

        line = Text(f"{self._title}  ", no_wrap=True, overflow="ellipsis")
        line.append(f"{len(self._answered)}/{self._total}", "bold")
        for status in WORST_FIRST:
            number = sum(found == status for found in self._answered.values())
            if number:
                line.append(f"  {SIGNS[status]} {number} {WORDS[status]}", STYLES.get(status, ""))
        line.append(f"  {time.monotonic() - self._started:.1f} s", "dim")
        waiting = self._waiting()
        if waiting:
            line.append(f"  waiting for {', '.join(waiting[:3])}", "dim")
        return line
