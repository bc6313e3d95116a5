"""Preflight against real systems: GO when all is well, and each thing broken by hand is found, named, and alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.real.staging import ROOT
from tests.real.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("world")]

BINDING = "/apis/rbac.authorization.k8s.io/v1/namespaces/chat/rolebindings/golive"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world, its service drilled in staging as `make world` says."""
    folder = tmp_path_factory.mktemp("world")
    with World(folder / "world") as running:
        drill(running, folder / "drill")
        yield running


@pytest.fixture(scope="module", autouse=True)
def sound(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verified]:
    """What is said of the world before anything was broken: users and alerts remember an outage for minutes."""
    folder = tmp_path_factory.mktemp("sound")
    return {phase: verified(world, folder / phase, phase=phase) for phase in ("preflight", "postdeploy")}


@dataclass(frozen=True)
class Verified:
    """What a run said."""

    code: int
    verdict: str
    findings: dict[str, dict[str, Any]]
    printed: str

    @property
    def broken(self) -> dict[str, str]:
        """The checks that are not fine, each with its reason, or with "failed"."""
        fine = {"passed", "not_applicable"}
        return {id_: row["reason"] or row["status"] for id_, row in self.findings.items() if row["status"] not in fine}


def verified(world: World, folder: Path, *, phase: str = "preflight") -> Verified:
    """Run a phase in production as the printed command line does."""
    return run("-m", phase, *world.arguments, folder=folder)


def drill(world: World, folder: Path) -> None:
    """Drill the revision that is checked out, in staging, as the printed command line does."""
    done = run(*world.drilling, folder=folder)
    assert (done.code, done.broken) == (0, {}), done.printed
    assert world.record.is_file(), done.printed


def run(*arguments: str, folder: Path, variables: Mapping[str, str] | None = None) -> Verified:
    """Run the suite, with more variables than ours; `folder` takes its run."""
    command = [sys.executable, "-m", "pytest", *arguments, f"--run-dir={folder}"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | dict(variables or {})
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False, timeout=300)
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    report = json.loads((folder / "report.json").read_text())
    assert done.returncode == report["exit_code"]
    return Verified(done.returncode, report["verdict"], {row["id"]: row for row in report["findings"]}, printed)


def kubectl(world: World, *arguments: str) -> None:
    """What a person types."""
    config = world.plane.kubeconfig("admin", context="admin", namespace="chat")
    subprocess.run(["kubectl", f"--kubeconfig={config}", *arguments], check=True, capture_output=True)


def test_the_real_world_is_go(sound: dict[str, Verified]) -> None:
    """Real Kubernetes, Prometheus, Node, npm, git and SDK: GO, in preflight and after the deployment."""
    for done in sound.values():
        assert (done.code, done.verdict, done.broken) == (0, "GO", {}), done.printed
        assert "sandbox" not in done.printed.split("\n\n")[0].lower()


Undo = Callable[[], object]


def _no_readiness_probe(world: World) -> Undo:
    patch = [{"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"}]
    kubectl(world, "patch", "deployment", "chat", "--type=json", "-p", json.dumps(patch))
    return world.deploy


def _literal_key(world: World) -> Undo:
    kubectl(world, "set", "env", "deployment/chat", f"MISTRAL_API_KEY_NEW={world.key}")
    return world.deploy


def _secret_changed(world: World) -> Undo:
    world.keep("chat", "A1" * 16)
    return lambda: world.keep("chat", world.key)


def _rights_revoked(world: World) -> Undo:
    world.plane.admin.delete(BINDING)
    return world.bind


def _prometheus_stopped(world: World) -> Undo:
    world.prometheus.stop()
    return world.prometheus.start


def _alert_deleted(world: World) -> Undo:
    rules = (world.repository / "deploy" / "alerts.yaml").read_text()
    without = re.sub(r" +- alert: MistralRateLimited\n(?: {8}.*\n|\n)*", "", rules)
    assert without != rules
    world.prometheus.reload(without)
    return lambda: world.prometheus.reload(rules)


def _provider_refuses(world: World) -> Undo:
    world.fault("401")
    return lambda: world.fault(None)


def _dirty_tree(world: World) -> Undo:
    stray = world.repository / "src" / "stray.ts"
    stray.write_text("export {};\n")
    return stray.unlink


def _runbook_without_429(world: World) -> Undo:
    runbook = world.repository / "RUNBOOK.md"
    text = runbook.read_text()
    without = re.sub(r"^## 429.*?(?=^## )", "", text, flags=re.MULTILINE | re.DOTALL)
    assert without != text
    runbook.write_text(without)
    rollback = _shipped(world)
    drill(world, world.folder / f"drill-{world.revision[:12]}")
    record = world.record

    def undo() -> None:
        rollback()
        record.unlink()

    return undo


def _not_drilled(world: World) -> Undo:
    return _shipped(world)


def _record_removed(world: World) -> Undo:
    aside = world.record.rename(world.record.with_suffix(".aside"))
    return lambda: aside.rename(world.record)


def _record_edited(world: World) -> Undo:
    """The service is said to have been held to a shorter deadline than it was."""
    written = world.record.read_text()
    edited = written.replace('"deadline": 2.0', '"deadline": 1.0')
    assert edited != written
    world.record.write_text(edited)
    return lambda: world.record.write_text(written)


def _shipped(world: World) -> Undo:
    """What lies changed in the repository is committed, and deployed under its revision; the undoing is a rollback."""
    git = ["git", "-C", str(world.repository)]
    before = world.revision
    commit = ["commit", "--quiet", "--all", "--allow-empty", "--message=Change what was found"]
    subprocess.run([*git, *commit], check=True)
    world.revision = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    world.deploy()

    def rollback() -> None:
        subprocess.run([*git, "reset", "--quiet", "--hard", before], check=True)
        world.revision = before
        world.deploy()

    return rollback


Break = Callable[[World], Undo]
CLUSTER = ("SEC-006", "SEC-007", "ENV-001", "ENV-004", "COD-011", "INF-002", "INF-003", "INF-004")
RESILIENCE = tuple(f"RES-{number:03}" for number in range(1, 13))
"""What goes by the record."""
BREAKS: dict[str, tuple[Break, dict[str, str], str]] = {
    "readiness probe removed": (_no_readiness_probe, {"INF-002": "failed"}, "readiness"),
    "literal key in the Deployment": (_literal_key, {"SEC-006": "failed"}, "MISTRAL_API_KEY_NEW"),
    "Secret changed": (_secret_changed, {"SEC-007": "failed"}, "differs"),
    "rights revoked": (_rights_revoked, dict.fromkeys((*CLUSTER, *RESILIENCE), "denied"), "may not get"),
    "Prometheus stopped": (_prometheus_stopped, dict.fromkeys(("INF-008", "INF-009"), "unreachable"), "Prometheus"),
    "alert rule deleted": (_alert_deleted, {"INF-009": "failed"}, "rate-limited"),
    "provider answers 401": (_provider_refuses, {"SEC-003": "failed"}, "401"),
    "dirty tree": (_dirty_tree, {"COD-011": "failed"}, "src/stray.ts"),
    "runbook without 429": (_runbook_without_429, {"DOC-001": "failed"}, "429"),
    "record removed": (_record_removed, dict.fromkeys(RESILIENCE, "no_data"), "there is no record of a drill"),
    "revision never drilled": (_not_drilled, dict.fromkeys(RESILIENCE, "stale"), "holds records of"),
    "record edited": (_record_edited, dict.fromkeys(RESILIENCE, "malformed"), "edited or damaged"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_by_hand_is_found_alone(world: World, tmp_path: Path, name: str) -> None:
    """Its own checks fail or cannot look, each says why, and nothing else changes."""
    broken, expected, says = BREAKS[name]
    undo = broken(world)
    try:
        done = verified(world, tmp_path / "run")
    finally:
        undo()
    assert done.broken == expected, done.printed
    assert done.code == (1 if "failed" in expected.values() else 10)
    for id_ in expected:
        assert says in done.findings[id_]["message"], done.printed
    assert world.key not in done.printed
    assert [
        file for file in (tmp_path / "run").rglob("*") if file.is_file() and world.key.encode() in file.read_bytes()
    ] == []


def test_a_replay_needs_none_of_it(world: World, tmp_path: Path) -> None:
    """With every peer gone and in a network of its own, the evidence gives the same findings and the same verdict."""
    first = verified(world, tmp_path / "first")
    run = [sys.executable, "-m", "pytest", "-m", "preflight", f"--replay={tmp_path / 'first'}"]
    alone = ["unshare", "--net", "--map-root-user"] if _can_unshare() else []
    command = [*alone, *run, f"--run-dir={tmp_path / 'second'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    second = json.loads((tmp_path / "second" / "report.json").read_text())
    assert done.returncode == first.code, done.stdout
    assert second["verdict"] == first.verdict
    assert {row["id"]: row["status"] for row in second["findings"]} == {
        id_: row["status"] for id_, row in first.findings.items()
    }


def _can_unshare() -> bool:
    done = subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True, check=False)
    return done.returncode == 0
