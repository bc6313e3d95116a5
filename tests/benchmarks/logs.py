"""How fast a gigabyte of logs is read, and in how much memory; beside `grep -c`, which only counts, and jq.

    python -m tests.benchmarks.logs

Each reads the same file, of which one line in a thousand is an error; ours is told of a key and a prompt to look for
as well. Seconds are of one processor, since the wall clock depends on what else the machine does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.process import ROOT

SIZE = 1_000_000_000
"""Bytes."""
LINES = 20_000
"""Different ones; they repeat."""
CHUNK = 65_536
READER = "import sys; from tests.benchmarks.logs import read; read(sys.argv[1])"


def logs() -> None:
    """Ours: at least 100 MB/s of one core, at most 200 MB resident."""
    print(f"\nA log of {SIZE / 1e6:,.0f} MB, one line in a thousand an error")
    with tempfile.TemporaryDirectory() as folder:
        for kind, line in (("JSON", _json), ("JSON, dated", _dated), ("logfmt", _logfmt), ("plain", _plain)):
            file = Path(folder) / f"{kind}.log"
            _write(file, line)
            commands = {
                f"reader, {kind}": [sys.executable, "-c", READER, str(file)],
            }
            if kind in ("JSON", "plain"):
                commands[f"grep -c, {kind}"] = ["grep", "-c", "-i", "error", str(file)]
            if kind == "JSON" and shutil.which("jq"):
                commands["jq, JSON"] = ["jq", "-c", 'select(.level == "error")', str(file)]
            for name, command in commands.items():
                _measured(name, command, file.stat().st_size)
            file.unlink()
    if not shutil.which("jq"):
        print("  jq is not on PATH: apt-get install jq")
    print("  (aim: reader at least 100 MB/s, at most 200 MB)")


def read(path: str) -> None:
    """What POS-006 and POS-007 do with a log."""
    from fixtures.logs.digest import LogOptions, Sought, digested

    sought = Sought.of({"key": "k7Qm2ZxR9tLw4VbN8sYc1HdJ5gFp3AeU"}, {"prompt": "Reply with one word."})
    found = digested(_chunks(Path(path)), LogOptions(sought=sought))
    print(found.lines, sum(row.count for row in found.errors), len(found.errors))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _json(number: int) -> str:
    return json.dumps(_fields(number), separators=(",", ":"))


def _dated(number: int) -> str:
    """As the API server gives it where it is asked for times, which POS-006 does."""
    return f"2026-11-20T09:12:03.{number % 10**9:09d}Z {_json(number)}"


def _logfmt(number: int) -> str:
    return " ".join(
        f'{name}="{value}"' if " " in str(value) else f"{name}={value}" for name, value in _fields(number).items()
    )


def _fields(number: int) -> dict[str, str | int]:
    bad = number % 1_000 == 7
    return {
        "timestamp": f"2026-11-20T09:12:03.{number % 1000:03d}Z",
        "level": "error" if bad else "info",
        "message": f"no answer after {number} ms" if bad else "chat answered",
        "request_id": f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "model": "mistral-small-2603",
        "duration_ms": number % 3_000,
        "prompt_tokens": number % 100,
    }


def _plain(number: int) -> str:
    level, said = ("ERROR", "no answer") if number % 1_000 == 7 else ("INFO ", "answered")
    thread, duration = f"[http-{number % 8}]", f"{number % 3_000} ms"
    return f"2026-11-20 09:12:03,{number % 1000:03d} {level} {thread} chat.Answers - {said} in {duration}"


def _write(file: Path, line: Callable[[int], str]) -> None:
    part = "".join(f"{line(number)}\n" for number in range(LINES)).encode()
    with file.open("wb") as out:
        for _ in range(SIZE // len(part)):
            out.write(part)


def _measured(name: str, command: list[str], size: int) -> None:
    with tempfile.TemporaryFile() as output:  # into nowhere, grep would stop at the first hit
        process = subprocess.Popen(command, cwd=ROOT, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, resident = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    print(
        f"  {name:<18} {size / seconds / 1e6:>7.0f} MB/s  {seconds:>6.1f} s  {resident:>5.0f} MB resident", flush=True
    )


if __name__ == "__main__":
    logs()
