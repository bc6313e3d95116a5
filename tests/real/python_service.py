"""The chat service once more, in Python: for tests and for people.

with PythonServiceProcess(None, {"MISTRAL_API_KEY": ..., "MISTRAL_MODEL": ..., ...}, tmp_path) as service:
    service.url
prepared()                                         the interpreter that has what it needs
python -m tests.real.python_service build          installs that up front
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.real.control_plane.programs import BuildError, PartMissing, made_once
from tests.real.service import ServiceProcess

__all__ = ["SOURCES", "BuildError", "PythonServiceProcess", "prepared"]

SOURCES = Path(__file__).with_name("python_service")
"""Where `python -m chat` starts it."""
REQUIREMENTS = SOURCES / "requirements.txt"


def prepared() -> Path:
    """The interpreter of a virtual environment with the service's requirements, installed once in the user's cache.

    Safe to call from many processes at once. Raises BuildError.
    """
    return made_once(_cache() / _fingerprint(), _install) / "bin" / "python"


class PythonServiceProcess(ServiceProcess):
    """As `ServiceProcess`; raises BuildError, StartError."""

    def _program(self) -> tuple[list[str], dict[str, str]]:
        return [str(prepared()), "-m", "chat"], {"PYTHONPATH": str(SOURCES)}


def _install(into: Path) -> None:
    _run([sys.executable, "-m", "venv", str(into)])
    pip = [str(into / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "--requirement", str(REQUIREMENTS)])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{' '.join(command)} failed with {done.returncode}:\n{said}")


def _fingerprint() -> str:
    """What the environment depends on: the pins, and the interpreter that it is made by."""
    maker = f"{sys.version_info[:3]} {sys.base_prefix} {sys.platform} {platform.machine()}\n"
    return hashlib.sha256(maker.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:16]


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification has a relative path ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "golive" / "python-service"


def main(arguments: Sequence[str]) -> int:
    """`build`: install what the service needs, and print its interpreter."""
    if list(arguments) != ["build"]:
        sys.stderr.write("usage: python -m tests.real.python_service build\n")
        return 2
    try:
        sys.stdout.write(f"{prepared()}\n")
    except (PartMissing, BuildError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
