"""Every way in which the sandbox can be broken, run as a user would: exactly the named checks say so, and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.sandbox.specimen import Specimen, scenarios

ROOT = Path(__file__).resolve().parents[1]
FINE = {"passed", "not_applicable"}


def _run(phase: str, folder: Path, *extra: str) -> tuple[int, dict[str, object], str]:
    command = [sys.executable, "-m", "pytest", "-m", phase, "--env", "sandbox", "--run-dir", str(folder), *extra]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=120)
    report = json.loads((folder / "report.json").read_text())
    return done.returncode, report, done.stdout + done.stderr


@pytest.mark.parametrize("phase", ["preflight", "postdeploy"])
def test_the_healthy_sandbox_is_go(phase: str, tmp_path: Path) -> None:
    """All holds, and the headline says how little that proves."""
    code, report, printed = _run(phase, tmp_path / "run")
    assert (code, report["verdict"]) == (0, "GO"), printed
    assert "proves nothing about a real service" in str(report["headline"])


@pytest.mark.parametrize("specimen", [pytest.param(row, id=name) for name, row in scenarios().items()])
def test_a_scenario_breaks_what_it_names_and_nothing_else(specimen: Specimen, tmp_path: Path) -> None:
    """The checks of `breaks` have the status and the message of the specimen; all others of the phase are fine."""
    code, report, printed = _run(specimen.phase, tmp_path / "run", "--scenario", specimen.name)
    findings = {finding["id"]: finding for finding in report["findings"]}  # type: ignore[attr-defined] # JSON
    broken = {id_ for id_, finding in findings.items() if finding["status"] not in FINE}
    assert broken == set(specimen.breaks), printed
    for id_ in specimen.breaks:
        finding = findings[id_]
        assert finding["status"] == specimen.status, printed
        assert specimen.message in finding["message"]
        assert finding["reason"] == (specimen.reason if specimen.status == "unverified" else None)
    gates = any(findings[id_]["severity"] == "blocker" for id_ in specimen.breaks)
    assert code == ((1 if specimen.status == "failed" else 10) if gates else 0)
    assert "Traceback" not in printed
