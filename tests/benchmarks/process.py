"""Timing one process from outside, by the operating system's own accounts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTEST = (sys.executable, "-m", "pytest")
LIBRARIES = "pytest, xdist.plugin, pydantic_settings, httpx, kubernetes.client, requests, jinja2, markdown_it"
"""What a triage loads that is not ours."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall seconds, the most memory that was resident at once, in bytes, and the exit status."""

    wall: float
    resident: int
    code: int


def timed(command: list[str], folder: Path, **variables: str) -> Measured:
    """Run `command` in `folder`, its output thrown away. Raises RuntimeError where it does not end with 0."""
    run = measured(command, folder, **variables)
    if run.code:
        raise RuntimeError(f"{' '.join(command)} ended with {run.code}: its time would mean nothing")
    return run


def libraries() -> float:
    """Seconds that Python takes to import them and to do nothing: what this machine is worth at this moment."""
    return timed([sys.executable, "-c", f"import {LIBRARIES}"], ROOT).wall


def measured(command: list[str], folder: Path, **variables: str) -> Measured:
    """Run `command` in `folder`, its output thrown away, however it ends."""
    nowhere = subprocess.DEVNULL
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environment(**variables), stdin=nowhere, stdout=nowhere, stderr=nowhere
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(wall, usage.ru_maxrss * 1024, process.returncode)


def environment(**variables: str) -> dict[str, str]:
    """The variables of this process for one that is timed, and these."""
    strange = {"CI", "PYTHONDONTWRITEBYTECODE"}  # what is compiled once is not compiled again
    return {name: value for name, value in os.environ.items() if name not in strange} | variables
