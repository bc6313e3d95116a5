"""What the project's own tests share."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests decide which environment they mean; the machine that runs them must not."""
    for name in os.environ:
        if name.startswith("GOLIVE_") or name in {"APP_ENV", "NODE_ENV", "VERCEL_ENV"}:
            monkeypatch.delenv(name)
