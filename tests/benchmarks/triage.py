"""How soon triage says something, and how soon it is done: where all is well, and where nothing answers.

    python -m tests.benchmarks.triage

On a terminal of its own, from the start of the process: what counts is when a line can be read there.
"""

from __future__ import annotations

import json
import os
import pty
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures.sandbox.world import World, started
from tests.benchmarks.process import PYTEST, ROOT, environment, libraries, timed
from tests.environments import environments, recorded

RUNS = 5
LATENCY = 0.15
"""Seconds added to each answer of the sandbox for postdeploy, as for preflight."""
NEVER = 60.0
"""Seconds after which nobody waits any more."""
_CODES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|[\r\x00-\x09]")


@dataclass(frozen=True, slots=True)
class Shown:
    """Seconds from the start of a process until the terminal showed a line, an answer, and the end."""

    line: float
    answer: float
    end: float
    cpu: float
    """Of the processor, which other work on the machine does not lengthen."""


def triage() -> None:
    """At most 1.5 s where all is well, 6 s where every peer hangs; the first line within 1 s."""
    print(f"\ntriage on the sandbox, on a terminal, seconds ({RUNS} runs; {'first line':>10}, first answer, end, CPU)")
    for name, latency, aim in (("healthy", 0.0, 1.5), ("every peer hanging", NEVER, 6.0)):
        with (
            tempfile.TemporaryDirectory() as folder,
            started(World(latency=latency), Path(folder) / "world") as running,
        ):
            settings = environments(Path(folder) / "environments", running.settings)
            runs = [_shown(_command("triage", settings, Path(folder) / str(number))) for number in range(RUNS + 1)][1:]
            bare = statistics.median(libraries() for _ in range(RUNS))
        line, answer, end, cpu = (
            statistics.median(getattr(run, field) for run in runs) for field in ("line", "answer", "end", "cpu")
        )
        print(
            f"  {name:<20} {line:6.2f} {answer:6.2f} {end:6.2f} {cpu:6.2f}  "
            f"(aim: first line 1.0, end {aim}; its libraries alone take {bare:.2f})"
        )


def postdeploy() -> None:
    """Looks run at once: the whole is about as long as the slowest of them."""
    print(f"\npostdeploy on the sandbox, {LATENCY * 1000:.0f} ms added to each answer ({RUNS} runs)")
    with tempfile.TemporaryDirectory() as folder, started(World(latency=LATENCY), Path(folder) / "world") as running:
        settings = environments(Path(folder) / "environments", running.settings)
        recorded(settings, running.world.repository.revision)
        walls, slowest = [], []
        for number in range(RUNS):
            run = Path(folder) / str(number)
            walls.append(timed(_command("postdeploy", settings, run), ROOT).wall)
            report = json.loads((run / "report.json").read_text())
            slowest.append(max(look["duration"] for look in report["observations"]))
    wall, slow = statistics.median(walls), statistics.median(slowest)
    print(f"  slowest observation {slow:.3f} s; wall {wall:.3f} s (aim: at most {1.2 * slow + 1.0:.3f} s)")


def _command(phase: str, settings: Path, run: Path) -> list[str]:
    options = ["--env", "bench", f"--config={settings}", f"--run-dir={run}"]
    return [*PYTEST, "-m", phase, *options]


def _shown(command: list[str]) -> Shown:
    began = time.perf_counter()
    process, terminal = pty.fork()
    if not process:
        os.chdir(ROOT)
        os.execve(command[0], command, environment(TERM="xterm", COLUMNS="80"))
    marks: dict[str, float] = {}
    seen = b""
    while piece := _read(terminal):
        seen += piece
        for name, mark in (("line", rb"asking "), ("answer", rb"(?:TRI-00\d|Mistral|Our service|Prometheus|logs?): ")):
            if name not in marks and re.search(mark, _CODES.sub(b"", seen)):
                marks[name] = time.perf_counter() - began
    _, _, usage = os.wait4(process, 0)
    end = time.perf_counter() - began
    return Shown(marks.get("line", end), marks.get("answer", end), end, usage.ru_utime + usage.ru_stime)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side was closed
        return b""


if __name__ == "__main__":
    triage()
    postdeploy()
