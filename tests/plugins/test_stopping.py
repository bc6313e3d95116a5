"""Signals come at any moment: which of them raise, and which only count."""

from __future__ import annotations

import signal
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from _pytest._code import Traceback

from plugins import stopping
from plugins.stopping import Stopping, has_line


@pytest.fixture
def stops() -> list[int]:
    """How often what is under way was told to stop."""
    return []


@pytest.fixture
def heeded(stops: list[int]) -> Iterator[Stopping]:
    """In this process, until the test is over."""
    run = Stopping()
    with ExitStack() as stack:
        run.heed(lambda: stops.append(1), stack)
        yield run


def _sent(number: signal.Signals = signal.SIGINT) -> bool:
    """Whether it raised here."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        return True
    return False


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception may follow the other; none comes by itself."""
    monkeypatch.setattr(stopping, "AGAIN", 0.0)
    monkeypatch.setattr(signal, "setitimer", lambda *_: None)


@pytest.fixture
def much_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception follows the other no sooner than in a minute."""
    monkeypatch.setattr(stopping, "AGAIN", 60.0)


@pytest.mark.usefixtures("at_once")
def test_each_signal_stops_and_is_raised(heeded: Stopping, stops: list[int]) -> None:
    """Where one was caught on its way, by a watch or by a check, the next must end the run."""
    assert (_sent(), heeded.again()) == (True, False)
    assert (_sent(signal.SIGTERM), heeded.again()) == (True, True)
    assert len(stops) == 2


@pytest.mark.usefixtures("much_later")
def test_signals_at_once_are_raised_once(heeded: Stopping, stops: list[int]) -> None:
    assert [_sent(), _sent(signal.SIGTERM), _sent()] == [True, False, False]
    assert (heeded.again(), len(stops)) == (True, 3)


def test_an_exception_that_is_lost_comes_again(
    heeded: Stopping, stops: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python only notes what a callback raises: the run would go on as if nobody had stopped it."""
    noted: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: noted.append(unraisable.exc_type))
    thing = threading.Event()
    watcher = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the point is where it is raised
        del thing
        assert noted == [KeyboardInterrupt]
        time.sleep(30)
    assert (watcher(), heeded.again(), len(stops)) == (None, False, 1)


@pytest.mark.usefixtures("much_later")
def test_what_has_arrived_does_not_come_again(heeded: Stopping) -> None:
    assert _sent()
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    heeded.heard()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_one_that_comes_too_soon_comes_later(heeded: Stopping) -> None:
    """A watch was stopped, and at once the run as well."""
    assert _sent()
    heeded.heard()
    assert not _sent()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(30)


def test_a_timer_of_somebody_else_is_left_alone(heeded: Stopping, stops: list[int]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 600.0)
    try:
        heeded.hold()
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    assert stops == []


@pytest.mark.usefixtures("at_once")
def test_what_handles_one_is_not_torn_by_the_next(heeded: Stopping, stops: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:  # noqa: PT012 - seen from inside as well
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            assert not _sent()
            try:
                raise LookupError
            except LookupError:
                assert not _sent(signal.SIGTERM)
                assert not _sent(signal.SIGALRM)
    assert caught.value.__context__ is None
    assert (heeded.again(), len(stops)) == (True, 3)
    assert _sent()


@pytest.mark.usefixtures("heeded", "at_once")
def test_a_clean_up_that_hangs_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a person or by what cancels the run; it is not left for lasting."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        assert not _sent()
        monkeypatch.setattr(stopping, "CLEANING", 0.0)
        assert not _sent(signal.SIGALRM)
        assert _sent()


@pytest.mark.usefixtures("at_once")
def test_signals_only_count_where_the_run_must_not_be_torn(heeded: Stopping, stops: list[int]) -> None:
    heeded.hold()
    assert [_sent(), _sent()] == [False, False]
    assert (heeded.again(), len(stops)) == (True, 2)
    heeded.release()
    assert _sent()


def test_what_was_there_before_is_there_after() -> None:
    """A background job ignores Ctrl-C, and goes on ignoring it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with ExitStack() as stack:
            Stopping().heed(lambda: None, stack)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _enclosing() -> Callable[[], types.FrameType]:
    free = sys

    def frame() -> types.FrameType:  # whose first instruction fetches `free`, and belongs to no line
        return free._getframe()

    return frame


def test_a_place_without_a_line_is_left_out() -> None:
    frame = _enclosing()()
    nowhere = types.TracebackType(None, frame, 0, -1)
    assert str(nowhere.tb_lineno) == "None"  # which its type does not say
    found = Traceback(types.TracebackType(nowhere, frame, 0, 7))
    assert [entry.lineno for entry in found.filter(has_line)] == [6]
