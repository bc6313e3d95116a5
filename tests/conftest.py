"""What the project's own tests share."""

from __future__ import annotations

import os

import pytest

from plugins import demand


def pytest_pycollect_makemodule(parent: pytest.Collector) -> None:
    """Tests ask for looks by their names, not by arguments: all of them are loaded.

    Not when this file is: pytest reads it at the start of each run, whatever is asked for.
    """
    demand.load(parent.config, demand.declared())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests decide which environment they mean; the machine that runs them must not."""
    for name in os.environ:
        if name.startswith("GOLIVE_") or name in {"APP_ENV", "NODE_ENV", "VERCEL_ENV"}:
            monkeypatch.delenv(name)
