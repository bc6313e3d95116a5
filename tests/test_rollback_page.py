"""What docs/rollback.md shows is what a run prints, and what it names is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fixtures.sandbox.specimen import scenarios
from tests import warm

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "rollback.md").read_text("utf-8")


def run(folder: Path, *extra: str) -> str:
    return warm.run([f"--run-dir={folder}", "--env", "sandbox", *extra], timeout=120)[1]


def test_a_rollback_that_does_not_end_well_is_told_of_as_shown(tmp_path: Path) -> None:
    """Line by line, in a terminal of 80 columns."""
    (shown,) = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert shown in run(tmp_path / "run", "-m", "rollback", "--scenario", "rollback-late")


def test_the_scenarios_of_the_page_exist() -> None:
    """Each can be started."""
    named = set(re.findall(r"`((?:rollback|deployment)-[a-z-]+)`", PAGE))
    assert len(named) > 3
    assert named <= scenarios().keys()


def test_the_sandbox_is_undone_in_a_run_of_the_phase_and_in_no_other(tmp_path: Path) -> None:
    """A run of everything at once must not change what its other checks look at."""
    asked = []
    for number, phase in enumerate((("-m", "rollback"), ("-m", "postdeploy"), ())):
        run(tmp_path / str(number), *phase, "-k", "nothing_has_this_name")
        premises = json.loads((tmp_path / str(number) / "premises.json").read_text("utf-8"))
        asked.append(premises["intent"]["to_revision"])
    assert asked == [1, None, None]
