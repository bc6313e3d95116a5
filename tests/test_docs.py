"""What the documents say is true: they are executed, or compared with what they describe."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fixtures.drills.failures import DRILLED
from fixtures.drills.plan import Plan
from fixtures.observation import REASONS
from fixtures.sandbox.specimen import load, scenarios
from fixtures.selection import ALIASES
from fixtures.settings import Resilience
from fixtures.settings import load as settings
from reports import verdict
from reports.model import STATUSES
from reports.wording import WORDS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = (ROOT / "docs" / "adding-a-check.md").read_text("utf-8")
RESILIENCE = (ROOT / "docs" / "resilience.md").read_text("utf-8")
TRIAGE = (ROOT / "docs" / "triage.md").read_text("utf-8")
TREE = tomllib.loads((ROOT / "plugins" / "triage" / "tree.toml").read_text("utf-8"))
DOCUMENTS = [
    pytest.param(README, id="README.md"),
    pytest.param(GUIDE, id="adding-a-check.md"),
    pytest.param(RESILIENCE, id="resilience.md"),
    pytest.param(TRIAGE, id="triage.md"),
]
PREFLIGHT = ("-m", "pytest", "-m", "preflight", "--env", "sandbox")


def files() -> list[Path]:
    """The project's files relative to its root: what git knows, and what it would take in."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in listed if name and (ROOT / name).is_file()]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    return [line[2:].partition(" #")[0].strip() for block in blocks(text, "console") for line in block.splitlines()]


def rows(text: str, head: str) -> list[list[str]]:
    """The rows of the table whose first column has this head."""
    table = text.partition(f"\n| {head} |")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ", 1)] for line in table]


def codes(text: str) -> list[str]:
    """What stands between backticks in the prose."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def written(text: str) -> dict[str, str]:
    """The python blocks of a document, by the file that the prose before each names last."""
    found = {}
    pieces = re.split(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    for prose, block in zip(pieces[::2], pieces[1::2], strict=False):
        found[re.findall(r"`([\w/]+\.py)`", prose)[-1]] = block
    return found


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=120)


def statuses(run_folder: Path) -> dict[str, str]:
    report = json.loads((run_folder / "report.json").read_text("utf-8"))
    return {finding["id"]: finding["status"] for finding in report["findings"]}


@pytest.fixture(scope="module")
def option_help() -> str:
    return run(ROOT, "-m", "pytest", "--help").stdout


@pytest.mark.parametrize("option", [code.split("`")[1] for code, _ in rows(README, "option")])
def test_an_option_of_the_table_exists(option: str, option_help: str) -> None:
    """Each is in `pytest --help`, one that takes a value with that value."""
    name = re.split(r"[ =]", option)[0]
    assert re.search(rf"^  ({name}|-\w.*, {name}|{name}, .*)\b", option_help, re.MULTILINE)


def test_the_names_of_environments_are_those_that_exist() -> None:
    """A file each, and the short forms."""
    said = dict(rows(README, "option"))["`--env NAME`"]
    names, aliases, _ = said.split("(")[0], said.split("(")[1].split(")")[0], said
    there = {file.stem for file in (ROOT / "environments").glob("*.toml")} - {"base", "waivers"}
    assert set(codes(names)) == there
    assert set(codes(aliases)) == ALIASES.keys()


def test_statuses_and_reasons_are_those_of_the_model() -> None:
    """Every status has its row; every reason that is named is one."""
    table = dict(rows(README, "status"))
    assert list(table) == [WORDS[status] for status in ("passed", "failed", "unverified", *STATUSES[3:])]
    assert sorted(codes(table["unverified"])) == sorted(REASONS)


def test_exit_codes_are_those_of_the_verdict() -> None:
    """0, 1, 10, and between them pytest's own."""
    go, failed, pytests, incomplete = (code for code, _ in rows(README, "exit code"))
    assert [int(go), int(failed), int(incomplete)] == [verdict.GO, verdict.FAILED, verdict.INCOMPLETE]
    first, last = map(int, pytests.split(" to "))
    assert list(range(first, last + 1)) == sorted(verdict.PYTEST_SAYS) == sorted(pytest.ExitCode)[2:]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_file_that_is_named_exists(text: str) -> None:
    """In a link, in the prose or in a command; but for what a run or the guide writes."""
    linked = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    told = [code for code in codes(text) if re.fullmatch(r"[\w.-]+/[\w./-]*", code)]
    asked = [word for line in commands(text) for word in line.split() if re.fullmatch(r"[a-z]\w*/[\w./-]+", word)]
    new = {*written(text), "drafts/", "observations/", "reports/runs/"}
    linked = [target.removeprefix("../") for target in linked]
    assert [name for name in (*linked, *told, *asked) if name not in new and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_scenario_that_is_named_exists(text: str) -> None:
    """Or is written by the guide itself."""
    known = {*scenarios(), *re.findall(r'name="([a-z0-9-]+)"', text)}
    named = re.findall(r"--scenario ([a-z][a-z0-9-]+)", text)
    assert named
    assert [name for name in named if name not in known] == []


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_target_of_make_that_is_named_exists(text: str) -> None:
    """`make preflight` and the others."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"^make (\w+)", "\n".join([*codes(text), *commands(text)]), re.MULTILINE)
    assert named
    assert set(named) - targets == set()


def test_the_settings_of_the_example_are_settings(tmp_path: Path) -> None:
    """Copied into a folder of one's own, they are accepted as they stand."""
    (block,) = blocks(README, "toml")
    (tmp_path / "production.toml").write_text(block, "utf-8")
    shutil.copy(ROOT / "environments" / "base.toml", tmp_path)
    environment = settings("production", tmp_path)
    assert environment.kubernetes.deployment == tomllib.loads(block)["kubernetes"]["deployment"]


def test_the_settings_of_the_drills_are_settings(tmp_path: Path) -> None:
    """They are accepted as they stand, none is left out, and what is said to be the default is."""
    (block,) = blocks(RESILIENCE, "toml")
    (tmp_path / "staging.toml").write_text('tier = "staging"\n' + block, "utf-8")
    shutil.copy(ROOT / "environments" / "base.toml", tmp_path)
    assert settings("staging", tmp_path).resilience.command
    told = tomllib.loads(block)["resilience"]
    defaults = Resilience().model_dump(mode="json")
    started = set(tomllib.loads(block.partition("# From here on")[0])["resilience"])
    assert {name: told[name] for name in told.keys() - started} == {
        name: defaults[name] for name in told.keys() - started
    }
    elsewhere = {name for name in defaults.keys() - told.keys() if f"`{name}`" in RESILIENCE}
    assert defaults.keys() - told.keys() - elsewhere == set()


def test_the_cost_of_the_drills_is_that_of_the_plan(tmp_path: Path) -> None:
    """By the settings of the page, group by group, in messages and seconds."""
    (block,) = blocks(RESILIENCE, "toml")
    (tmp_path / "staging.toml").write_text('tier = "staging"\n' + block, "utf-8")
    shutil.copy(ROOT / "environments" / "base.toml", tmp_path)
    plan = Plan(settings("staging", tmp_path))
    costs = {"faults": [0, 0.0], "outages": [0, 0.0], "load": [0, 0.0], "rotation": [0, 0.0]}
    for item in plan.items:
        kind = "faults" if item.name in DRILLED else "outages" if "(" in item.name else "load"
        cost = costs[item.name if item.name in costs else kind]
        cost[0] += item.messages
        cost[1] += item.seconds
    told = [re.findall(r"\| (\d+) \| (\d+)", " | ".join(row))[-1] for row in rows(RESILIENCE, "drills")]
    expected = [*costs.values(), (plan.messages, plan.seconds)]
    assert told == [(str(messages), f"{seconds:.0f}") for messages, seconds in expected]


def _worded(text: str) -> str:
    """On one line, each number as N: how a page is broken and what a run counts is not what is compared."""
    return re.sub(r"\d+(\.\d+)?", "N", " ".join(text.split()))


def test_a_circuit_that_never_opens_is_told_of_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command prints holds each piece of what the page shows."""
    monkeypatch.setenv("GOLIVE_RESILIENCE__BREAKER_RESET", "2")  # a busy machine sends nothing within the sandbox's 0.3
    section = RESILIENCE.partition("## A service that does not hold")[2].partition("\n## ")[0]
    (line,), (shown,) = commands(section), blocks(section, "text")
    done = run(ROOT, *shlex.split(line)[1:], f"--run-dir={tmp_path / 'run'}")
    assert done.returncode == verdict.FAILED, done.stdout
    printed = _worded(done.stdout)
    missing = [piece for piece in re.split(r"^\.\.\.$", shown, flags=re.MULTILINE) if _worded(piece) not in printed]
    assert missing == [], done.stdout


def test_a_night_is_told_of_as_shown(tmp_path: Path) -> None:
    """What triage prints holds each piece of what the page shows, and leaves the drafts that it promises."""
    section = TRIAGE.partition("## What it shows")[2].partition("\n## ")[0]
    (line,), (shown,) = commands(section), blocks(section, "text")
    folder = tmp_path / "reports" / "runs" / "20261122T222115Z-sandbox-triage"
    done = run(ROOT, *shlex.split(line)[1:], f"--run-dir={folder}")
    assert done.returncode == verdict.FAILED, done.stdout
    printed = _worded(done.stdout)
    pieces = re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)
    missing = [piece for piece in pieces if "/drafts/" not in piece and _worded(piece) not in printed]
    assert missing == [], done.stdout
    assert sorted(path.name for path in (folder / "drafts").iterdir()) == [
        "postmortem.md",
        "slack.md",
        "status-page.md",
    ]


def test_the_diagnoses_of_the_page_are_those_of_the_tree() -> None:
    """Each with its page, by the title that triage shows."""
    told = {re.findall(r"\[([a-z-]+)\]", page)[0]: title for title, page in rows(TRIAGE, "diagnosis")}
    assert told == {name: row["title"] for name, row in TREE["diagnoses"].items()}


def test_the_response_times_of_the_page_are_those_of_the_tree() -> None:
    """P1 to P4."""
    told = {level: rest.split(" | ")[0] for level, rest in rows(TRIAGE, "severity")}
    assert told == TREE["respond"]


def test_a_run_leaves_the_files_that_are_named(tmp_path: Path) -> None:
    """And the commands for a run's folder work on it, without anything but the folder."""
    folder = tmp_path / "run"
    done = run(ROOT, *PREFLIGHT, f"--run-dir={folder}")
    assert done.returncode == verdict.GO, done.stdout
    said = README.partition("## What a run leaves")[2].partition("\n## ")[0]
    for name in re.findall(r"`([a-z]+(?:\.[a-z]+|/))`", said):
        assert (folder / name).exists(), name
    for line in commands(said):
        program, *arguments = shlex.split(line.replace("RUN", str(folder)))
        assert program == ".venv/bin/python"
        again = [f"--run-dir={tmp_path / 'replay'}"] if "--replay" in arguments else []
        assert run(ROOT, *arguments, *again).returncode == 0, line


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which the guide was followed to the letter."""
    copy = tmp_path_factory.mktemp("project")
    for file in files():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, copy / file)
    for name, block in written(GUIDE).items():
        assert not (copy / name).exists(), f"{name} is the project's own by now: the guide needs another example"
        (copy / name).write_text(block, "utf-8")
    catalogue = next(line for line in commands(GUIDE) if line.startswith("make "))
    # Under `make test` a make of ours would take itself for a part of that one, and speak like it.
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    recipe = subprocess.run(
        [*catalogue.split(), "-n"], cwd=copy, env=alone, capture_output=True, text=True, check=True
    ).stdout
    program, *arguments = recipe.splitlines()[-1].split()
    assert program == ".venv/bin/python"
    done = run(copy, *arguments)
    assert done.returncode == 0, done.stderr
    return copy


def _new(copy: Path) -> str:
    """The id of the check that the guide adds."""
    (id_,) = re.findall(r'^    "([A-Z]{3}-\d{3})",$', GUIDE, re.MULTILINE)
    catalogue: dict[str, Any] = json.loads((copy / "checks" / "catalogue.json").read_text("utf-8"))
    assert id_ in [row["id"] for row in catalogue["checks"]]
    return str(id_)


def test_the_check_of_the_guide_holds_in_the_healthy_sandbox(followed: Path, tmp_path: Path) -> None:
    """It is found, asked and passed, with no other file touched."""
    done = run(followed, *PREFLIGHT, f"--run-dir={tmp_path / 'run'}")
    assert done.returncode == verdict.GO, done.stdout
    assert statuses(tmp_path / "run")[_new(followed)] == "passed"


def test_the_specimen_of_the_guide_breaks_it_and_nothing_else(followed: Path, tmp_path: Path) -> None:
    """By the command that the guide gives."""
    (line,) = [line for line in commands(GUIDE) if "--scenario" in line]
    done = run(followed, *line.split()[1:], f"--run-dir={tmp_path / 'run'}")
    assert done.returncode == verdict.FAILED, done.stdout
    found = statuses(tmp_path / "run")
    assert {id_ for id_, status in found.items() if status not in {"passed", "not_applicable"}} == {_new(followed)}


def test_the_guide_names_every_specimen_that_blinds_its_observation() -> None:
    """A check that stands on the Deployment alone is blinded by these and by no others."""
    alone = "INF-003"
    blind = {row.name for row in load() if row.status == "unverified" and alone in row.breaks}
    paragraph = next(text for text in GUIDE.split("\n\n") if text.startswith("What blinds an observation"))
    assert set(re.findall(r"`([a-z]+-[a-z-]+)`", paragraph)) == blind


def test_no_file_names_a_place_outside_the_project() -> None:
    """No folder of the machine on which it was written, no host that packages are fetched from."""
    places = ["/" + "work/", "../" + "shared", "files.python" + "hosted", "registry." + "npmjs", "proxy." + "golang"]
    texts = {file: (ROOT / file).read_text("utf-8", errors="ignore") for file in files() if file.suffix != ".png"}
    assert [(str(file), place) for file, text in texts.items() for place in places if place in text] == []
