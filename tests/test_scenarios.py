"""Every way in which the sandbox can be broken, run as a user would: exactly the named checks say so, and why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fixtures.sandbox.specimen import Specimen, scenarios
from fixtures.sandbox.specimens import incidents
from fixtures.sandbox.world import World
from plugins.catalogue import PHASES, Catalogue
from tests import warm

ROOT = Path(__file__).resolve().parents[1]
FINE = {"passed", "not_applicable"}


COPIES_STAND_ON = {"resilience", "service", "provider"}
"""The settings that copies of the service are started and judged by."""


def _run(phase: str, folder: Path, *extra: str) -> tuple[int, dict[str, object], str]:
    code, printed = warm.run(["-m", phase, "--env", "sandbox", "--run-dir", str(folder), *extra], timeout=120)
    return code, json.loads((folder / "report.json").read_text()), printed


@pytest.mark.parametrize("phase", PHASES)
def test_the_healthy_sandbox_is_go(phase: str, tmp_path: Path) -> None:
    """All holds, and the headline says how little that proves."""
    code, report, printed = _run(phase, tmp_path / "run")
    assert (code, report["verdict"]) == (0, "GO"), printed
    assert "proves nothing about a real service" in str(report["headline"])


def _reaches_copies(specimen: Specimen) -> bool:
    """Whether copies of the service, which have a provider of their own, may notice the specimen at all."""
    world = World()
    assert specimen.mutate is not None
    specimen.mutate(world)
    return bool(world.service.flaw or COPIES_STAND_ON & world.settings.keys())


@pytest.fixture(scope="module")
def undrilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped settings, for a preflight that injects no faults: they take longer than all the rest of it."""
    folder = tmp_path_factory.mktemp("settings") / "environments"
    shutil.copytree(ROOT / "environments", folder)
    ids = [row.id for row in Catalogue.load(ROOT / "checks" / "catalogue.json").entries.values()]
    reason = "no copy of the service can notice what this scenario changes"
    with (folder / "sandbox.toml").open("a") as file:
        file.writelines(f'[checks.{id_}]\nnot_applicable = "{reason}"\n' for id_ in ids if id_.startswith("RES-"))
    return folder


@pytest.mark.parametrize("specimen", [pytest.param(row, id=name) for name, row in scenarios().items()])
def test_a_scenario_breaks_what_it_names_and_nothing_else(specimen: Specimen, tmp_path: Path, undrilled: Path) -> None:
    """The checks of `breaks` have the status and the message of the specimen; all others of the phase are fine.

    The incidents show that drills come out the same whatever has happened to the world; where that is all that they
    could show, they are left out.
    """
    drilled = _reaches_copies(specimen) or specimen in incidents.SPECIMENS
    config = [] if drilled else [f"--config={undrilled}"]
    code, report, printed = _run(specimen.phase, tmp_path / "run", "--scenario", specimen.name, *config)
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
    assert "Traceback" not in printed or "-trace-" in specimen.name  # then it is one of the service's, in its log
