"""What docs/rollout.md says is true: its settings load, its output is real, its table is that of the checks."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from fixtures.settings import Rollout
from fixtures.settings import load as settings
from plugins.catalogue import Catalogue
from tests.test_docs import (
    ROOT,
    blocks,
    commands,
    rows,
    run,
)
from tests.test_docs import test_a_file_that_is_named_exists as files_exist
from tests.test_docs import test_a_scenario_that_is_named_exists as scenarios_exist
from tests.test_docs import test_a_target_of_make_that_is_named_exists as targets_exist

PAGE = (ROOT / "docs" / "rollout.md").read_text("utf-8")


def test_the_settings_are_settings(tmp_path: Path) -> None:
    """They are accepted as they stand, and every one that has no default to keep is among them."""
    (block,) = blocks(PAGE, "toml")
    (tmp_path / "production.toml").write_text('tier = "production"\n' + block, "utf-8")
    shutil.copy(ROOT / "environments" / "base.toml", tmp_path)
    rollout = settings("production", tmp_path, variables={}).rollout
    assert (rollout.canary, rollout.steps, rollout.windows) == ("chat-canary", Rollout().steps, Rollout().windows)
    named = set(re.findall(r"rollout\.(\w+)", PAGE)) - {"md"}
    assert named <= set(Rollout.model_fields)


def test_the_table_is_that_of_the_checks() -> None:
    """Each check of the phase, in its order."""
    known = Catalogue.load(ROOT / "checks" / "catalogue.json").phase("rollout")
    assert [row[0] for row in rows(PAGE, "check")] == list(known)


def test_the_output_is_that_of_the_run(tmp_path: Path) -> None:
    """Word by word, where the page leaves none out; the figures are those of one run."""
    (command,) = [line for line in commands(PAGE) if "--scenario" in line]
    folder = tmp_path / "run"
    done = run(ROOT, *command.split()[1:], "--run-dir", str(folder))
    assert done.returncode == 1, done.stdout
    (shown,) = blocks(PAGE, "text")
    for piece in shown.split("\n...\n"):
        assert _words(piece) in _words(done.stdout)
    assert json.loads((folder / "report.json").read_text())["phase"] == "rollout"


def _words(text: str) -> str:
    return " ".join(re.sub(r"\d[\d.,e+]*", "0", text).split())


@pytest.mark.parametrize("holds", [files_exist, scenarios_exist, targets_exist])
def test_what_it_names_exists(holds: object) -> None:
    """Files, scenarios and targets, as in every other page."""
    assert callable(holds)
    holds(PAGE)
