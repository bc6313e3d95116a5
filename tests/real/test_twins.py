"""The suite against real services over real sockets: two good ones, and their bad twins, each found out by its flaw."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real import twins
from tests.real.twins import GOOD, ROOT, TWINS, Twin

ROTATION = "checks/resilience/rotation.py"
"""The file of one check, where one is enough."""
LONGEST = 300.0
"""Seconds for one run, on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the suite came to: the findings by id, and all that it printed."""

    findings: dict[str, dict[str, Any]]
    output: str

    def ids(self, *statuses: str) -> list[str]:
        """The checks of these statuses."""
        return sorted(name for name, finding in self.findings.items() if finding["status"] in statuses)

    def told(self, name: str) -> str:
        """Everything that a finding says."""
        finding = self.findings[name]
        return json.dumps([finding["message"], finding["offenders"], finding["parameters"]], ensure_ascii=False)


def suite(config: Path, *checks: str) -> Run:
    """Run the resilience checks, or only those in this file."""
    run_dir = config.with_name(f"{config.name}-run")
    command = [sys.executable, "-m", "pytest", *checks, "-m", "resilience", "--env", "drill", f"--config={config}"]
    done = subprocess.run(
        [*command, "--allow-changes", "--run-dir", str(run_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    report = json.loads((run_dir / "report.json").read_text())
    findings = {finding["id"]: finding for finding in report["findings"] if finding["status"] != "not_run"}
    return Run(findings, done.stdout + done.stderr)


@pytest.mark.real
@pytest.mark.parametrize("language", GOOD)
def test_a_good_service_passes(tmp_path: Path, language: twins.Language) -> None:
    """Nothing is found in a service that does all of it well, and nothing is left unseen."""
    run = suite(twins.settings(tmp_path / "good", language))
    assert len(run.findings) == 12, run.output
    assert run.ids("failed", "unverified") == [], run.output


@pytest.mark.real
@pytest.mark.parametrize("twin", TWINS, ids=[twin.name for twin in TWINS])
def test_a_bad_twin_is_found_out(tmp_path: Path, twin: Twin) -> None:
    """One variable makes it bad, and of all twelve checks those of that flaw fail, and say why."""
    # A busy machine adds a finding about time, or hides one; the fewer copies run side by side, the less it matters.
    for number, copies in enumerate((2, 2, 1) if twin.delicate else (4, 2, 1)):
        config = twins.settings(tmp_path / f"run {number}", twin.language, twin.variable, copies=copies)
        run = suite(config)
        if run.ids("failed", "unverified") == sorted(twin.fails):
            break
    assert run.ids("failed") == sorted(twin.fails), run.output
    assert run.ids("unverified") == [], run.output
    assert any(twin.says in run.told(name) for name in twin.fails), run.output


@pytest.mark.real
def test_a_service_that_takes_no_base_url_is_pointed_by_a_preload(tmp_path: Path) -> None:
    """Where no variable leads to the fault server a hook in the process does; the service passes as it is."""
    config = twins.settings(
        tmp_path / "deaf", "typescript", ("FLAW", "base-url-ignored"), methods=("variable", "preload")
    )
    run = suite(config, ROTATION)
    assert run.ids("passed") == ["RES-012"], run.output
    evidence = json.loads((tmp_path / "deaf-run" / "observations" / "redirection.json").read_text())
    assert evidence["value"]["method"] == "preload"


@pytest.mark.real
def test_a_service_that_cannot_be_pointed_is_unverified(tmp_path: Path) -> None:
    """Where a service asks its provider whatever it is told, nothing is known of it, and nothing passes."""
    config = twins.settings(tmp_path / "deaf", "typescript", ("FLAW", "base-url-ignored"))
    run = suite(config, ROTATION)
    assert run.findings["RES-012"]["status"] == "unverified", run.output
    assert run.findings["RES-012"]["reason"] == "not_redirectable"


def test_each_reason_to_fail_has_a_twin() -> None:
    """Each resilience check is failed by one twin at least, and no two twins are the same."""
    rows = json.loads((ROOT / "checks" / "catalogue.json").read_text())["checks"]
    ids = {row["id"] for row in rows if row["area"] == "resilience"}
    assert ids == {name for twin in TWINS for name in twin.fails}
    assert len({(twin.language, twin.variable) for twin in TWINS}) == len(TWINS)


def test_the_documentation_lists_the_twins() -> None:
    """docs/resilience.md holds the table as it is now; `python -m tests.real.twins write` brings it up to date."""
    assert twins.documented(twins.PAGE.read_text()) == twins.PAGE.read_text()
