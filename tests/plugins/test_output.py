"""What a run tells while a check is under way is seen, and what the check itself prints is not."""

from __future__ import annotations

import pytest

from tests.plugins.conftest import Suite

CHECKS = '''
import os

from plugins.catalogue import check


@check("INF-001", severity="blocker", remedy="Fix it.")
def test_first(first, request):
    """The first thing holds."""
    request.config.get_terminal_writer().write("told meanwhile\\n")
    os.write(1, b"printed by the check\\n")
    assert first.offenders() == []
'''


@pytest.mark.parametrize("capture", ["fd", "sys"])
def test_what_is_told_while_a_check_runs_is_seen(suite: Suite, capture: str) -> None:
    """pytest takes what a check prints; an answer that came meanwhile from another thread is no part of that."""
    suite.write("checks/infra/probes.py", CHECKS)
    suite.catalogue()
    done = suite.run("-m", "preflight", "--env", "staging", f"--capture={capture}")
    assert done.printed.count("told meanwhile\n") == 1
    assert done.printed.index("told meanwhile") < done.printed.index("preflight · ")
    if capture == "fd":
        assert "printed by the check" not in done.printed
