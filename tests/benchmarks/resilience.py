"""What drills cost: wall time of `pytest -m resilience` on the sandbox and on the TypeScript service."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.verdict import FAILED, GO, INCOMPLETE
from tests.benchmarks.process import PYTEST, ROOT, Measured, measured
from tests.environments import environments
from tests.real import service

SECONDS = 2
"""The service's deadline, and the reset time of its circuit."""
RUNS = 3


def main() -> None:
    """At most 60 s for a service with a deadline and a reset time of 2 s, and about 5 s for the sandbox's own."""
    with tempfile.TemporaryDirectory() as folder:
        _figures("the sandbox's service", Path(folder), ["--env", "sandbox"], aim=5)
    with tempfile.TemporaryDirectory() as folder:
        config = environments(Path(folder) / "environments", _settings(Path(folder)), "bench")
        what = f"the TypeScript service, deadline {SECONDS} s, reset {SECONDS} s"
        _figures(what, Path(folder), ["--env", "bench", f"--config={config}", "--allow-changes"], aim=60)


def _settings(folder: Path) -> dict[str, Any]:
    """Those of the service as staging would have them; there is no cluster, so they name the revision."""
    source = folder / "chat"
    revision = service.repository(source)
    return {
        "tier": "staging",
        "service": {"chat": {"deadline": SECONDS}, "stream": {"path": "/api/chat/stream"}},
        "kubernetes": {"namespace": "", "deployment": ""},
        "repository": {"path": source, "revision": revision},
        "resilience": {
            "command": [service.program("node"), str(service.prepared() / "dist" / "server.js")],
            "folder": source,
            "variables": {
                "HOST": "127.0.0.1",
                "MISTRAL_MODEL": "mistral-small-2603",
                "MISTRAL_FALLBACK_MODEL": "ministral-8b-2512",
                "REQUEST_DEADLINE_MS": str(SECONDS * 1000),
                "BREAKER_RESET_MS": str(SECONDS * 1000),
            },
            "base_url_variable": "MISTRAL_BASE_URL",
            "key_file_variable": "MISTRAL_API_KEY_FILE",
            "deadline": SECONDS,
            "max_retries": 3,
            "breaker_threshold": 5,
            "breaker_reset": SECONDS,
            "recovery": 10,
            "max_concurrency": 32,
            "storm_rate": 10,
            "storm_window": 5,
            "rotation_window": 5,
            "records": folder / "records",
        },
    }


def _figures(what: str, folder: Path, arguments: list[str], *, aim: float) -> None:
    print(f"\nDrills of {what} ({RUNS} runs)")
    runs = [_timed(folder / f"run-{number}", arguments) for number in range(RUNS)]
    walls = sorted(run.wall for run in runs)
    run = folder / f"run-{RUNS - 1}"
    report = json.loads((run / "report.json").read_text())
    durations = {look["name"]: look["duration"] for look in report["observations"]}
    slowest = max(durations, key=lambda name: durations[name])
    print(f"  wall {statistics.median(walls):.1f} s  ({walls[0]:.1f} to {walls[-1]:.1f}; aim: at most {aim:g})")
    print(f"  {report['headline']}")
    print(f"  slowest look {slowest}, {durations[slowest]:.1f} s")
    print("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(durations.items())))
    for line in _plan(run):
        print(f"  plan: {line}")


def _timed(run: Path, arguments: list[str]) -> Measured:
    """On a busy machine a service is late, and that is found: the time counts all the same, and is printed with it."""
    command = [*PYTEST, "-m", "resilience", *arguments, f"--run-dir={run}"]
    done = measured(command, ROOT)
    if done.code not in {GO, FAILED, INCOMPLETE}:
        raise RuntimeError(f"{' '.join(command)} ended with {done.code}: its time would mean nothing")
    return done


def _plan(run: Path) -> list[str]:
    """What the drills were going to do, as they said it."""
    evidence: Mapping[str, Any] = json.loads((run / "observations" / "redirection.json").read_text())
    return [str(line) for line in (evidence["value"] or {"plan": ()})["plan"]]
