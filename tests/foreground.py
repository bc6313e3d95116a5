"""pytest as somebody starts it who may press Ctrl-C: in the foreground, and in a group of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.environments import ROOT


def started(
    arguments: Sequence[str], *, variables: Mapping[str, str] | None = None, folder: Path = ROOT
) -> subprocess.Popen[str]:
    """`python -m pytest` in this folder, without input; all that it prints comes by `stdout`.

    `variables` are all of the environment; default: this process's own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_heeding,
    )


def _heeding() -> None:
    """A shell's background job ignores Ctrl-C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
