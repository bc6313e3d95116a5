"""A triage from the command line: what comes first, what it leaves, and that a replay comes to the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GOLIVE_"))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=300)


def triage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "pytest", "-m", "triage", *arguments, f"--run-dir={folder}")


def diagnosis(folder: Path) -> dict[str, Any]:
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return dict(report["triage"])


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A night on which the service does not run: its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("night") / "run"
    done = triage(folder, "--env", "sandbox", "--scenario", "service-refuses-connections")
    assert done.returncode == 1, done.stdout + done.stderr
    return folder, done.stdout


def test_answers_are_told_before_the_verdict(night: tuple[Path, str]) -> None:
    """Whom it asks comes first, then a line an answer, then how bad it is."""
    _, printed = night
    marks = ["asking Mistral, our service, Prometheus", " s  our service: GET ", "NO-GO: P", "WHAT IS WRONG", "DO NOW"]
    places = [printed.find(mark) for mark in marks]
    assert -1 not in places, printed
    assert places == sorted(places)


def test_the_actions_are_those_of_the_page_with_the_names_in(night: tuple[Path, str]) -> None:
    """What stands there can be pasted: no name of the sandbox is left in braces."""
    folder, printed = night
    found = diagnosis(folder)
    assert found["diagnosis"] == "service-down"
    assert "kubectl --context sandbox -n chat rollout undo deployment/chat\n" in printed
    assert not [row for row in found["actions"] if "{" in row["command"].replace("{.", "").replace('{"', "")]


def test_a_run_leaves_its_drafts_under_its_manifest(night: tuple[Path, str]) -> None:
    """Each that is promised is there, and a change to one shows."""
    folder, _ = night
    assert all((folder / row["file"]).is_file() for row in diagnosis(folder)["drafts"])
    assert run("-m", "reports", "verify", str(folder)).returncode == 0
    (folder / "drafts" / "slack.md").write_text((folder / "drafts" / "slack.md").read_text("utf-8") + "\n", "utf-8")
    assert "drafts/slack.md is not the file" in run("-m", "reports", "verify", str(folder)).stdout
    assert run("-m", "reports", "build", str(folder)).returncode == 1
    assert run("-m", "reports", "verify", str(folder)).returncode == 0


def test_a_replay_comes_to_the_same(night: tuple[Path, str], tmp_path: Path) -> None:
    """From the evidence alone: the same diagnosis, the same words on the way, the same to do."""
    folder, _ = night
    done = triage(tmp_path / "again", "--replay", str(folder))
    assert done.returncode == 1, done.stdout + done.stderr
    first, again = diagnosis(folder), diagnosis(tmp_path / "again")
    assert {**again, "before": []} == {**first, "before": []}
    assert " s  our service: GET " in done.stdout
    assert (tmp_path / "again" / "drafts" / "status-page.md").is_file()
