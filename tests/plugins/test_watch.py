"""A step that is watched: looked at again and again, ended by a blocker, by its time or by hand."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.watch_board import Board
from reports.model import Reading, Round, Value
from reports.rounds import measured
from tests.plugins.conftest import ROOT, Suite

CHECKS = '''
from plugins.catalogue import check


@check("ROL-001", severity="blocker", remedy="Fix the first.")
def test_first(first):
    """The first thing holds."""
    assert first.offenders() == []


@check("ROL-002", severity="advisory", remedy="Fix the third.")
def test_third(third):
    """The third thing holds."""
    assert third.offenders() == []
'''
WATCH = ("-m", "rollout", "--env", "staging", "--step", "10")


@pytest.fixture
def canary(suite: Suite) -> Suite:
    suite.write("checks/rollout/things.py", CHECKS)
    suite.catalogue()
    return suite


def _rounds(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]


def _looks(suite: Suite, name: str) -> int:
    return (suite.path / "looks.log").read_text().split().count(name)


def test_a_watch_looks_again_until_its_time_is_over(canary: Suite) -> None:
    """At the start, each interval after, and at the end; the last look is the one that is judged."""
    done = canary.run(*WATCH, "--watch", "2s", GOLIVE_ROLLOUT__INTERVAL="1")
    assert done.code == 0, done.printed
    assert [row["statuses"] for row in _rounds(done.folder)] == [{"ROL-001": "passed", "ROL-002": "passed"}] * 3
    assert _looks(canary, "first") == 3
    assert "look 3 of 3  ✓ 2 passed" in done.printed
    assert (done.folder / "rounds" / "0001" / "observations" / "first.json").exists()
    assert (done.folder / "rounds" / "0002" / "observations" / "first.json").exists()
    assert not (done.folder / "rounds" / "0003").exists()
    assert (done.folder / "observations" / "first.json").exists()
    assert "Asked for: step 10 %, watched for 2 s." in done.report["notes"]


def test_a_blocker_that_fails_ends_the_watch(canary: Suite) -> None:
    """At once: a bad canary must not go on for the rest of its window."""
    canary.write("world.txt", "first bad x\nthird ok\n")
    done = canary.run(*WATCH, "--watch", "1h", GOLIVE_ROLLOUT__INTERVAL="60")
    assert (done.code, done.report["verdict"]) == (1, "NO-GO")
    assert len(_rounds(done.folder)) == 1
    assert "The watch ends here: ROL-001 failed." in done.printed
    assert "first: probe: found x" in done.printed.replace("\n", " ")


def test_an_advisory_that_fails_does_not_end_it(canary: Suite) -> None:
    """Nor does what could not be seen: it may be seen the next time."""
    canary.write("world.txt", "first denied\nthird bad x\n")
    done = canary.run(*WATCH, "--watch", "1s", GOLIVE_ROLLOUT__INTERVAL="1")
    assert done.code == 10
    assert [row["statuses"] for row in _rounds(done.folder)] == [{"ROL-001": "unverified", "ROL-002": "failed"}] * 2


def test_what_goes_wrong_meanwhile_is_found(canary: Suite) -> None:
    """The verdict is that of the last look, not of the first."""
    process, folder = canary.start(*WATCH, "--watch", "1h", GOLIVE_ROLLOUT__INTERVAL="0.5")
    _wait_for(folder / "rounds.jsonl")
    canary.write("world.txt", "first bad x\nthird ok\n")
    process.communicate(timeout=60)
    rounds = _rounds(folder)
    assert [row["statuses"]["ROL-001"] for row in rounds] == ["passed"] * (len(rounds) - 1) + ["failed"]
    assert json.loads((folder / "report.json").read_text())["verdict"] == "NO-GO"


def test_a_watch_that_is_stopped_by_hand_is_partial(canary: Suite) -> None:
    """Its findings so far are there, and they are no GO: the window was not over."""
    process, folder = canary.start(*WATCH, "--watch", "1h", GOLIVE_ROLLOUT__INTERVAL="30")
    assert process.stdout is not None
    assert any("look 1 of 121" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    report = json.loads((folder / "report.json").read_text())
    assert (process.returncode, report["verdict"]) == (10, "PARTIAL"), printed
    assert {row["id"]: row["status"] for row in report["findings"]} == {"ROL-001": "passed", "ROL-002": "passed"}
    assert "The watch was stopped by hand after 1 of 121 looks." in report["notes"]


def test_a_watch_whose_rounds_cannot_be_written_is_partial(canary: Suite) -> None:
    """It ends there, and says why; what was found so far stands."""
    canary.write(
        "blocked.py",
        """
        from pathlib import Path

        def pytest_collection_finish(session):
            (Path(session.config.option.run_dir) / "rounds.jsonl").mkdir()
        """,
    )
    done = canary.run(*WATCH, "--watch", "1h", "-p", "blocked")
    assert (done.code, done.report["verdict"]) == (10, "PARTIAL"), done.printed
    says = f"The watch ended after 0 of 61 looks: {done.folder}: the run's folder cannot be written: Is a directory."
    assert says in done.report["notes"]
    assert set(done.statuses.values()) == {"passed"}


def test_the_replay_of_a_watch_judges_its_last_look(canary: Suite) -> None:
    """Nothing is waited for, and nothing is looked at."""
    first = canary.run(*WATCH, "--watch", "1s", GOLIVE_ROLLOUT__INTERVAL="1")
    (canary.path / "looks.log").unlink()
    second = canary.run("-m", "rollout", "--replay", str(first.folder))
    assert (second.code, second.statuses) == (0, first.statuses)
    assert not (canary.path / "looks.log").exists()
    assert not (second.folder / "rounds.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "rollout", "--watch", "soon"), "--watch soon: expected a time up to a day"),
        (("-m", "rollout", "--watch", "0"), "--watch 0: expected a time up to a day"),
        (("-m", "rollout", "--watch", "25h"), "--watch 25h: expected a time up to a day"),
        (("-m", "rollout", "--watch", "1m", "-n", "2"), "--watch and -n or --tx: one process watches"),
        (
            ("-m", "rollout", "--watch", "1m", "--dist", "load", "--tx", "2*popen"),
            "--watch and -n or --tx: one process watches",
        ),
        (("-m", "preflight", "--watch", "1m"), "--watch 1m: it goes with -m rollout, found preflight"),
        (("-m", "rollout", "--step", "20"), "--step 20: expected one of 10, 50, 100"),
        (("-m", "rollout", "--step", "x"), "--step x: expected one of 10, 50, 100"),
        (("-m", "preflight", "--step", "10"), "--step 10: it goes with -m rollout, found preflight"),
        (("-m", "rollout", "--to-revision", "3"), "--to-revision 3: it goes with -m rollback, found rollout"),
        (("-m", "rollback", "--to-revision", "-3"), "--to-revision -3: expected a number"),
        (("-m", "rollback", "--notify"), "--notify: telling people is a change"),
        (("-m", "preflight", "--notify"), "--notify: preflight tells nobody"),
    ],
)
def test_what_cannot_be_meant_is_refused(canary: Suite, arguments: tuple[str, ...], says: str) -> None:
    """With the option, what was found and what it takes; nothing is looked at."""
    done = canary.run("--env", "staging", *arguments)
    assert done.code == 4
    assert says in " ".join(done.printed.split())
    assert not (canary.path / "looks.log").exists()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not file.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert file.exists()


def test_a_board_draws_what_was_measured_against_its_bound() -> None:
    """A bar a look, the tallest for the bound and all above; a look without data is no bar, and no nought."""
    told: list[str] = []
    board = Board(told.append, 120, 60)
    rates: list[Value] = [0.0, 0.025, None, 0.05, "off scale"]
    for number, rate in enumerate(rates, 1):
        board.show(
            Round(
                number,
                "2026-11-22T22:00:00Z",
                {"ROL-003": "passed", "ROL-004": "unverified"},
                (),
                (),
                (Reading("canary: errors", rate, 0.05, "%"),),
            )
        )
    assert told[0].splitlines()[0] == "22:00:00  look 1 of 3  ? 1 unverified  ✓ 1 passed"
    assert [" ".join(line.splitlines()[1].split()) for line in told] == [
        "canary: errors 0.00 % of at most 5.00 % ▁",
        "canary: errors 2.50 % of at most 5.00 % ▁▄",
        "canary: errors no data of at most 5.00 % ▁▄·",
        "canary: errors 5.00 % of at most 5.00 % ▁▄·█",
        "canary: errors off scale of at most 5.00 % ▁▄·██",
    ]
    assert [measured(value) for value in (0.0, math.nan, None, math.inf)] == [0.0, None, None, "off scale"]


def test_a_watch_on_the_sandbox_shows_the_canary(tmp_path: Path) -> None:
    """Its error rate and latency, and those of the stable version, look by look."""
    command = [sys.executable, "-m", "pytest", "-m", "rollout", "--env", "sandbox", "--step", "10", "--watch", "2s"]
    variables = {**os.environ, "GOLIVE_ROLLOUT__INTERVAL": "2"}
    done = subprocess.run(
        [*command, f"--run-dir={tmp_path / 'run'}"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("look ") == 2
    for name in ("canary: errors", "canary: latency (p99)", "stable: errors", "stable: latency (p99)"):
        assert done.stdout.count(name) == 2, done.stdout
    first, _ = _rounds(tmp_path / "run")
    assert all(reading["value"] is not None for reading in first["readings"])
