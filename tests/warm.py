"""Runs of the suite from a process that has its libraries loaded already: as a user starts them, only sooner.

    code, printed = run(["-m", "preflight", "--env", "sandbox"], timeout=120)

A server without threads loads what every run needs, then forks for each run. What a run does from there on is what
`python -m pytest` does in a new process: it loads its plugins, observations and checks itself.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plugins.arguments import _joined

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = [
    "aiohttp.web",
    "filelock",
    "h11",
    "httpx",
    "jinja2",
    "kubernetes.client",
    "kubernetes.dynamic",
    "markdown_it",
    "prometheus_api_client.prometheus_connect",
    "promql_parser",
    "pydantic_settings",
    "pytest",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*LIBRARIES, "tests.loaded"])


@dataclass(frozen=True, slots=True)
class Ended:
    """One finished run."""

    code: int
    printed: str
    """Both streams as one."""
    resident: int
    """The most bytes of memory that one of its processes had at once; 0 where a signal ended it."""


def run(arguments: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit status and all that was printed. Otherwise as `ended`."""
    done = ended(arguments, timeout=timeout, variables=variables)
    return done.code, done.printed


def ended(
    arguments: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None, folder: Path = ROOT
) -> Ended:
    """What `python -m pytest` did in this folder. Raises TimeoutError after so many seconds.

    `variables` are all of the environment; default: this process's own, those of pytest aside.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.NamedTemporaryFile() as printed, tempfile.NamedTemporaryFile() as resident:
        files = printed.name, resident.name
        process = _context.Process(target=_main, args=(list(arguments), dict(variables or own), folder, *files))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            said = Path(printed.name).read_text("utf-8", "replace")
            raise TimeoutError(f"pytest {' '.join(arguments)}: no end within {timeout:g} s; it printed:\n{said}")
        said = Path(printed.name).read_text("utf-8", "replace")
        return Ended(process.exitcode, said, int(Path(resident.name).read_text() or 0))


def _main(arguments: list[str], variables: dict[str, str], folder: Path, printed: str, resident: str) -> None:
    """In the fork: become what a shell would have started."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    file, nothing = os.open(printed, os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    tempfile.tempdir = None  # it remembers what TMPDIR said before
    arguments = list(_joined(arguments))  # a fork cannot start anew, as the plugin does for this
    sys.argv = ["pytest", *arguments]
    sys.path[:0] = [str(folder), *filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))]
    sys.dont_write_bytecode = bool(variables.get("PYTHONDONTWRITEBYTECODE"))

    import pytest

    code = pytest.main(arguments)
    sys.stdout.flush()
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    Path(resident).write_text(str(most * 1024))
    sys.exit(int(code))
