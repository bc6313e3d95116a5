"""A small checklist of its own for each test: real files, a real pytest in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import foreground, warm

ROOT = Path(__file__).resolve().parents[2]

PROBES = '''
from plugins.catalogue import Offender, check


@check("INF-001", severity="blocker", remedy="Fix the first.")
def test_first(first):
    """The first thing holds."""
    assert first.offenders() == []


@check("INF-002", severity="blocker", remedy="Fix the second.")
def test_second(second):
    """The second thing holds."""
    assert second.offenders() == []
'''

ADVICE = '''
import pytest
from plugins.catalogue import Offender, check


@check("SEC-001", severity="advisory", remedy="Fix the third.")
@pytest.mark.parametrize("side", ["left", "right"])
def test_third(third, side):
    """The third thing holds on each side."""
    assert third.offenders(side) == []


@check("SEC-003", severity="blocker", remedy="Fix the fourth.", waivable=False)
def test_fourth(first):
    """The fourth thing holds."""
    assert first.offenders() == []
'''

LOOKS = '''
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures.observation import CannotObserve, looked_at, observation
from plugins.catalogue import Offender

DEADLINE = 20


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    bad: tuple[str, ...] = ()

    def offenders(self, side: str = "") -> list[Offender]:
        return [Offender("probe", self.name, word, "none") for word in self.bad if not side or word == side]


def _seen(name: str) -> Thing:
    """What world.txt says of a thing: `NAME ok`, `NAME bad WORD...`, `NAME denied`, `NAME crash`, `NAME hang`."""
    looked_at(f"read world.txt for {name}")
    with Path("looks.log").open("a") as log:
        log.write(f"{name}\\n")
    for line in Path("world.txt").read_text().splitlines():
        words = line.split()
        if words[0] == name:
            if words[1] == "denied":
                raise CannotObserve("denied", f"{name}: may not get probes", remedy="kubectl create role ...")
            if words[1] == "crash":
                raise ValueError(f"{name} broke")
            if words[1] == "hang":
                time.sleep(60)
            return Thing(name, tuple(words[2:]))
    raise CannotObserve("no_data", f"{name}: not in world.txt", remedy="Add it.")


@observation(deadline=DEADLINE)
def first() -> Thing:
    """The first thing."""
    return _seen("first")


@observation(deadline=DEADLINE)
def second(first) -> Thing:
    """The second thing, which stands on the first."""
    return _seen("second")


@observation(deadline=DEADLINE)
def third() -> Thing:
    """The third thing."""
    return _seen("third")
'''

OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["addopts"]
INI = f"""
[pytest]
testpaths = checks
pythonpath = .
addopts = {shlex.join(OPTIONS)}
"""

HEALTHY = "first ok\nsecond ok\nthird ok\n"


@dataclass
class Outcome:
    """One finished run: what it printed, its exit status, and the report in its folder."""

    code: int
    printed: str
    folder: Path
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[str, str]:
        return {finding["id"]: finding["status"] for finding in self.report["findings"]}

    def finding(self, id_: str) -> dict[str, Any]:
        return next(finding for finding in self.report["findings"] if finding["id"] == id_)


@dataclass
class Suite:
    """A checklist in a folder."""

    path: Path
    runs: int = 0

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")  # in one step: a run may be reading it
        new.write_text(textwrap.dedent(text))
        return new.replace(file)

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
        return kept | {"PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}

    def catalogue(self) -> None:
        """Write checks/catalogue.json, as a contributor would."""
        command = [sys.executable, "-m", "plugins.catalogue"]
        subprocess.run(command, cwd=self.path, env=self.variables, check=True, capture_output=True)

    def _command(self, *arguments: str) -> tuple[list[str], Path]:
        self.runs += 1
        folder = self.path / f"run-{self.runs}"
        return ["-p", "no:randomly", "--run-dir", str(folder), *arguments], folder

    def start(self, *arguments: str, **variables: str) -> tuple[subprocess.Popen[str], Path]:
        """In a new process, which may be sent signals."""
        command, folder = self._command(*arguments)
        process = foreground.started(command, variables=self.variables | variables, folder=self.path)
        return process, folder

    def run(self, *arguments: str, **variables: str) -> Outcome:
        command, folder = self._command(*arguments)
        done = warm.ended(command, timeout=120, variables=self.variables | variables, folder=self.path)
        file = folder / "report.json"
        report = json.loads(file.read_text()) if file.exists() else {}
        return Outcome(done.code, done.printed, folder, report)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """Four checks over three observations, a healthy world, and an environment called staging."""
    made = Suite(tmp_path)
    made.write("pytest.ini", INI)
    made.write("conftest.py", 'pytest_plugins = ["plugins.run", "looks"]\n')
    made.write("looks.py", LOOKS)
    made.write("checks/infra/probes.py", PROBES)
    made.write("checks/secrets/advice.py", ADVICE)
    made.write("environments/base.toml", '[service]\nname = "chat"\n')
    made.write("environments/staging.toml", 'tier = "staging"\n')
    made.write("world.txt", HEALTHY)
    made.catalogue()
    return made
