"""Runs that inject faults: who may, what they say before, what they leave behind, and what production makes of it.

The drills here are small ones of our own: they ask a provider that counts, in the place of a service.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.conftest import Outcome, Suite
from tests.plugins.counting import Counting

CHECKS = '''
from plugins.catalogue import check


@check("RES-001", severity="blocker", remedy="Answer it.")
def test_answered(failures):
    """Each fault is answered."""
    assert [drill.fault for drill in failures.drills if drill.ended] == []


@check("RES-004", severity="blocker", remedy="Open.")
def test_opens(outages, redirection):
    """The circuit opens."""
    assert outages.outages == ()


@check("RES-010", severity="advisory", remedy="Wait.")
def test_storm(load, rotation):
    """No storm."""
    assert load.storm.ended == ""
'''

DRILLS = '''
from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest

from fixtures.drills.evidence import Drill, Failures, Gap, Load, Outages, Redirection, Rotation
from fixtures.drills.scene import budgets
from fixtures.observation import CannotObserve, observation


class Stage:
    """world.txt: `drill ok`, `drill crashed`, `drill gap`, `drill late`."""

    def __init__(self, environment, permission, records):
        self.environment, self.drills, self.records = environment, permission.injects(environment), records
        self.budgets = budgets(environment)

    def of(self, name, kind, fields):
        if not self.drills:
            return self.records.read(name, kind)
        with urllib.request.urlopen(f"{self.environment.service.url}/{name}", timeout=10):
            return kind(**fields(self))

    @property
    def drill(self):
        word = Path("world.txt").read_text().split("drill ")[1].split()[0]
        if word == "late":
            raise CannotObserve("timeout", "no answer", remedy="Wait.")
        if word == "hang":
            time.sleep(60)
        gap = Gap("not_redirectable", "nothing reached the fault server", "Point it there.") if word == "gap" else None
        return Drill(fault="500", copy="copy 1", ended="exit code 1" if word == "crashed" else "", gap=gap)


@pytest.fixture(scope="session")
def stage(environment, permission, records):
    return Stage(environment, permission, records)


@observation(deadline=20)
def redirection(stage) -> Redirection:
    """How."""
    return stage.of("redirection", Redirection, lambda _: {"method": "variable A", "tried": (), "plan": ("16 faults",)})


@observation(deadline=20)
def failures(stage, redirection) -> Failures:
    """Failures."""
    return stage.of(
        "failures", Failures, lambda it: {"budgets": it.budgets, "drills": (it.drill,), "leaks": (), "searched": ()}
    )


@observation(deadline=20)
def outages(stage, redirection) -> Outages:
    """Outages."""
    one = Drill(fault="422", copy="1")
    return stage.of("outages", Outages, lambda it: {"budgets": it.budgets, "outages": (), "callers_fault": one})


@observation(deadline=20)
def load(stage, redirection) -> Load:
    """Load."""
    one = Drill(fault="429", copy="1")
    return stage.of("load", Load, lambda it: {"budgets": it.budgets, "storm": one, "crowd": one, "slow": one})


@observation(deadline=20)
def rotation(stage, redirection) -> Rotation:
    """Rotation."""
    one = Drill(fault="rotation", copy="1")
    return stage.of(
        "rotation", Rotation, lambda it: {"budgets": it.budgets, "drill": one, "handed_out": 1.0, "revoked": 2.0}
    )
'''

PLAN = '''
from fixtures.observation import CannotObserve


class Plan:
    """Stands before the one of the suite."""

    def __init__(self, environment):
        self.environment = environment

    def lines(self):
        if self.environment.resilience.time_limit < 10:
            raise CannotObserve("not_configured", "it takes too long", remedy="Raise resilience.time_limit.")
        return ("16 faults into copies of chat", "120 messages, at most 60 s")
'''

BASE = """
[service]
name = "chat"
url = "{url}"
[provider]
model = "mistral-small-2603"
[repository]
path = "../chat"
revision = "{revision}"
[resilience]
command = ["sleep", "60"]
signed_off_by = "ada@example.com"
"""

DRILLED = {"redirection", "failures", "outages", "load", "rotation"}
RESILIENCE = ("-m", "resilience")
STAGING = (*RESILIENCE, "--env", "staging")
CHANGES = (*STAGING, "--allow-changes")
PRODUCTION = (*RESILIENCE, "--env", "production")


def git(folder: Path, *arguments: str) -> str:
    person = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *person, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def counting() -> Iterator[Counting]:
    server = Counting()
    yield server
    server.close()


@pytest.fixture
def drills(suite: Suite, counting: Counting) -> Suite:
    """Three checks over five drills of a service that counts, its source, and environments for it."""
    suite.write("conftest.py", 'pytest_plugins = ["plugins.run", "looks", "fixtures.cluster", "drills"]\n')
    suite.write("drills.py", DRILLS)
    suite.write("fixtures/drills/plan.py", PLAN)
    suite.write("checks/resilience/faults.py", CHECKS)
    suite.catalogue()
    source = suite.path / "chat"
    source.mkdir()
    git(source, "init", "--quiet", "--initial-branch=main")
    suite.write("chat/chat.py", "TIMEOUT = 30\n")
    git(source, "add", ".")
    git(source, "commit", "--quiet", "--message=One")
    suite.write("environments/base.toml", BASE.format(url=counting.url, revision=git(source, "rev-parse", "HEAD")))
    suite.write("environments/production.toml", 'tier = "production"\n')
    _world(suite, "ok")
    return suite


def _world(suite: Suite, word: str) -> None:
    suite.write("world.txt", f"first ok\nsecond ok\nthird ok\ndrill {word}\n")


def _records(suite: Suite) -> list[Path]:
    return sorted((suite.path / "environments" / "records").glob("*"))


def _notes(done: Outcome) -> str:
    return "\n".join(done.report["notes"])


# Who may


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--env", "production", "--allow-changes"), "--allow-changes --confirm production"),
        (("--env", "prod", "--allow-changes"), "--allow-changes --confirm production"),
        (("--env", "production", "--allow-changes", "--confirm", "staging"), "--confirm production"),
        (("--env", "production", "--allow-changes", "--confirm", ""), "--confirm production"),
        (("--env", "staging", "--allow-changes", "--confirm", "production"), "the environment is staging"),
        (("--env", "production", "--confirm", "production"), "nothing to confirm without --allow-changes"),
        (("--env", "eu", "--allow-changes"), "--allow-changes --confirm eu"),
        (("--replay", "earlier", "--allow-changes"), "a replay changes nothing"),
    ],
)
def test_changes_are_confirmed_by_the_right_name(
    drills: Suite, counting: Counting, arguments: tuple[str, ...], says: str
) -> None:
    """Nothing runs, the message says what to type, exit 4."""
    drills.write("environments/eu.toml", 'tier = "production"\n')
    drills.write("earlier/premises.json", "{}")
    (drills.path / "earlier/observations").mkdir()
    done = drills.run(*RESILIENCE, *arguments)
    assert done.code == 4, done.printed
    assert says in done.printed
    assert "Traceback" not in done.printed
    assert counting.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        STAGING,
        (*PRODUCTION, "--allow-changes", "--confirm", "production"),
        (*PRODUCTION, "--allow-changes", "--confirm", "prod", "-n", "2"),
    ],
    ids=["not-allowed", "production", "production-xdist"],
)
def test_where_nothing_may_be_injected_nothing_is(
    drills: Suite, counting: Counting, arguments: tuple[str, ...]
) -> None:
    """Without leave, and in production with every leave there is: not one request, and never a pass."""
    done = drills.run(*arguments)
    assert counting.asked == []
    assert set(done.statuses.values()) == {"unverified"}, done.printed
    assert {finding["reason"] for finding in done.report["findings"]} == {"no_data"}
    assert done.code == 10
    assert "pytest -m resilience --env staging --allow-changes" in done.printed
    assert "16 faults" not in done.printed
    assert _records(drills) == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_leave_is_carried_to_every_worker_and_into_the_report(
    drills: Suite, counting: Counting, workers: tuple[str, ...]
) -> None:
    """Each drill is made once; that changes were allowed stands in the premises, the report and on the board."""
    done = drills.run(*CHANGES, "--confirm", "staging", *workers)
    assert (done.code, set(done.statuses.values())) == (0, {"passed"}), done.printed
    assert sorted(counting.asked) == sorted(DRILLED)
    premises = json.loads((done.folder / "premises.json").read_text())
    assert premises["permission"] == {"changes": True, "confirmed": "staging"}
    said = "Changes were allowed: --allow-changes --confirm staging."
    assert said in done.report["notes"]
    assert said in " ".join(done.printed.split())
    assert "--allow-changes" in (done.folder / "summary.md").read_text()
    assert said in (done.folder / "report.html").read_text()


def test_a_run_that_only_looks_says_nothing_of_changes(drills: Suite) -> None:
    """No note, and no permission in the premises."""
    done = drills.run("-m", "infra", "--env", "staging")
    assert done.report["notes"] == []
    premises = json.loads((done.folder / "premises.json").read_text())
    assert premises["permission"] == {"changes": False, "confirmed": ""}


def test_leave_without_a_drill_leaves_no_trace_of_one(drills: Suite, counting: Counting) -> None:
    """Other checks, asked with leave: no plan, no record, no sentence about a record."""
    done = drills.run("-m", "infra", "--env", "staging", "--allow-changes")
    assert done.code == 0
    assert done.report["notes"] == ["Changes were allowed: --allow-changes."]
    assert "16 faults" not in done.printed
    assert (counting.asked, _records(drills)) == ([], [])


def test_what_does_not_apply_is_not_drilled(drills: Suite, counting: Counting) -> None:
    """A check that the settings exempt needs no evidence: its faults are not injected for nothing."""
    exempt = "".join(f'[checks.{id_}]\nnot_applicable = "It has no users yet."\n' for id_ in ("RES-001", "RES-004"))
    drills.write("environments/staging.toml", f'tier = "staging"\n{exempt}')
    done = drills.run(*CHANGES)
    assert done.statuses == {"RES-001": "not_applicable", "RES-004": "not_applicable", "RES-010": "passed"}
    assert sorted(counting.asked) == ["load", "redirection", "rotation"]
    exempt += '[checks.RES-010]\nnot_applicable = "It has no users yet."\n'
    drills.write("environments/staging.toml", f'tier = "staging"\n{exempt}')
    counting.asked.clear()
    done = drills.run(*CHANGES)
    assert (counting.asked, set(done.statuses.values())) == ([], {"not_applicable"})
    assert done.report["notes"] == ["Changes were allowed: --allow-changes."]


# The plan


@pytest.mark.parametrize("extra", [(), ("-n", "2"), ("-v",)], ids=["alone", "xdist", "verbose"])
def test_what_is_going_to_be_done_is_said_before_it_is(drills: Suite, extra: tuple[str, ...]) -> None:
    """Once, and before the first finding, also in a log."""
    done = drills.run(*CHANGES, *extra)
    assert done.printed.count("16 faults into copies of chat\n120 messages, at most 60 s\n") == 1, done.printed
    first = re.search(r"RES-0|test_answered", done.printed)
    assert first is not None
    assert done.printed.index("16 faults") < first.start()


def test_a_refused_plan_is_for_the_checks_to_report(drills: Suite) -> None:
    """Nothing is promised that is not going to be done, and nothing breaks."""
    base = (drills.path / "environments/base.toml").read_text()
    drills.write("environments/base.toml", base + "time_limit = 5\n")
    done = drills.run(*CHANGES)
    assert "16 faults into" not in done.printed
    assert done.code == 0, done.printed


# Exit codes without a phase


@pytest.mark.parametrize(
    ("word", "code", "statuses"),
    [
        ("ok", 0, {"RES-001": "passed", "RES-004": "passed", "RES-010": "passed"}),
        ("crashed", 1, {"RES-001": "failed", "RES-004": "passed", "RES-010": "passed"}),
        ("late", 10, {"RES-001": "unverified", "RES-004": "passed", "RES-010": "passed"}),
    ],
)
def test_an_area_has_an_exit_code_and_no_verdict(drills: Suite, word: str, code: int, statuses: dict[str, str]) -> None:
    """0 all passed, 1 something failed, 10 nothing failed but something could not be verified."""
    _world(drills, word)
    done = drills.run(*CHANGES)
    assert (done.code, done.report["exit_code"], done.report["verdict"]) == (code, code, None), done.printed
    assert done.statuses == statuses
    assert done.report["headline"].startswith("No verdict: ")


# The record


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_drill_leaves_the_record_that_production_reads(
    drills: Suite, counting: Counting, workers: tuple[str, ...]
) -> None:
    """Drilled in staging, judged in production: the same findings, and not one request there."""
    first = drills.run(*CHANGES, *workers)
    assert first.code == 0, first.printed
    (file,) = _records(drills)
    record = json.loads(file.read_text())
    head = git(drills.path / "chat", "rev-parse", "HEAD")
    assert (file.name, record["revision"], record["environment"]) == (f"{head}.json", head, "staging")
    assert record["signed_off"] == {"by": "ada@example.com", "how": "resilience.signed_off_by"}
    assert f"{head}.json, signed off by ada@example.com" in _notes(first)
    for name in DRILLED:
        assert record["observations"][name] == json.loads((first.folder / f"observations/{name}.json").read_text())
    counting.asked.clear()
    second = drills.run(*PRODUCTION, *workers)
    assert (second.code, second.statuses) == (0, first.statuses), second.printed
    assert counting.asked == []
    sources = json.loads((second.folder / "observations/failures.json").read_text())["sources"]
    assert any(file.name in source for source in sources)
    assert _records(drills) == [file]
    third = drills.run("-m", "resilience", "--replay", str(second.folder))
    assert (third.code, third.statuses) == (0, first.statuses)


def test_what_failed_in_the_drill_fails_in_production(drills: Suite) -> None:
    """A record is evidence, not a verdict."""
    _world(drills, "crashed")
    assert drills.run(*CHANGES).code == 1
    done = drills.run(*PRODUCTION)
    assert (done.code, done.statuses["RES-001"]) == (1, "failed")


def _older(record: dict[str, Any]) -> dict[str, Any]:
    return record | {"made": "2026-01-01T00:00:00Z"}


def test_a_record_that_was_changed_or_is_too_old_is_no_pass(drills: Suite) -> None:
    """Unverified with the file and the reason, and a replay agrees with the run."""
    from fixtures.observation import digest

    drills.run(*CHANGES)
    (file,) = _records(drills)
    whole = json.loads(file.read_text())
    file.write_text(json.dumps(_older(whole)))
    edited = drills.run(*PRODUCTION)
    assert (edited.code, edited.finding("RES-001")["reason"]) == (10, "malformed")
    assert f"environments/records/{file.name}: sha256" in edited.finding("RES-001")["message"]
    older = {key: value for key, value in _older(whole).items() if key != "sha256"}
    file.write_text(json.dumps({**older, "sha256": digest(older)}))
    stale = drills.run(*PRODUCTION)
    assert (stale.code, stale.finding("RES-001")["reason"]) == (10, "stale")
    assert "a record holds for 14 days" in stale.finding("RES-001")["message"]
    file.unlink()
    replayed = drills.run("-m", "resilience", "--replay", str(stale.folder))
    assert (replayed.code, replayed.finding("RES-001")["reason"]) == (10, "stale")


def test_another_revision_than_the_deployed_one_is_no_pass(drills: Suite, counting: Counting) -> None:
    """The record of what was drilled says nothing about what came after."""
    drills.run(*CHANGES)
    base = (drills.path / "environments/base.toml").read_text()
    deployed = git(drills.path / "chat", "rev-parse", "HEAD")
    drills.write("environments/base.toml", base.replace(deployed, "abcdef0123"))
    done = drills.run(*PRODUCTION)
    assert (done.code, done.finding("RES-001")["reason"]) == (10, "stale")
    assert deployed[:12] in done.finding("RES-001")["message"]
    assert "abcdef0123" in done.finding("RES-001")["message"]


def test_a_drill_of_an_unknown_source_leaves_no_record(drills: Suite) -> None:
    """The report and the board say why in one sentence; what was found is judged all the same."""
    drills.write("chat/chat.py", "TIMEOUT = 60\n")
    done = drills.run(*CHANGES)
    assert done.code == 0
    (note,) = (note for note in done.report["notes"] if "record" in note)
    assert "changes that are not committed (M chat.py)" in note
    assert "".join(note.split()) in "".join(done.printed.split())  # wherever the board breaks its lines
    assert _records(drills) == []


def test_a_drill_in_part_leaves_the_older_record(drills: Suite) -> None:
    """Some of the checks are not the whole: what a whole run recorded before still stands."""
    drills.run(*CHANGES)
    (file,) = _records(drills)
    before = file.read_bytes()
    done = drills.run(*CHANGES, "-k", "answered")
    assert "outages was not observed in this run" in _notes(done)
    assert (file.read_bytes(), _records(drills)) == (before, [file])


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_run_that_stops_at_the_first_failure_leaves_no_record(drills: Suite, workers: tuple[str, ...]) -> None:
    """Its copies are taken away while drills are under way."""
    _world(drills, "crashed")
    done = drills.run(*CHANGES, "-x", *workers)
    assert "the run was stopped before its end" in _notes(done), done.printed
    assert _records(drills) == []


def test_a_secret_in_a_drill_is_in_no_record(drills: Suite) -> None:
    """Not in the record, not in the notes."""
    secret = "q7Z9xWc4naryS3cretV4lueThatNobodySees"
    text = (drills.path / "drills.py").read_text()
    drills.write("drills.py", text.replace('"16 faults"', f'"16 faults of {secret}"'))
    done = drills.run(*CHANGES, API_KEY=secret)
    (file,) = _records(drills)
    assert "16 faults of" in file.read_text()
    assert secret not in file.read_text()
    assert secret not in done.printed
    assert drills.run(*PRODUCTION).code == 0


def test_an_interrupted_drill_leaves_no_record(drills: Suite, counting: Counting) -> None:
    """Ctrl-C while a fault is on: pytest's own status, a report, and nothing that production could read."""
    _world(drills, "hang")
    process, folder = drills.start(*CHANGES)
    deadline = time.monotonic() + 60
    while "failures" not in counting.asked:
        assert time.monotonic() < deadline, "the drill never began"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 2, printed
    assert _records(drills) == []
    report = json.loads((folder / "report.json").read_text())
    assert any("No record was kept" in note for note in report["notes"])
