"""`--config DIR` in two words: pytest takes a folder that it meets on the command line for the project's root.

It reads the command line once before any plugin is loaded, and then the words after options that it does not know yet
are paths to it. Joined as `--config=DIR` they are not. So the command line is joined, and pytest starts again.

This module is the environment's entry point into pytest; all else is loaded by the conftest.py of the root.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

FOLDERS = ("--config", "--run-dir", "--replay", "--alluredir")


def pytest_addoption() -> None:
    """The first thing that pytest asks of a plugin."""
    rejoin()


def rejoin() -> None:
    """Start pytest again with its folders joined to their options, if it was started with two words. May not return."""
    arguments = sys.argv[1:]
    joined = list(_joined(arguments))
    if joined != arguments and _is_pytest(sys.argv[0]) and sys.orig_argv[-len(arguments) :] == arguments:
        before = sys.orig_argv[1 : len(sys.orig_argv) - len(arguments)]
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *before, *joined])  # noqa: S606 - the same program, the same arguments


def _joined(arguments: Iterable[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        value = next(words, None) if word in FOLDERS else None
        if value is None:
            yield word
        elif value.startswith("-"):
            yield from (word, value)
        else:  # also where it is not there yet: it is by the time that xdist's workers read the same words
            yield f"{word}={value}"


def _is_pytest(program: str) -> bool:
    parts: Sequence[str] = Path(program).parts
    return parts[-1] in {"pytest", "py.test", "pytest.exe"} or parts[-2:] == ("pytest", "__main__.py")
