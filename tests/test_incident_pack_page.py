"""What docs/incident-pack.md says is true: its output is real, its settings load, its table is that of a pack."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from fixtures.bundle.logs import STREAMS
from fixtures.settings import Bundle
from fixtures.settings import load as settings
from reports.bundle.archive import NAME
from tests.test_docs import ROOT, _worded, blocks, codes, commands, rows, run
from tests.test_docs import test_a_file_that_is_named_exists as files_exist
from tests.test_docs import test_a_scenario_that_is_named_exists as scenarios_exist

PAGE = (ROOT / "docs" / "incident-pack.md").read_text("utf-8")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the run that the page shows, and what it printed."""
    folder = tmp_path_factory.mktemp("page") / "reports" / "runs" / "20261123T015921Z-sandbox-triage"
    (line,) = [line for line in commands(PAGE) if "--scenario" in line]
    return folder, run(ROOT, *line.split()[1:], f"--run-dir={folder}").stdout


def test_what_the_run_says_of_its_pack_is_as_shown(night: tuple[Path, str]) -> None:
    """Word by word; folders and figures are those of one run."""
    folder, printed = night
    shown, _ = blocks(PAGE, "text")
    inside = printed.replace(str(folder), f"reports/runs/{folder.name}")
    assert re.sub(r"\s", "", _worded(shown)) in re.sub(r"\s", "", _worded(inside)), printed


def test_what_verify_says_of_it_is_as_shown(night: tuple[Path, str]) -> None:
    """In the folder in which the pack lies."""
    _, shown = blocks(PAGE, "text")
    (line,) = [line for line in commands(PAGE) if "verify" in line]
    done = run(ROOT, *line.replace(NAME, str(night[0] / NAME)).split()[1:])
    assert done.returncode == 0, done.stderr
    assert _worded(done.stdout.replace(f"{night[0]}/", "")) == _worded(shown)


def test_the_table_is_that_of_a_pack(night: tuple[Path, str]) -> None:
    """Every file of a pack has its row, but for those that this one says it is without."""
    told = {code for row in rows(PAGE, "file") for code in codes(row[0])}
    with zipfile.ZipFile(night[0] / NAME) as pack:
        there = {path.partition("/")[0] + ("/" if "/" in path else "") for path in pack.namelist()}
    assert told - there == {"metrics/"}
    assert there - told == set()


def test_the_settings_are_the_defaults(tmp_path: Path) -> None:
    """All of them, as they stand; and so is the number of logs."""
    (block,) = blocks(PAGE, "toml")
    (tmp_path / "production.toml").write_text('tier = "production"\n' + block, "utf-8")
    shutil.copy(ROOT / "environments" / "base.toml", tmp_path)
    assert settings("production", tmp_path, variables={}).bundle == Bundle()
    assert set(re.findall(r"^(\w+) =", block, re.MULTILINE)) == set(Bundle.model_fields)
    assert f"At most {STREAMS} logs are read" in PAGE


@pytest.mark.parametrize("holds", [files_exist, scenarios_exist])
def test_what_it_names_exists(holds: object) -> None:
    """Files and scenarios, as in every other page; but for what is in a pack."""
    assert callable(holds)
    holds(re.sub(r"^\|.*\|$|`(?:POD/CONTAINER\.log|incident-pack\.zip)`", "", PAGE, flags=re.MULTILINE))
