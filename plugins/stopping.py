"""Ctrl-C, and SIGTERM by which a CI system cancels a job: a run is stopped in order, however often they come."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _pytest._code import TracebackEntry

AGAIN = 1.0
"""Seconds between two exceptions: the first may be lost, in a callback for instance, where Python only notes it."""
CLEANING = 2.0
"""Seconds after which a clean-up hangs, and a signal leaves it."""


class Stopping:
    """Raises `KeyboardInterrupt` where the run may be left, and only counts where it must not be torn."""

    def __init__(self) -> None:
        self._came = 0
        self._raised = -math.inf
        self._held = False

    def heed(self, stop: Callable[[], None], until: ExitStack) -> None:
        """Handle both signals until this stack is closed. `stop` is called at each, also while it is at it."""

        def came(*_: object) -> None:
            self._came += 1
            stop()  # here, not where the exception arrives: a look may be about to change something
            self._raise(CLEANING)

        if threading.current_thread() is not threading.main_thread():
            return  # where no handler can be set, none is needed: signals are the main thread's
        self._handle(signal.SIGALRM, lambda *_: self._raise(math.inf), until)
        until.callback(self.heard)
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # a background job ignores Ctrl-C until it is told
                self._handle(number, came, until)

    def _handle(self, number: signal.Signals, handler: Callable[..., None], until: ExitStack) -> None:
        before = signal.signal(number, handler)
        until.callback(signal.signal, number, before or signal.SIG_DFL)

    def heard(self) -> None:
        """The exception has arrived: it is not raised again for the signals that came so far."""
        if self._came:  # else the timer is none of ours
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def hold(self) -> None:
        """From here on signals only count."""
        self._held = True
        self.heard()

    def release(self) -> None:
        """From here on signals are raised again."""
        self._held = False

    def again(self) -> bool:
        """Whether more than one came: whoever sent them does not want to wait."""
        return self._came > 1

    def _raise(self, patience: float) -> None:
        """Raise, but later where one was raised just now, or is on its way out for less than `patience` seconds."""
        if self._held:
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN + 0.1)  # until it is heard
        since = time.monotonic() - self._raised
        if since >= AGAIN and (since >= patience or not _on_its_way_out()):
            self._raised = time.monotonic()
            raise KeyboardInterrupt


def _on_its_way_out() -> bool:
    """Whether a `KeyboardInterrupt` is being handled where the signal came in.

    A second one would tear what handles the first: pytest would end with a traceback, and not as interrupted.
    """
    error = sys.exc_info()[1]
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def has_line(entry: TracebackEntry) -> bool:
    """Whether this is a line of a file. A signal may come in where CPython has none, and pytest would count with it."""
    try:
        return entry.lineno >= 0
    except TypeError:
        return False
