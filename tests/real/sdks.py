"""The official SDKs, each major version by itself: installed once, kept in the user's cache folder.

python(2)                             an interpreter whose `mistralai` is version 2, and which has nothing else
typescript()                          the folder in which Node finds `@mistralai/mistralai`
python -m tests.real.sdks prepare     installs them up front
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.real import service
from tests.real.control_plane.programs import BuildError, PartMissing, made_once

__all__ = ["PINS", "PYTHON", "BuildError", "PartMissing", "python", "typescript"]

PYTHON = (1, 2, 3)
"""The major versions of the Python SDK."""
PINS = Path(__file__).with_name("sdk_clients")
"""The folder of `python-N.txt`: the pins of version N and all that it needs, which `make requirements` writes."""


def python(major: int) -> Path:
    """The interpreter that has this version. Safe to call from many processes at once. Raises BuildError."""
    pins = PINS / f"python-{major}.txt"
    return made_once(_cache() / f"python-{major}-{_fingerprint(pins)}", lambda folder: _install(pins, folder)) / (
        "bin/python"
    )


def typescript() -> Path:
    """The TypeScript service's folder: what is loaded from there has its SDK. Raises PartMissing, BuildError."""
    return service.prepared()


def _install(pins: Path, folder: Path) -> None:
    """An environment without pip, filled from outside, and moved when it is whole: only its interpreter is used."""
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    into = ["--python", str(folder / "bin" / "python")]
    wanted = ["--require-hashes", "--only-binary=:all:", "-r", str(pins)]
    _run([sys.executable, "-m", "pip", *into, "install", "--quiet", "--disable-pip-version-check", *wanted])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{' '.join(command)} failed with {done.returncode}:\n{said}")


def _fingerprint(pins: Path) -> str:
    """What an environment depends on: its pins, and the interpreter that it links to."""
    base = Path(sys.executable).resolve()
    return hashlib.sha256(pins.read_bytes() + f"{base} {sys.version}".encode()).hexdigest()[:16]


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification has a relative path ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "golive" / "sdks"


def main(arguments: Sequence[str]) -> int:
    """`prepare`: install every version, and print where each is."""
    if list(arguments) != ["prepare"]:
        sys.stderr.write("usage: python -m tests.real.sdks prepare\n")
        return 2
    try:
        for found in (*map(python, PYTHON), typescript()):
            sys.stdout.write(f"{found}\n")
    except (PartMissing, BuildError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
