"""The watch: all looks and all checks again and again, until the window is over or a blocker fails.

What came of a round goes to rounds.jsonl, a line each, and its evidence to rounds/NNNN/observations; that of the last
one stays where it is, and is what the run judges in the end. So a watch ends like any other run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import runtestprotocol

from fixtures.observation import BREATH, now
from plugins import outcomes
from plugins.opening import unwritten
from plugins.watch_board import Board, readings
from reports.model import Reading, Result, Round, worst
from reports.rounds import NAME as ROUNDS

if TYPE_CHECKING:
    from plugins.catalogue import Catalogue
    from plugins.looking import Looking
    from plugins.opening import Opening

FOLDER = "rounds"


def looks(folder: Path) -> list[Path]:
    """The folders that hold what a run saw, that of its last look first."""
    earlier = sorted((folder / FOLDER).glob("*"), key=lambda place: int(place.name), reverse=True)
    return [folder, *earlier]


def watched(looking: Looking, catalogue: Catalogue, items: Sequence[pytest.Item], tell: Callable[[str], None]) -> str:
    """Watch, as the run was asked to, and tell of each round. A sentence where it did not last, else nothing."""
    opening = looking.opening
    board = Board(tell, opening.intent.watch or 0.0, opening.environment.rollout.interval)
    watching = Watching(looking, _blockers(catalogue, opening), board)
    try:
        watching.rehearse(items)
    except KeyboardInterrupt:
        return f"The watch was stopped by hand after {board.rounds} of {board.planned} looks."
    except OSError as error:
        return f"The watch ended after {board.rounds} of {board.planned} looks: {unwritten(opening.folder, error)}."
    return ""


def _blockers(catalogue: Catalogue, opening: Opening) -> set[str]:
    checks = opening.environment.checks
    promoted = {id_ for id_, row in checks.items() if row.severity == "blocker"}
    return promoted | {id_ for id_, row in catalogue.entries.items() if row.severity == "blocker"}


class Watching:
    """Looks again on a schedule from its first look until the time is over."""

    def __init__(self, looking: Looking, blockers: set[str], board: Board) -> None:
        self._looking = looking
        self._blockers = blockers
        self._board = board

    def rehearse(self, items: Sequence[pytest.Item]) -> None:
        """All rounds; the looks of the last one are those that are there when this returns."""
        began, number = time.monotonic(), 1
        while True:
            found = self._round(number, items)
            self._board.show(found)
            if found.failed or number >= self._board.planned:
                return
            due = began + min(number * self._board.interval, self._board.seconds)
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(BREATH, left))
            self._looking.observer.again(self._looking.opening.folder / FOLDER / f"{number:04}")
            number += 1

    def _round(self, number: int, items: Sequence[pytest.Item]) -> Round:
        at, results = now(), list(_judged(items))
        self._looking.observer.settled()
        folder, traffic = self._looking.opening.folder, self._looking.environment.traffic
        found = _summed(number, at, results, self._blockers, readings(folder, traffic))
        line = json.dumps(self._looking.redacted(asdict(found)), ensure_ascii=False, allow_nan=False)
        with (folder / ROUNDS).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{line}\n")
        return found


def _judged(items: Sequence[pytest.Item]) -> Iterator[Result]:
    """What each check says of the evidence as it is, without telling anybody."""
    for place, item in enumerate(items):
        # What comes next keeps the session's fixtures; alone, an item keeps what it lies in.
        following: Any = items[(place + 1) % len(items)] if len(items) > 1 else item.parent
        for report in runtestprotocol(item, log=False, nextitem=following):
            result = outcomes.attached(report)
            if result is not None:
                yield result


def _summed(
    number: int, at: str, results: Sequence[Result], blockers: set[str], measured: tuple[Reading, ...]
) -> Round:
    statuses = {result.id: worst(row.status for row in results if row.id == result.id) for result in results}
    failed = tuple(id_ for id_, status in statuses.items() if status == "failed" and id_ in blockers)
    says = tuple(f"{result.id}: {result.message}" for result in results if result.id in failed and result.message)
    return Round(number, at, statuses, failed, says, measured)
