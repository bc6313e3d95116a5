"""Whether a drill leaves a record: only of a source that anybody can find again, and only where it was told whole."""

from __future__ import annotations

import dataclasses
import getpass
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.drills.evidence import Drill, Failures, Gap
from fixtures.observation import Seen, now
from fixtures.settings import Environment
from plugins.drilling import ACTORS, Drilling
from tests.fixtures.drills.observed import OBSERVED, evidence

SUITE = {"version": "0.1.0", "revision": None}
IMAGE = f"sha256:{'ab' * 32}"


def git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *person, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Drilled:
    """A run's folder with evidence of all drills, a clean source, and an environment that keeps its records."""

    def __init__(self, folder: Path) -> None:
        self.run, self.source, self.records = folder / "run", folder / "chat", folder / "records"
        (self.run / "observations").mkdir(parents=True)
        self.source.mkdir()
        git(self.source, "init", "--quiet", "--initial-branch=main")
        (self.source / "chat.py").write_text("TIMEOUT = 30\n")
        git(self.source, "add", ".")
        git(self.source, "commit", "--quiet", "--message=One")
        for name, value in OBSERVED.items():
            self.observe(name, value)
        self.settings: dict[str, Any] = {"signed_off_by": "ada", "records": self.records}
        self.sandbox = False
        self.path: Path | None = self.source

    def observe(self, name: str, value: Any) -> None:
        self.keep(evidence(name, value))

    def keep(self, document: dict[str, Any]) -> None:
        (self.run / "observations" / f"{document['name']}.json").write_text(json.dumps(document))

    def begun(self) -> Drilling:
        values = {"name": "staging", "tier": "staging", "sandbox": self.sandbox, "resilience": self.settings}
        return Drilling(Environment.model_validate({**values, "repository": {"path": self.path}}), lambda tree: tree)

    def ended(self, drilling: Drilling | None = None, *, stopped: bool = False) -> str:
        return (drilling or self.begun()).ended(self.run, SUITE, stopped=stopped)

    @property
    def record(self) -> dict[str, Any]:
        (file,) = self.records.iterdir()
        return dict(json.loads(file.read_text()))


@pytest.fixture
def drilled(tmp_path: Path) -> Drilled:
    return Drilled(tmp_path)


def test_a_whole_drill_of_a_clean_source_leaves_a_record(drilled: Drilled) -> None:
    """With the commit, the evidence as it is in the run's folder, and who stands for it."""
    said = drilled.ended()
    head = git(drilled.source, "rev-parse", "HEAD")
    assert said.startswith("The record of the drills: ")
    assert said.endswith(f"{head}.json, signed off by ada (resilience.signed_off_by).")
    assert (drilled.record["revision"], drilled.record["suite"]) == (head, SUITE)
    assert drilled.record["redirection"] == "variable MISTRAL_BASE_URL"
    assert drilled.record["observations"].keys() == OBSERVED.keys()


def _dirty(drilled: Drilled) -> None:
    (drilled.source / "chat.py").write_text("TIMEOUT = 60\n")


def _untracked(drilled: Drilled) -> None:
    (drilled.source / "new.py").touch()
    (drilled.source / "newer.py").touch()


def _no_commit(drilled: Drilled) -> None:
    drilled.path = drilled.source.parent / "bare"
    drilled.path.mkdir()
    git(drilled.path, "init", "--quiet")


def _no_git(drilled: Drilled) -> None:
    (drilled.source / ".git").rename(drilled.source.parent / "gone")


def _no_source(drilled: Drilled) -> None:
    drilled.path = None


def _elsewhere(drilled: Drilled) -> None:
    drilled.settings["folder"] = drilled.source.parent


def _running(drilled: Drilled) -> None:
    drilled.settings["fault_server"] = "http://127.0.0.1:1"


def _gap(drilled: Drilled) -> None:
    gap = Gap("not_redirectable", "nothing reached the fault server", "Point it there.")
    failures: Failures = OBSERVED["failures"]
    lost = Drill(fault="503", copy="copy 1", gap=gap)
    drilled.observe("failures", dataclasses.replace(failures, drills=(*failures.drills, lost)))


def _late(drilled: Drilled) -> None:
    drilled.keep(Seen(name="load", at=now(), duration=1.0, reason="timeout", message="late").document())


def _in_part(drilled: Drilled) -> None:
    (drilled.run / "observations" / "rotation.json").unlink()


def _damaged(drilled: Drilled) -> None:
    file = drilled.run / "observations" / "outages.json"
    file.write_text(file.read_text().replace("cleared", "expired"))


def _in_the_way(drilled: Drilled) -> None:
    drilled.records.touch()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_dirty, "chat has changes that are not committed (M chat.py)"),
        (_untracked, "chat has changes that are not committed (?? new.py and 1 more)"),
        (_no_commit, "no commit yet"),
        (_no_git, "is not a git repository"),
        (_no_source, "[repository] path is not set"),
        (_elsewhere, "its source is unknown"),
        (_running, "nothing shows of which source it is"),
        (_gap, "it would not be whole: failures 503: nothing reached the fault server"),
        (_late, "load could not be observed (timeout)"),
        (_in_part, "rotation was not observed in this run; run all of them: -m resilience"),
        (_damaged, "outages was not observed in this run"),
        (_in_the_way, "records cannot be written (File exists)"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_no_other_drill_leaves_one(drilled: Drilled, harm: Callable[[Drilled], None], says: str) -> None:
    """One sentence says why, and nothing is written."""
    harm(drilled)
    said = drilled.ended()
    assert said.startswith("No record was kept of the drills: ")
    assert said.endswith(".")
    assert says in said
    assert not drilled.records.is_dir()


def _edit(source: Path) -> None:
    (source / "chat.py").write_text("TIMEOUT = 90\n")


def _commit(source: Path) -> None:
    git(source, "commit", "--quiet", "--allow-empty", "--message=Two")


@pytest.mark.parametrize("change", [_edit, _commit])
def test_a_source_that_changes_meanwhile_leaves_none(drilled: Drilled, change: Callable[[Path], None]) -> None:
    """What was drilled is neither the old nor the new."""
    drilling = drilled.begun()
    change(drilled.source)
    assert "the source changed while it was drilled" in drilled.ended(drilling)
    assert not drilled.records.exists()


def test_what_the_service_leaves_behind_is_not_its_source(drilled: Drilled) -> None:
    """A folder that it builds when it starts does not undo the record."""
    drilling = drilled.begun()
    (drilled.source / "built.js").touch()
    assert drilled.ended(drilling).startswith("The record")


def test_a_drill_that_is_not_whole_leaves_the_older_record(drilled: Drilled) -> None:
    """What a whole run recorded before still stands."""
    drilled.ended()
    before = drilled.record
    _gap(drilled)
    assert drilled.ended().startswith("No record")
    assert drilled.record == before


def test_a_run_that_was_stopped_leaves_none(drilled: Drilled) -> None:
    """Also where all of it is there: a drill may have seen its copy being taken away."""
    assert "the run was stopped before its end" in drilled.ended(stopped=True)
    assert not drilled.records.exists()


def test_the_sandbox_leaves_no_record_and_says_nothing(drilled: Drilled) -> None:
    """Its drills prove nothing about a service, as the headline says; its source is not even looked at."""
    drilled.sandbox, drilled.path = True, None
    assert drilled.ended() == ""
    assert not drilled.records.exists()


@pytest.mark.parametrize(
    ("revision", "image"),
    [(lambda head: head[:7], IMAGE), (lambda _: "abcdef0", None), (lambda _: None, None)],
    ids=["the-same", "another", "none"],
)
def test_the_image_is_that_of_the_same_commit(
    drilled: Drilled, revision: Callable[[str], str | None], image: str | None
) -> None:
    """Where the Deployment beside the drill runs another commit, its image is none of the record's."""
    named = revision(git(drilled.source, "rev-parse", "HEAD"))
    value = {"revision": named, "containers": [{"image": "proxy:1"}, {"image": f"chat:2@{IMAGE}"}]}
    drilled.keep(Seen(name="workload", at=now(), duration=1.0, value=value).document())
    drilled.ended()
    assert drilled.record["image"] == image


@pytest.mark.parametrize(
    ("setting", "variables", "by", "how"),
    [
        ("ada", {"GITHUB_ACTOR": "grace"}, "ada", "resilience.signed_off_by"),
        (" ", {"GITHUB_ACTOR": "grace", "GITLAB_USER_LOGIN": "x"}, "grace", "variable GITHUB_ACTOR"),
        (None, {"GITHUB_ACTOR": " ", "GITLAB_USER_LOGIN": "linus"}, "linus", "variable GITLAB_USER_LOGIN"),
        (None, {"LOGNAME": "margaret"}, "margaret", "the user of the machine"),
    ],
    ids=["setting", "github", "gitlab", "user"],
)
def test_somebody_signs_every_record_off(
    drilled: Drilled,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    variables: dict[str, str],
    by: str,
    how: str,
) -> None:
    """The settings say who, else the CI system, else the machine."""
    for name in ACTORS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    drilled.settings["signed_off_by"] = setting
    assert f"signed off by {by} ({how})" in drilled.ended()
    assert drilled.record["signed_off"] == {"by": by, "how": how}


def test_where_nobody_signs_there_is_no_record(drilled: Drilled, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose user has no name, and no CI system that names one."""
    for name in ACTORS:
        monkeypatch.delenv(name, raising=False)

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    del drilled.settings["signed_off_by"]
    assert "set resilience.signed_off_by" in drilled.ended()
    assert not drilled.records.exists()
