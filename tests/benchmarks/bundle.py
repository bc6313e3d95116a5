"""How fast a gigabyte of logs passes into an incident pack, redacted and packed, and in how much memory.

    python -m tests.benchmarks.bundle

Seconds are of one processor, since the wall clock depends on what else the machine does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.logs import CHUNK, LINES, SIZE, _json, _plain
from tests.benchmarks.process import ROOT

SECRETS = ("k7Qm2ZxR9tLw4VbN8sYc1HdJ5gFp3AeU", "hunter2-but-longer", "Zq4Lm9Xw2Rt7Kp3Vn8Bd6")
PACKER = "import sys; from tests.benchmarks.bundle import packed; packed(sys.argv[1], int(sys.argv[2]), sys.argv[3])"


def bundle() -> None:
    """Ours: at least 100 MB/s of one core, at most 200 MB resident."""
    print(f"\nA log of {SIZE / 1e6:,.0f} MB into an incident pack, redacted with {len(SECRETS)} secrets known")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("json", "plain"):
            command = [sys.executable, "-c", PACKER, f"{folder}/{kind}.zip", str(SIZE), kind]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            _print(f"pack, {kind}", json.loads(done.stdout))
    print("  (aim: at least 100 MB/s, at most 200 MB resident)")


def packed(path: str, size: int, kind: str = "json") -> None:
    """Put `size` bytes of made log into a pack at `path`. Prints its figures as JSON."""
    from plugins.redaction import Redactor
    from reports.bundle.archive import Archive

    line = _json if kind == "json" else _plain
    part = "".join(f"2026-11-22T13:53:04.040454040Z {line(number)}\n" for number in range(LINES)).encode()
    chunks = [part[start : start + CHUNK] for start in range(0, len(part), CHUNK)]
    redactor = Redactor()
    for secret in SECRETS:
        redactor.register(secret)
    began = time.process_time()
    with Archive(Path(path), redactor) as archive:
        with archive.log("logs/chat/chat.log", "a log") as log:
            while log.bytes < size:
                for chunk in chunks:
                    log.write(chunk)
        archive.finish({})
    seconds = time.process_time() - began
    print(
        json.dumps(
            {"bytes": log.bytes, "seconds": seconds, "resident": _resident(), "packed": Path(path).stat().st_size}
        )
    )


def _resident() -> int:
    """The most bytes that were resident in this process; getrusage() counts what its parent had at the fork too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _print(name: str, found: dict[str, float]) -> None:
    speed = found["bytes"] / found["seconds"] / 1e6
    print(
        f"  {name:<14} {speed:>6.0f} MB/s  {found['seconds']:>6.1f} s  {found['resident'] / 2**20:>5.0f} MB resident"
        f"  {found['packed'] / 1e6:>6.1f} MB packed",
        flush=True,
    )


if __name__ == "__main__":
    bundle()
