"""What a finding names as its evidence is in the run's folder, however slow the look and whatever it was needed for."""

from __future__ import annotations

from tests.plugins.conftest import Suite

BOTH = '''
from plugins.catalogue import check


@check("INF-001", severity="blocker", remedy="Fix both.")
def test_both(first, third):
    """Both things hold."""
    assert [*first.offenders(), *third.offenders()] == []
'''


def test_a_check_waits_for_all_that_it_names(suite: Suite) -> None:
    """One look is refused at once and decides; the other still hangs, and is on record all the same."""
    suite.write("checks/infra/probes.py", BOTH)
    (suite.path / "checks" / "secrets" / "advice.py").unlink()
    suite.catalogue()
    suite.write("looks.py", (suite.path / "looks.py").read_text().replace("DEADLINE = 20", "DEADLINE = 1"))
    suite.write("world.txt", "first denied\nthird hang\n")
    run = suite.run("-m", "preflight", "--env", "staging")
    assert (run.code, run.finding("INF-001")["reason"]) == (10, "denied"), run.printed
    assert {row["name"]: row["reason"] for row in run.report["observations"]} == {"first": "denied", "third": "timeout"}
    assert "is not there" not in run.printed


def test_what_the_settings_exempt_from_names_no_evidence(suite: Suite) -> None:
    """Nobody waits for a look that nobody judges; that it never came is no doubt about the run."""
    suite.write("world.txt", "first ok\nsecond hang\nthird ok\n")
    exempt = '[checks.INF-002]\nnot_applicable = "somebody else answers for it"\n'
    suite.write("environments/staging.toml", f'tier = "staging"\n{exempt}')
    run = suite.run("-m", "preflight", "--env", "staging")
    assert run.code == 0, run.printed
    assert run.finding("INF-002")["evidence"] == []
