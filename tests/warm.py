"""Runs of the suite from a process that has its libraries loaded already: as a user starts them, only sooner.

    code, printed = run(["-m", "preflight", "--env", "sandbox"], timeout=120)

A server without threads loads what every run needs and nothing of ours, then forks for each run. What a run does from
there on is what `python -m pytest` does in a new process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = [
    "aiohttp.web",
    "filelock",
    "httpx",
    "jinja2",
    "kubernetes.client",
    "kubernetes.dynamic",
    "markdown_it",
    "prometheus_api_client",
    "promql_parser",
    "pydantic_settings",
    "pytest",
]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


def run(arguments: Sequence[str], *, timeout: float, variables: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit status and all that was printed, both streams as one. Raises TimeoutError after so many seconds.

    `variables` are all of the environment; default: this process's own, those of pytest aside.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with tempfile.NamedTemporaryFile() as printed:
        process = _context.Process(target=_main, args=(list(arguments), dict(variables or own), printed.name))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            assert process.pid is not None
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
            raise TimeoutError(f"pytest {' '.join(arguments)}: no end within {timeout:g} s")
        return process.exitcode, Path(printed.name).read_text("utf-8", "replace")


def _main(arguments: list[str], variables: dict[str, str], printed: str) -> None:
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
    os.chdir(ROOT)
    sys.argv = ["pytest", *arguments]
    sys.path.insert(0, str(ROOT))

    import pytest

    code = pytest.main(arguments)
    sys.stdout.flush()
    sys.exit(int(code))
