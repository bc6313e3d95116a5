"""postdeploy and triage where they are meant for: a control plane, a Prometheus and a service that are the real ones.

python -m tests.benchmarks.world
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

from tests.benchmarks.process import PYTEST, ROOT, libraries, timed
from tests.real.control_plane.programs import PartMissing
from tests.real.world import World

RUNS = 9
SETTLED = 20.0
"""Seconds after which the world has done what it does at its start, and Prometheus has scraped often enough."""


def world() -> None:
    """postdeploy: the slowest observation times 1.2, and 1 s. triage: 1.5 s. The world needs the processor as well."""
    print(f"\nOn the real world, from the start of the process to its end ({RUNS} runs)")
    try:
        with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as running:
            time.sleep(SETTLED)
            for phase in ("postdeploy", "triage"):
                _print(phase, running, Path(folder) / phase)
    except PartMissing as missing:
        print(f"  not measured: {missing}")


def _print(phase: str, running: World, folder: Path) -> None:
    walls, slowest, bare = [], [], []
    for number in range(RUNS):
        run = folder / str(number)
        command = [*PYTEST, "-m", phase, *running.arguments, f"--run-dir={run}"]
        walls.append(timed(command, ROOT).wall)
        bare.append(libraries())
        report = json.loads((run / "report.json").read_text())
        slowest.append(max(look["duration"] for look in report["observations"]))
    slow = statistics.median(slowest)
    aim = 1.5 if phase == "triage" else 1.2 * slow + 1.0
    print(
        f"  {phase:<12} {statistics.median(walls):6.2f} s ({min(walls):.2f} to {max(walls):.2f}), "
        f"slowest observation {slow:.2f} s (aim: at most {aim:.2f} s; "
        f"its libraries alone take {statistics.median(bare):.2f} s)"
    )


if __name__ == "__main__":
    world()
