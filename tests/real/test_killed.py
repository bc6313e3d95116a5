"""kill -9 in the middle of the drills: within the lease no fault, no process, no port and no file of them is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.drills.fault_server import LEASE
from fixtures.drills.listening import bindable, family, ports_of

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
MOMENTS = 10
"""Every other one is in the middle of faults in all copies; the rest anywhere from the first import to there."""
COPIES = 3
SLACK = 1.0
"""Seconds that this machine may be late."""
CHANCE = random.SystemRandom()


@pytest.fixture
def outside() -> Iterator[list[str]]:
    """The URLs of fault servers that are not the suite's, and outlive it: one for each moment."""
    command = [sys.executable, "-m", "fixtures.sandbox.mistral", "--until-eof", "--port", *["0"] * MOMENTS]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield [server.stdout.readline().strip() for _ in range(MOMENTS)]
        server.communicate()


def receipt(url: str) -> dict[str, Any]:
    """What the fault server says of the last fault."""
    with urllib.request.urlopen(f"{url}/_sandbox/receipt", timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def environment(folder: Path) -> dict[str, str]:
    """Variables by which all that comes from a suite is known: PATH reaches its copies too."""
    path = os.pathsep.join((os.environ["PATH"], str(folder)))
    return {**os.environ, "TMPDIR": str(folder), "PATH": path, "PYTHONPATH": str(ROOT)}


def command(pid: int) -> str:
    """The command line of a process; empty where it is gone, or only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[-100:]
    except OSError:
        return ""


def processes(folder: Path, known: set[int]) -> list[str]:
    """The command lines of what runs of those that are known, and of what has this folder in its environment."""
    found = set(known)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(folder) in (process / "environ").read_bytes():
                found.add(int(process.name))
    return [line for pid in sorted(found) if (line := command(pid))]


def gone(folder: Path, known: set[int], ports: list[int], within: float) -> list[str]:
    """What is left after so many seconds of a suite with these processes and ports, and this folder for its files."""
    until = time.monotonic() + within
    while True:
        files = [str(file) for file in folder.glob("golive-copy-*")]
        left = [*processes(folder, known), *(str(port) for port in ports if not bindable(port)), *files]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


@contextlib.contextmanager
def suite(arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A suite with this folder for its files, killed at the end of the block."""
    folder.mkdir()
    words = [sys.executable, "-m", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, env=environment(folder), stdout=pipe, stderr=pipe, text=True) as started:
        try:
            yield started
        finally:
            started.kill()
        assert started.communicate()[1] == "", "it failed by itself"


def test_a_suite_that_is_killed_leaves_nothing_behind(outside: list[str], tmp_path: Path) -> None:
    """At ten random moments; a fault in a server that lives on is over when its lease is."""
    killed: list[float] = []
    span = 0.0  # seconds from its start until all copies have their faults, by this machine
    for number, url in enumerate(outside):
        folder = tmp_path / str(number)
        began = time.monotonic()
        with suite(["tests.real.drilling", url], folder) as started:
            if number % 2 == 0:
                assert started.stdout is not None
                assert len([started.stdout.readline() for _ in range(COPIES)]) == COPIES
                span = time.monotonic() - began
                time.sleep(CHANCE.uniform(0, 0.5))
            else:
                time.sleep(CHANCE.uniform(0, span))
            members = family(started.pid) - {started.pid}
            ports = ports_of(members)
            assert number % 2 or len(ports) > COPIES, "copies listen, beside their fault servers"
        assert started.returncode == -signal.SIGKILL
        killed.append(time.time())
        assert gone(folder, members, ports, LEASE) == []
    time.sleep(max(0.0, killed[-1] + LEASE + SLACK - time.time()))
    receipts = [(receipt(url), moment) for url, moment in zip(outside, killed, strict=True)]
    ends = [(told["ended_by"], told["ended"] - moment) for told, moment in receipts if told["id"] is not None]
    assert len(ends) >= MOMENTS / 2
    assert [(by, after) for by, after in ends if by != "lease" or after > LEASE + SLACK] == []


def test_a_run_of_the_checks_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    """`pytest -m resilience` at ten random moments: its copies, their fault servers and their keepers are gone."""
    span, drilled = 0.0, 0
    for number in range(MOMENTS):
        folder = tmp_path / str(number)
        arguments = ["pytest", "-m", "resilience", "--env", "sandbox", f"--run-dir={tmp_path / f'run-{number}'}"]
        began = time.monotonic()
        with suite(arguments, folder) as started:
            if number % 2 == 0:
                while not copies(started.pid) and started.poll() is None:
                    time.sleep(0.02)
                span = time.monotonic() - began
                time.sleep(CHANCE.uniform(0, 2))
            else:
                time.sleep(CHANCE.uniform(0, span))
            drilled += bool(copies(started.pid))
            members = family(started.pid) - {started.pid}
            ports = ports_of(members)
        assert gone(folder, members, ports, LEASE) == []
    assert drilled >= MOMENTS / 4, "it was killed in the middle of its drills"


def copies(suite: int) -> list[str]:
    """The copies of the sandbox's service that a suite has."""
    return [line for pid in family(suite) if "-m fixtures.sandbox.service" in (line := command(pid))]
