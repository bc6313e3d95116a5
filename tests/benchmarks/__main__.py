"""`make bench`: prints figures and judges none; machines differ, and so does their mood.

Each figure is of whole processes: the median of several runs, with the least and the most beside it.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import canary, resilience
from tests.benchmarks.bundle import bundle
from tests.benchmarks.fault_server import fault_server
from tests.benchmarks.logs import logs
from tests.benchmarks.process import PYTEST, ROOT, Measured, timed
from tests.benchmarks.synthetic import synthetic
from tests.benchmarks.triage import postdeploy, triage
from tests.benchmarks.world import world
from tests.environments import environments, recorded

RUNS = 5
LATENCY = 0.15  # seconds added to each answer of the sandbox


def main() -> int:
    start_up()
    preflight()
    postdeploy()
    triage()
    world()
    growth()
    fault_server()
    logs()
    bundle()
    resilience.main()
    canary.main()
    return 0


def start_up() -> None:
    """Help and collection beside pytest with no plugin of ours: at most 0.4 s more."""
    print(f"\nStart-up, seconds ({RUNS} runs)")
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "pytest.ini").write_text("[pytest]\n")
        (Path(empty) / "test_one.py").write_text("def test_one() -> None: ...\n")
        rows = {
            "bare pytest --help": (["--help"], Path(empty)),
            "pytest --help": (["--help"], ROOT),
            "bare pytest --collect-only": (["--collect-only", "-q"], Path(empty)),
            "pytest --collect-only -m preflight": (["--collect-only", "-q", "-m", "preflight"], ROOT),
        }
        seconds = {name: _print(name, _repeated(arguments, folder)) for name, (arguments, folder) in rows.items()}
    for ours, bare in (("pytest --help", "bare pytest --help"), (list(rows)[3], list(rows)[2])):
        print(f"  {ours}: {seconds[ours] - seconds[bare]:+.3f} over {bare} (aim: at most +0.4)")


def preflight() -> None:
    """Looks run at once: the whole is about as long as the slowest of them."""
    from fixtures.sandbox.world import World, started

    print(f"\npreflight on the sandbox, {LATENCY * 1000:.0f} ms added to each answer ({RUNS} runs)")
    with tempfile.TemporaryDirectory() as folder, started(World(latency=LATENCY), Path(folder) / "world") as running:
        settings = environments(Path(folder) / "environments", running.settings)
        recorded(settings, running.world.repository.revision)  # the drills have figures of their own
        runs = []
        for number in range(RUNS):
            run = Path(folder) / f"run-{number}"
            arguments = ["-m", "preflight", "--env", "bench", f"--config={settings}", f"--run-dir={run}"]
            runs.append(timed([*PYTEST, *arguments], ROOT))
        _print("pytest -m preflight", runs)
        report = json.loads((run / "report.json").read_text())
    durations = [look["duration"] for look in report["observations"]]
    slowest, wall = max(durations), statistics.median(row.wall for row in runs)
    print(f"  verdict {report['verdict']}; {len(durations)} observations")
    print(f"  slowest observation {slowest:.3f} s; all of them added up {sum(durations):.3f} s")
    print(f"  wall {wall:.3f} s (aim: at most 1.2 x slowest + 1.0 = {1.2 * slowest + 1.0:.3f} s)")
    print(f"  resident at most {max(row.resident for row in runs) / 2**20:.0f} MiB (aim: 150 MB)")


def growth() -> None:
    """Collection and reporting grow linearly with the number of checks."""
    print("\nSynthetic checklists")
    print(f"  {'checks':>7} {'observations':>13} {'wall s':>8} {'ms a check':>11}")
    for checks, observations in ((125, 25), (250, 50), (500, 100), (1000, 200)):
        with tempfile.TemporaryDirectory() as folder:
            command = synthetic(Path(folder), checks, observations)
            wall = statistics.median(timed(command(number), Path(folder)).wall for number in range(3))
        print(f"  {checks:>7} {observations:>13} {wall:>8.2f} {1000 * wall / checks:>11.2f}")


def _repeated(arguments: list[str], folder: Path) -> list[Measured]:
    command = [*PYTEST, *arguments]
    bare = {} if folder == ROOT else {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    timed(command, folder, **bare)  # the first one fills the caches
    return [timed(command, folder, **bare) for _ in range(RUNS)]


def _print(name: str, runs: Iterable[Measured]) -> float:
    walls = sorted(run.wall for run in runs)
    median = statistics.median(walls)
    print(f"  {name:<36} {median:.3f}  ({walls[0]:.3f} to {walls[-1]:.3f})")
    return median


if __name__ == "__main__":
    sys.exit(main())
