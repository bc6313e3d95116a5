"""A checklist of any size, to see how cost grows."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.process import PYTEST, ROOT

LOOK = '''
@observation(deadline=5)
def look_{number}() -> Thing:
    """For many."""
    return Thing("look {number}")
'''

LOOKS = """
from __future__ import annotations
from dataclasses import dataclass
from fixtures.observation import observation

@dataclass(frozen=True)
class Thing:
    name: str
"""

CHECK = '''
@check("INF-{number:03}", severity="blocker", remedy="Be.")
def test_{number}(look_{look}):
    """Thing {number} holds."""
    assert [] == []
'''


def synthetic(folder: Path, checks: int, observations: int) -> Callable[[int], list[str]]:
    """Write the checklist into `folder`. Returns the command of its n-th run."""
    (folder / "checks" / "infra").mkdir(parents=True)
    (folder / "environments").mkdir()
    (folder / "environments" / "base.toml").write_text('[service]\nname = "chat"\n')
    (folder / "environments" / "staging.toml").write_text('tier = "staging"\n')
    (folder / "pytest.ini").write_text(
        f"[pytest]\ntestpaths = checks\npythonpath = . {ROOT}\n"
        "addopts = --import-mode=importlib --disable-plugin-autoload\n"
    )
    (folder / "conftest.py").write_text(
        f"import sys\nsys.path[:0] = [{str(folder)!r}, {str(ROOT)!r}]\npytest_plugins = ['plugins.run', 'looks']\n"
    )
    (folder / "looks.py").write_text(LOOKS + "".join(LOOK.format(number=number) for number in range(observations)))
    for start in range(0, checks, 50):
        rows = (
            CHECK.format(number=number, look=number % observations) for number in range(start, min(start + 50, checks))
        )
        text = "from plugins.catalogue import check\n" + "".join(rows)
        (folder / "checks" / "infra" / f"file{start}.py").write_text(text)
    _catalogue(folder)
    base = [*PYTEST, "-m", "preflight", "--env", "staging"]
    return lambda number: [*base, "--run-dir", f"run-{number}"]


def _catalogue(folder: Path) -> None:
    import subprocess

    paths = os.pathsep.join((str(folder), str(ROOT)))
    command = [sys.executable, "-m", "plugins.catalogue"]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, check=True, capture_output=True)
    assert json.loads((folder / "checks" / "catalogue.json").read_text())["checks"]
