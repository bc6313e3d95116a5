"""`pytest -m triage` as somebody on call runs it, at worlds in which little or nothing answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fixtures.sandbox.world import World, started
from tests import warm
from tests.environments import environments

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    code: int
    printed: str
    report: dict[str, Any]

    @property
    def seconds(self) -> float:
        """From the first look to the verdict."""
        first, last = (datetime.fromisoformat(self.report[name]) for name in ("started", "finished"))
        return (last - first).total_seconds()

    def statuses(self) -> dict[str, tuple[str, str | None]]:
        return {row["id"]: (row["status"], row["reason"]) for row in self.report["findings"]}


def _triage(folder: Path, *mutations: Callable[[World], object], options: tuple[str, ...] = ()) -> Outcome:
    world = World()
    for mutate in mutations:
        mutate(world)
    with started(world, folder / "world") as running:
        config = environments(folder / "config", running.settings)
        return _run(folder / "runs" / "night", f"--config={config}", "--env", "bench", *options)


def _run(folder: Path, *options: str) -> Outcome:
    code, printed = warm.run(["-m", "triage", "--run-dir", str(folder), *options], timeout=120)
    return Outcome(code, printed, json.loads((folder / "report.json").read_text()))


def _all(fault: str) -> Callable[[World], None]:
    def mutate(world: World) -> None:
        for peer in world.peers.values():
            peer.fault = fault

    return mutate


def test_every_question_has_its_answer_when_everything_is_down(tmp_path: Path) -> None:
    """Two are answered (nobody is there), two could not be; no cause is made up, and the exit status says NO-GO."""
    found = _triage(tmp_path, _all("down"))
    assert found.statuses() == {
        "TRI-001": ("failed", None),
        "TRI-002": ("failed", None),
        "TRI-003": ("unverified", "unreachable"),
        "TRI-004": ("unverified", "unreachable"),
    }
    assert (found.code, found.report["triage"]["diagnosis"]) == (1, "unknown"), found.printed
    assert "Traceback" not in found.printed


def test_a_night_in_which_everybody_is_silent_is_over_in_time(tmp_path: Path) -> None:
    """Each look costs its deadline and no more, also where the secrets cannot be had to be masked."""
    found = _triage(tmp_path, _all("hang"))
    assert found.report["triage"]["diagnosis"] == "unknown", found.printed
    assert {status for status, _ in found.statuses().values()} <= {"failed", "unverified"}
    assert found.seconds < 12, found.printed  # 6 on a machine that does nothing else


def test_a_replayed_night_has_the_same_diagnosis(tmp_path: Path) -> None:
    """The diagnosis rests on the evidence alone: no network, the same answers, the same path."""
    found = _triage(tmp_path, _all("down"))
    again = _run(tmp_path / "runs" / "again", "--replay", str(tmp_path / "runs" / "night"))
    kept = ("diagnosis", "title", "sure", "severity", "why", "path", "also", "unasked", "changed")
    assert {name: again.report["triage"][name] for name in kept} == {
        name: found.report["triage"][name] for name in kept
    }
    assert again.statuses() == found.statuses()


def test_workers_come_to_the_same_diagnosis(tmp_path: Path) -> None:
    """With -n 2 the looks are made by other processes, and the evidence is the same."""
    found = _triage(tmp_path, _all("down"), options=("-n", "2"))
    assert found.report["triage"]["diagnosis"] == "unknown", found.printed
    assert "your own connection" in found.report["triage"]["title"]
