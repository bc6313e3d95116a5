"""Drills by the suite itself, as a user would start them: from a fault that is injected to production's GO, and what
stands in the way of one that must not be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.observation import digest
from fixtures.sandbox.world import World, started
from tests import warm
from tests.environments import ROOT, environments
from tests.plugins.counting import Counting

TESTED = ["sh", "-c", "echo 'Ran 1 test in 0.001s'"]
"""Stands for the service's own tests, which are not asked for here."""
COPIES = {
    "command": [sys.executable, "-m", "fixtures.sandbox.service"],
    "variables": {"PYTHONPATH": str(ROOT)},
    "signed_off_by": "ada@example.com",
}
"""The sandbox's service, started in the repository, as a service of one's own is."""

# Seen from inside of every process of the run, whatever library it uses.
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        line = f"{arguments[1] if event == 'socket.connect' else arguments[0]!r}\\n"
        file = os.open(os.environ["CONNECTIONS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line.encode())
        os.close(file)

sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    printed: str
    report: dict[str, Any]

    @property
    def notes(self) -> str:
        return "\n".join(self.report["notes"])

    def findings(self, status: str) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.report["findings"] if row["status"] == status}


def run(config: Path, run_dir: Path, *arguments: str) -> Outcome:
    code, printed = warm.run([f"--config={config}", f"--run-dir={run_dir}", *arguments], timeout=180)
    return Outcome(code, printed, _report(run_dir))


def _run_anew(config: Path, run_dir: Path, *arguments: str, **variables: str) -> Outcome:
    """In a new interpreter, which looks at its variables as it starts."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", f"--config={config}", f"--run-dir={run_dir}", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=inherited | variables, capture_output=True, text=True, check=False, timeout=180
    )
    return Outcome(done.returncode, done.stdout + done.stderr, _report(run_dir))


def _report(run_dir: Path) -> dict[str, Any]:
    file = run_dir / "report.json"
    return json.loads(file.read_text()) if file.exists() else {}


def small(folder: Path, name: str, tier: str, **resilience: str) -> Path:
    """Environments with hardly anything in them. Returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "base.toml").write_text('[provider]\nmodel = "mistral-small-2603"\n[repository]\nrevision = "0123abc"\n')
    lines = "".join(f"{key} = {value}\n" for key, value in resilience.items() if key != "url")
    (folder / f"{name}.toml").write_text(
        f'tier = "{tier}"\n[service]\nurl = "{resilience["url"]}"\n[resilience]\n{lines}'
    )
    return folder


def test_a_drill_in_staging_is_a_go_in_production(tmp_path: Path) -> None:
    """Faults are injected into copies in staging; production reads the record, is GO, and is asked nothing more than
    without; after 15 days it is not GO any more.
    """
    world = World()
    world.settings = {"repository": {"test_command": TESTED}, "resilience": COPIES}
    with started(world, tmp_path / "world") as running:
        settings = running.settings
        settings["resilience"].pop("folder")
        config = environments(tmp_path / "config", settings, "production")
        staging = (config / "production.toml").read_text().replace('"tier" = "production"', '"tier" = "staging"')
        (config / "staging.toml").write_text(staging)
        drilled = run(config, tmp_path / "1", "-m", "resilience", "--env", "staging", "--allow-changes")
        assert drilled.code == 0, drilled.printed
        assert "drills on copies of the service" in drilled.printed
        (file,) = (config / "records").iterdir()
        assert file.stem == running.world.repository.revision
        assert "signed off by ada@example.com" in drilled.notes
        released = run(config, tmp_path / "2", "-m", "preflight", "--env", "production")
        assert (released.code, released.report["verdict"]) == (0, "GO"), released.printed
        assert released.report["notes"] == []
        assert {row["id"] for row in drilled.report["findings"]} <= released.findings("passed").keys()
        _age(file)
        late = run(config, tmp_path / "3", "-m", "preflight", "--env", "production")
    assert (late.code, late.report["verdict"]) == (10, "NO-GO"), late.printed
    stale = late.findings("unverified")
    assert stale.keys() == {row["id"] for row in drilled.report["findings"]}
    assert {row["reason"] for row in stale.values()} == {"stale"}
    assert "15.0 days ago" in late.printed


def _age(file: Path) -> None:
    """As if it had been made 15 days ago."""
    from datetime import UTC, datetime, timedelta

    record = json.loads(file.read_text())
    del record["sha256"]
    record["made"] = (datetime.now(UTC) - timedelta(days=15)).isoformat()
    file.write_text(json.dumps({**record, "sha256": digest(record)}))


@pytest.mark.parametrize(
    ("name", "tier", "arguments"),
    [
        ("production", "production", ("--allow-changes", "--confirm", "production")),
        ("production", "staging", ("--allow-changes", "--confirm", "production")),
        ("canary", "production", ("--allow-changes", "--confirm", "canary")),
        ("staging", "staging", ()),
    ],
    ids=["production", "production-by-name", "production-by-tier", "staging-without-leave"],
)
@pytest.mark.parametrize("running", [False, True], ids=["copies", "running"])
def test_no_fault_reaches_what_must_not_have_one(
    tmp_path: Path, name: str, tier: str, arguments: tuple[str, ...], running: bool
) -> None:
    """No copy is started, and neither the service nor the fault server that it is pointed at gets one request."""
    counting, witness = Counting(), tmp_path / "started"
    settings = {"url": counting.url, "command": json.dumps(["touch", str(witness)])}
    if running:
        settings["fault_server"] = json.dumps(counting.url)
    config = small(tmp_path / "config", name, tier, **settings)
    done = run(config, tmp_path / "run", "-m", "resilience", "--env", name, *arguments)
    counting.close()
    assert done.code == 10, done.printed
    assert {row["reason"] for row in done.findings("unverified").values()} == {"no_data"}
    assert len(done.findings("unverified")) == len(done.report["findings"]) > 0
    assert (counting.asked, witness.exists()) == ([], False)
    command = f"pytest -m resilience --env staging --config={config} --allow-changes"
    assert all(command in row["remedy"] for row in done.findings("unverified").values())


@pytest.mark.parametrize("url", ["https://api.mistral.ai", "https://API.MISTRAL.AI.:443/v1", "https://eu.mistral.ai"])
def test_the_real_provider_is_no_fault_server(tmp_path: Path, url: str) -> None:
    """Nobody is asked for its address, nobody connects, and the service is sent nothing either."""
    counting, connections = Counting(), tmp_path / "connections"
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    budgets = {"deadline": "1", "breaker_reset": "1", "recovery": "3"}
    config = small(tmp_path / "config", "staging", "staging", url=counting.url, fault_server=json.dumps(url), **budgets)
    done = _run_anew(
        config,
        tmp_path / "run",
        *("-m", "resilience", "--env", "staging", "--allow-changes"),
        PYTHONPATH=str(tmp_path / "watch"),
        CONNECTIONS=str(connections),
    )
    counting.close()
    assert done.code == 10, done.printed
    assert {row["reason"] for row in done.findings("unverified").values()} == {"not_configured"}
    assert "mistral.ai" in done.printed.casefold()
    assert "drills on" not in done.printed  # nothing is promised that is not going to be done
    assert counting.asked == []
    connected = connections.read_text() if connections.exists() else ""
    assert "mistral" not in connected.casefold()
    assert "No record was kept" in done.notes


def test_connections_would_be_seen(tmp_path: Path) -> None:
    """The watch of the test above: a process that does connect leaves a line."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    program = "import socket; socket.socket().connect_ex(('127.0.0.1', 9)); socket.getaddrinfo('localhost', 80)"
    variables = {"PYTHONPATH": str(tmp_path), "CONNECTIONS": str(tmp_path / "connections"), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", program], env=variables, check=True)
    assert (tmp_path / "connections").read_text() == "('127.0.0.1', 9)\n'localhost'\n"
