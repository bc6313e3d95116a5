"""A run as its users meet it: statuses, exit status, and the files it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plugins.conftest import Suite

ENV = ("--env", "staging")
PREFLIGHT = ("-m", "preflight", *ENV)


def test_all_holding_is_go(suite: Suite) -> None:
    """Every blocker passed: GO, exit 0, and every check answered."""
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.report["verdict"], done.report["exit_code"]) == (0, "GO", 0)
    assert done.statuses == {"SEC-001": "passed", "SEC-003": "passed", "INF-001": "passed", "INF-002": "passed"}
    assert "GO" in done.printed


def test_a_check_is_taken_once_whatever_its_file_is_called(suite: Suite) -> None:
    """Also where it has the name of a test's, which pytest takes by itself."""
    (suite.path / "checks/infra/probes.py").rename(suite.path / "checks/infra/test_probes.py")
    suite.catalogue()
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.printed.count("✓ INF-001")) == (0, 1)
    assert len(done.statuses) == 4


def test_a_failed_blocker_is_no_go(suite: Suite) -> None:
    """An offender is shown with what, where, found and expected; the exit status is 1."""
    suite.write("world.txt", "first ok\nsecond bad missing\nthird ok\n")
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.report["verdict"]) == (1, "NO-GO")
    finding = done.finding("INF-002")
    assert finding["status"] == "failed"
    assert finding["offenders"] == [{"what": "probe", "where": "second", "found": "missing", "expected": "none"}]
    assert finding["evidence"] == ["observations/second.json", "observations/first.json"]
    assert "found missing" in done.printed


def test_a_failed_advisory_is_shown_and_does_not_gate(suite: Suite) -> None:
    """The worst parameter counts for the check, and an advisory check does not gate."""
    suite.write("world.txt", "first ok\nsecond ok\nthird bad left\n")
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.report["verdict"]) == (0, "GO")
    assert [(row["name"], row["status"]) for row in done.finding("SEC-001")["parameters"]] == [
        ("left", "failed"),
        ("right", "passed"),
    ]
    assert done.finding("SEC-001")["status"] == "failed"


def test_an_environment_promotes_an_advisory(suite: Suite) -> None:
    """What an environment promotes to a blocker gates there."""
    suite.write("world.txt", "first ok\nsecond ok\nthird bad left\n")
    suite.write("environments/staging.toml", 'tier = "staging"\n[checks.SEC-001]\nseverity = "blocker"\n')
    assert suite.run(*PREFLIGHT).code == 1


@pytest.mark.parametrize(
    ("word", "reason"),
    [("denied", "denied"), ("crash", "crashed"), ("hang", "timeout")],
    ids=["denied", "crash", "hang"],
)
def test_could_not_look_is_unverified_and_never_go(suite: Suite, word: str, reason: str) -> None:
    """A look that cannot be made leaves its checks, and those that stand on it, unverified; exit 10."""
    suite.write("world.txt", f"first {word}\nsecond ok\nthird ok\n")
    started = time.monotonic()
    done = suite.run(*PREFLIGHT)
    assert time.monotonic() - started < 30
    assert (done.code, done.report["verdict"]) == (10, "NO-GO")
    assert {id_: status for id_, status in done.statuses.items() if status != "passed"} == {
        "SEC-003": "unverified",
        "INF-001": "unverified",
        "INF-002": "unverified",
    }
    assert done.finding("INF-002")["reason"] == reason


def test_each_look_is_made_once_also_under_xdist(suite: Suite) -> None:
    """Four workers, one look each."""
    done = suite.run(*PREFLIGHT, "-n", "4")
    assert done.code == 0, done.printed
    assert sorted((suite.path / "looks.log").read_text().split()) == ["first", "second", "third"]
    assert done.report["counts"]["passed"] == 4


def test_workers_take_no_folder_of_an_option_for_the_root(
    suite: Suite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is not there yet when the run begins, and is when they read the same words."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "run"
    process, _ = suite.start(*PREFLIGHT, "-n", "2", "--run-dir", str(elsewhere))
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert (elsewhere / "report.json").exists()


@pytest.mark.parametrize(
    ("extra", "why"),
    [
        (("-k", "first"), "deselected (-k first"),
        (("checks/infra",), "not below the paths given"),
        (("checks/infra/probes.py::test_first",), "not below the paths given"),
    ],
    ids=["keyword", "folder", "node"],
)
def test_a_narrowed_phase_is_partial(suite: Suite, extra: tuple[str, ...], why: str) -> None:
    """What was not run is named with its reason, and the phase is PARTIAL."""
    done = suite.run(*PREFLIGHT, *extra)
    assert (done.code, done.report["verdict"]) == (10, "PARTIAL")
    assert why in done.finding("SEC-003")["message"]
    assert len(done.report["findings"]) == 4


@pytest.mark.parametrize(
    "extra",
    [("-k", "not left"), ("checks/infra", "checks/secrets/advice.py::test_third[right]")],
    ids=["keyword", "node"],
)
def test_a_parameter_left_out_is_partial(suite: Suite, extra: tuple[str, ...]) -> None:
    """One of a check's parameters without an answer: the check is not run in part, and the phase is never GO."""
    done = suite.run(*PREFLIGHT, *extra)
    assert (done.code, done.report["verdict"]) == (10, "PARTIAL"), done.printed
    assert done.finding("SEC-001")["status"] == "not_run"
    assert "left: " in done.finding("SEC-001")["message"]


MANY = '''
import pytest
from plugins.catalogue import check


@check("INF-003", severity="blocker", remedy="Fix the fourth.")
@pytest.mark.parametrize("number", [str(number) for number in range(300)])
def test_many(first, number):
    """The first thing holds, however often one asks."""
    assert first.offenders() == []
'''

LOGGERS = '''
import logging
import threading


def _import_and_import() -> None:
    """What libraries do when a look imports them: each has loggers of its own."""
    for number in range(300_000):
        logging.getLogger(f"library.{number}")


threading.Thread(target=_import_and_import, daemon=True).start()
'''


def test_a_look_that_imports_a_library_disturbs_no_check(suite: Suite) -> None:
    """Loggers that come into being on another thread while checks run make none of them crash."""
    suite.write("checks/infra/many.py", MANY)
    suite.catalogue()
    with (suite.path / "looks.py").open("a") as looks:
        looks.write(LOGGERS)
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.report["verdict"]) == (0, "GO"), done.printed


def _delete(suite: Suite) -> None:
    (suite.path / "checks/infra/probes.py").unlink()


def _break(suite: Suite) -> None:
    suite.write("checks/infra/probes.py", "import no_such_module\n")


def _rename(suite: Suite) -> None:
    suite.write(
        "checks/infra/probes.py", (suite.path / "checks/infra/probes.py").read_text().replace("test_second", "second")
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("harm", "why", "code"),
    [
        (_delete, "checks/infra/probes.py does not exist", 10),
        (_break, "No module named 'no_such_module'", 2),
        (_rename, "has no test_second", 10),
    ],
    ids=["deleted", "unloadable", "renamed"],
)
def test_a_lost_check_is_not_run(
    suite: Suite, harm: Callable[[Suite], None], why: str, code: int, workers: tuple[str, ...]
) -> None:
    """A check that the catalogue holds and nobody answered is never silently left out."""
    harm(suite)
    done = suite.run(*PREFLIGHT, *workers)
    assert done.code == code, done.printed
    assert done.finding("INF-002")["status"] == "not_run"
    assert why in done.finding("INF-002")["message"]
    assert done.report["verdict"] != "GO"


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_phase_does_without_the_checks_of_the_others(suite: Suite, workers: tuple[str, ...]) -> None:
    """They are not even read; where more than the phase is asked for, they are, and what they lack is told."""
    suite.write("checks/triage/errors.py", "import no_such_module\n")
    assert suite.run(*PREFLIGHT, *workers).code == 0
    done = suite.run("-m", "preflight and not triage", *ENV, *workers)
    assert (done.code, "no_such_module" in done.printed) == (2, True), done.printed


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-m", "prefligth", *ENV), "did you mean -m preflight?"),
        (("-m", "preflight", "--env", "porduction"), "porduction"),
        (("-m", "preflight", "--env", "stagin"), "staging"),
        ((*PREFLIGHT, "--scenario", "x"), "only the sandbox"),
        ((*PREFLIGHT, "--replay", "nowhere"), "not a run's folder"),
        ((*PREFLIGHT, "--config", "nowhere"), "no such folder"),
    ],
    ids=["marker", "environment", "nearest", "scenario", "replay", "config"],
)
def test_a_slip_of_the_pen_is_a_usage_error(suite: Suite, arguments: tuple[str, ...], says: str) -> None:
    """Nothing runs, the message says what was meant, exit 4."""
    done = suite.run(*arguments)
    assert done.code == 4, done.printed
    assert says in done.printed
    assert "Traceback" not in done.printed


def test_an_undeclared_test_below_checks_is_refused(suite: Suite) -> None:
    """A test without @check would be missed by no catalogue."""
    suite.write("checks/infra/more.py", "def test_more(first):\n    assert first\n")
    done = suite.run(*PREFLIGHT)
    assert done.code != 0
    assert "no @check" in done.printed


def test_a_stale_catalogue_is_refused(suite: Suite) -> None:
    """A check made an advisory in the code alone does not become one."""
    file = suite.path / "checks/infra/probes.py"
    file.write_text(file.read_text().replace("blocker", "advisory"))
    done = suite.run(*PREFLIGHT)
    assert done.code == 4
    assert "python -m plugins.catalogue" in done.printed


def test_no_catalogue_is_refused(suite: Suite) -> None:
    """Without the catalogue nobody knows what must be answered."""
    (suite.path / "checks/catalogue.json").unlink()
    assert suite.run(*PREFLIGHT).code == 4


def test_stopping_at_the_first_failure_is_never_go(suite: Suite) -> None:
    """-x leaves the rest not run, and says so."""
    suite.write("world.txt", "first bad x\nsecond ok\nthird ok\n")
    done = suite.run(*PREFLIGHT, "-x")
    assert done.code == 1
    assert "stopped" in done.finding("SEC-001")["message"] + done.finding("INF-002")["message"]
    assert len(done.report["findings"]) == 4


@pytest.mark.parametrize(
    "extra", [("--lf",), ("-n", "4"), ("-p", "no:cacheprovider"), ("-p", "no:randomly"), ("-q",), ("-v",)], ids=" ".join
)
def test_options_do_not_change_the_counts(suite: Suite, extra: tuple[str, ...]) -> None:
    """However pytest is called, every id of the phase is counted once."""
    done = suite.run(*PREFLIGHT, *extra)
    assert sum(done.report["counts"].values()) == 4
    assert done.code == 0, done.printed


def test_a_killed_worker_is_never_go(suite: Suite) -> None:
    """The check that a dead worker held is unverified, the run PARTIAL, and it says why."""
    suite.write(
        "checks/infra/dies.py",
        """
        import os, signal
        from plugins.catalogue import check

        @check("INF-003", severity="advisory", remedy="Live.")
        def test_dies():
            '''It lives.'''
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    suite.catalogue()
    done = suite.run(*PREFLIGHT, "-n", "4")
    assert done.code == 10, done.printed
    assert done.finding("INF-003")["reason"] == "crashed"
    assert "died" in done.printed


def test_a_report_that_xdist_loses_is_never_go(suite: Suite) -> None:
    """A value that breaks a worker's report makes pytest exit 0; the closed world notices the gap."""
    suite.write(
        "checks/infra/lost.py",
        """
        from plugins.catalogue import check

        class Odd(str):
            pass

        @check("INF-003", severity="blocker", remedy="Be found.")
        def test_lost(record_property):
            '''It is reported.'''
            record_property("odd", object())
            assert [1] == []
        """,
    )
    suite.catalogue()
    done = suite.run(*PREFLIGHT, "-n", "2")
    assert done.code != 0, done.printed


FULL = """
import os
from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_finish():
    for link in Path("/proc/self/fd").iterdir():
        if link.exists() and link.resolve().name == "journal.jsonl":
            os.dup2(os.open("/dev/full", os.O_WRONLY), int(link.name))
"""

WAIVER = """
[[waiver]]
check = "INF-002"
environment = "staging"
reason = "The probe is rebuilt this week."
ticket = "OPS-1"
owner = "ana@example.com"
approver = "bo@example.com"
expires = {expires}
"""


def _in_days(days: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() + days * 86400))


@pytest.mark.parametrize("word", ["bad x", "denied"])
def test_a_waiver_covers_and_is_shown(suite: Suite, word: str) -> None:
    """A waived finding keeps the status beneath, does not gate, and names who answers for it."""
    suite.write("world.txt", f"first ok\nsecond {word}\nthird ok\n")
    suite.write("environments/waivers.toml", WAIVER.format(expires=_in_days(30)))
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.report["verdict"]) == (0, "GO"), done.printed
    finding = done.finding("INF-002")
    assert finding["status"] == "waived"
    assert finding["beneath"] == ("failed" if word == "bad x" else "unverified")
    assert finding["waiver"]["ticket"] == "OPS-1"


def test_an_expired_waiver_covers_nothing(suite: Suite) -> None:
    """Expired yesterday is expired, and the report says so."""
    suite.write("world.txt", "first ok\nsecond bad x\nthird ok\n")
    suite.write("environments/waivers.toml", WAIVER.format(expires=_in_days(-1)))
    done = suite.run(*PREFLIGHT)
    assert done.code == 1
    assert [row["state"] for row in done.report["waivers"]] == ["expired"]


def test_configuration_says_not_applicable_with_a_reason(suite: Suite) -> None:
    """A check can be declared not applicable, but not one that nothing exempts from."""
    suite.write("world.txt", "first ok\nsecond bad x\nthird ok\n")
    text = 'tier = "staging"\n[checks.{}]\nnot_applicable = "There is no second thing here."\n'
    suite.write("environments/staging.toml", text.format("INF-002"))
    done = suite.run(*PREFLIGHT)
    assert (done.code, done.finding("INF-002")["status"]) == (0, "not_applicable")
    suite.write("environments/staging.toml", text.format("SEC-003"))
    done = suite.run(*PREFLIGHT)
    assert done.code == 4
    assert "nothing exempts from SEC-003" in done.printed


def test_a_predicate_that_cannot_be_evaluated_is_unverified(suite: Suite) -> None:
    """`applies` stands on an observation; where that cannot be seen, nothing is exempt."""
    suite.write(
        "checks/infra/maybe.py",
        """
        from plugins.catalogue import check

        @check("INF-003", severity="blocker", remedy="Be.", applies=lambda second: "not here" if second.bad else None)
        def test_maybe(first, second):
            '''It holds where it applies.'''
            assert [] == []
        """,
    )
    suite.catalogue()
    for world, status in (("bad x", "not_applicable"), ("denied", "unverified"), ("ok", "passed")):
        suite.write("world.txt", f"first ok\nsecond {world}\nthird ok\n")
        assert suite.run(*PREFLIGHT).finding("INF-003")["status"] == status


@pytest.mark.parametrize(
    "body",
    [
        "import pytest; pytest.skip('later')",
        "import pytest; pytest.xfail('known')",
        "import pytest; pytest.fail('no')",
        "raise ValueError('odd')",
        "import sys; sys.exit(0)",
        "1 / 0",
    ],
)
def test_only_an_assertion_fails_a_check(suite: Suite, body: str) -> None:
    """Everything that is neither a clean return nor an AssertionError is unverified, skips too."""
    suite.write(
        "checks/infra/odd.py",
        f"""
        from plugins.catalogue import check

        @check("INF-003", severity="blocker", remedy="Be.")
        def test_odd(first):
            '''It holds.'''
            {body}
        """,
    )
    suite.catalogue()
    done = suite.run(*PREFLIGHT)
    assert done.finding("INF-003")["status"] in {"unverified", "not_run"}, done.printed
    assert done.code == 10


def _wait_for(journal: Path, text: str, after: str = "\n") -> None:
    """Until a line after the first, which is the catalogue, holds `text`; with `after=""`, any line."""
    deadline = time.monotonic() + 60
    while not (
        journal.exists() and text in (journal.read_text().partition(after)[2] if after else journal.read_text())
    ):
        assert time.monotonic() < deadline, f"{journal} never held {text}"
        time.sleep(0.05)


def test_a_killed_run_can_be_rebuilt(suite: Suite) -> None:
    """kill -9 in the middle: all findings so far are in the journal, and the rebuilt report says PARTIAL."""
    suite.write("world.txt", "first ok\nsecond hang\nthird ok\n")
    suite.write("looks.py", (suite.path / "looks.py").read_text().replace("deadline=1", "deadline=30"))
    process, folder = suite.start(*PREFLIGHT, "-p", "no:randomly")
    _wait_for(folder / "journal.jsonl", '"INF-001"')
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (folder / "report.json").exists()
    command = [sys.executable, "-m", "reports", "build", str(folder)]
    rebuilt = subprocess.run(command, cwd=suite.path, env=suite.variables, capture_output=True, text=True, check=False)
    report = json.loads((folder / "report.json").read_text())
    assert rebuilt.returncode == 10, rebuilt.stderr
    assert report["verdict"] == "PARTIAL"
    statuses = {finding["id"]: finding["status"] for finding in report["findings"]}
    assert statuses["INF-001"] == "passed"
    assert statuses["INF-002"] == "not_run"


def test_an_interrupted_run_leaves_its_report(suite: Suite) -> None:
    """Ctrl-C: pytest's own status 2, a report of what was found, and never GO."""
    suite.write("world.txt", "first ok\nsecond hang\nthird ok\n")
    suite.write("looks.py", (suite.path / "looks.py").read_text().replace("deadline=1", "deadline=30"))
    process, folder = suite.start(*PREFLIGHT)
    _wait_for(folder / "journal.jsonl", '"INF-001"')
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 2
    assert json.loads((folder / "report.json").read_text())["verdict"] == "NO-GO"


CHANGING = """
from fixtures.observation import observation
from looks import Thing


@observation(deadline=60)
def {name}(changes) -> Thing:
    \"\"\"The first thing, once it is changed.\"\"\"
    changes.begin("Deployment x", "going back to revision 1", "kubectl rollout status deployment/x")
    {meanwhile}
    changes.end("Deployment x", "went back to revision 1: 1 of 2 pods are available", "kubectl get pods")
    return Thing("{name}")
"""


def _changing(suite: Suite, meanwhile: str) -> None:
    """The first look changes something, and takes its time."""
    suite.write("looks.py", (suite.path / "looks.py").read_text().replace("def first(", "def once("))
    suite.write("changing.py", CHANGING.format(name="first", meanwhile=meanwhile))
    suite.write("conftest.py", (suite.path / "conftest.py").read_text().replace('"looks"', '"looks", "changing"'))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_what_it_has_changed(suite: Suite, number: signal.Signals) -> None:
    """Ctrl-C, or a CI system that cancels: the look ends by itself, and in which state it left things is told."""
    _changing(suite, "changes.pause(50)")
    process, folder = suite.start(*PREFLIGHT, "-q")
    _wait_for(folder / "changes.jsonl", "begun", after="")
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 2, printed
    report = json.loads((folder / "report.json").read_text())
    note = "Deployment x: went back to revision 1: 1 of 2 pods are available. Next: kubectl get pods"
    assert note in report["notes"]
    assert "1 of 2 pods are available" in printed
    assert json.loads((folder / "observations" / "first.json").read_text())["seen"] is True


@pytest.mark.parametrize("apart", [0, 0.2])
def test_a_second_signal_ends_the_wait_and_tears_nothing(suite: Suite, apart: float) -> None:
    """What hangs is told as begun; there is a report, and no traceback, also where they come at once."""
    _changing(suite, "__import__('time').sleep(50)")
    process, folder = suite.start(*PREFLIGHT, "-q")
    _wait_for(folder / "changes.jsonl", "begun", after="")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
        time.sleep(apart)
    printed, _ = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in printed) == (2, False), printed
    (note,) = json.loads((folder / "report.json").read_text())["notes"]
    assert note.startswith("Deployment x: going back to revision 1. This began at ")
    assert note.endswith("how it ended is not known. Next: kubectl rollout status deployment/x")


@pytest.mark.parametrize("world", ["first ok\nsecond ok\nthird ok\n", "first denied\nsecond bad x\nthird bad left\n"])
def test_a_replay_gives_the_same_findings(suite: Suite, world: str) -> None:
    """The recorded evidence is enough: no look is made, and the verdict is the same."""
    suite.write("world.txt", world)
    first = suite.run(*PREFLIGHT)
    (suite.path / "world.txt").unlink()
    (suite.path / "looks.log").unlink()
    second = suite.run("-m", "preflight", "--replay", str(first.folder))
    assert second.statuses == first.statuses
    assert (second.code, second.report["verdict"]) == (first.code, first.report["verdict"])
    assert not (suite.path / "looks.log").exists()
    third = suite.run("-m", "preflight", "--replay", str(second.folder))
    assert third.statuses == first.statuses


@pytest.mark.parametrize("content", ["", "[]", '{"clock": "x", "environment": {}}', '{"environment": {"name": 1}}'])
def test_damaged_premises_are_a_usage_error(suite: Suite, content: str) -> None:
    """A run whose settings cannot be read is not replayed on others."""
    first = suite.run(*PREFLIGHT)
    (first.folder / "manifest.json").unlink()
    (first.folder / "premises.json").write_text(content)
    done = suite.run("-m", "preflight", "--replay", str(first.folder))
    assert done.code == 4, done.printed
    assert "not the premises of a run" in done.printed
    assert "Traceback" not in done.printed


EXEMPT = '"INF-001": {"not_applicable": "It can wait."}'


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("observations/first.json", '"x"', '"y"'),
        ("premises.json", '"checks": {', f'"checks": {{{EXEMPT}'),
        ("waivers.toml", "", WAIVER),
        ("manifest.json", "{", ""),
    ],
)
def test_a_run_that_was_edited_is_not_replayed(suite: Suite, file: str, old: str, new: str) -> None:
    """Neither its evidence nor what it was judged by may be another than its manifest has it."""
    suite.write("world.txt", "first bad x\nsecond ok\nthird ok\n")
    edited = suite.run(*PREFLIGHT).folder / file
    before = edited.read_text() if edited.exists() else ""
    edited.write_text(before.replace(old, new, 1))
    done = suite.run("-m", "preflight", "--replay", str(edited.parents[file.count("/")]))
    assert (done.code, file in done.printed) == (4, True), done.printed
    assert "Replay an unedited copy" in " ".join(done.printed.split())
    assert edited.read_text() != before


def test_a_replay_of_what_nothing_vouches_for_is_no_go(suite: Suite) -> None:
    """A run that was killed leaves no manifest: the headline says so."""
    first = suite.run(*PREFLIGHT)
    (first.folder / "manifest.json").unlink()
    done = suite.run("-m", "preflight", "--replay", str(first.folder))
    assert (done.code, done.report["verdict"], set(done.statuses.values())) == (10, "PARTIAL", {"passed"})
    assert done.report["headline"].startswith("PARTIAL: whether run-1 was changed since its run cannot be told")


def test_edited_evidence_is_not_believed(suite: Suite) -> None:
    """Also where no manifest tells: it is unverified, malformed."""
    suite.write("world.txt", "first bad x\nsecond ok\nthird ok\n")
    first = suite.run(*PREFLIGHT)
    (first.folder / "manifest.json").unlink()
    file = first.folder / "observations/first.json"
    file.write_text(file.read_text().replace('"x"', '"y"').replace('"bad": [\n', '"bad": [\n'))
    done = suite.run("-m", "preflight", "--replay", str(first.folder))
    assert done.finding("INF-001")["reason"] == "malformed"


def test_a_report_that_cannot_be_written_is_not_go(suite: Suite) -> None:
    """The headline says which file, and the exit status is not 0."""
    suite.write(
        "checks/infra/zblocks.py",
        """
        from pathlib import Path
        from plugins.catalogue import check

        @check("INF-003", severity="blocker", remedy="Be.")
        def test_blocks(first, pytestconfig):
            '''It holds.'''
            (Path(pytestconfig.option.run_dir) / "report.html").mkdir()
            (Path(pytestconfig.option.run_dir) / "report.html" / "in the way").touch()
        """,
    )
    suite.catalogue()
    done = suite.run(*PREFLIGHT)
    assert done.code != 0
    assert "report.html" in done.report["headline"]
    assert "report.html" in done.printed


def test_a_folder_that_cannot_be_begun_is_a_usage_error(suite: Suite) -> None:
    """In one line: the folder, the cause, and what to do."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    suite.write("conftest.py", limit + (suite.path / "conftest.py").read_text())
    done = suite.run(*PREFLIGHT)
    assert done.code == 4, done.printed
    line = f"{done.folder}: the run's folder cannot be written: File too large. Name one on another disk with --run-dir"
    assert f"ERROR: {line}" in done.printed.splitlines()
    assert "Traceback" not in done.printed


@pytest.mark.parametrize("world", ["first ok", "first bad x"])
def test_a_disk_that_fills_up_loses_no_answer(suite: Suite, world: str) -> None:
    """The board shows them all, and why they are not in the folder; the status is neither a GO's nor a failure's."""
    suite.write("world.txt", f"{world}\nsecond ok\nthird ok\n")
    suite.write("full.py", FULL)
    done = suite.run(*PREFLIGHT, "-p", "full")
    assert (done.code, done.report["verdict"]) == (3, "NO-GO"), done.printed
    assert f"{done.folder}: the run's folder cannot be written: No space left on device" in done.report["headline"]
    assert "not_run" not in done.statuses.values()
    assert done.statuses["INF-001"] == ("failed" if "bad" in world else "passed")
    assert "INTERNALERROR" not in done.printed
    assert "Traceback" not in done.printed


def test_a_used_run_dir_is_refused(suite: Suite) -> None:
    """A run never writes into another run's folder."""
    (suite.path / "run-1").mkdir()
    (suite.path / "run-1" / "report.json").write_text("{}")
    done = suite.run(*PREFLIGHT)
    assert done.code == 4
    assert "not an empty folder" in done.printed


SECRET = "c4naryS3cretValueThatNobodyMaySee"


def test_a_planted_secret_is_found_nowhere(suite: Suite, tmp_path: Path) -> None:
    """In the environment, exception text, parameter ids, logs and offenders: in no file and not on the terminal."""
    suite.write("world.txt", f"first bad {SECRET}\nsecond ok\nthird bad {SECRET}\n")
    suite.write(
        "checks/infra/leaks.py",
        f"""
        import logging
        import pytest
        from plugins.catalogue import check

        @check("INF-003", severity="blocker", remedy="Be.")
        @pytest.mark.parametrize("word", ["{SECRET}"])
        def test_leaks(first, word):
            '''It holds.'''
            local = "{SECRET}"
            print(local)
            logging.getLogger().warning(local)
            raise ValueError(local)
        """,
    )
    suite.catalogue()
    for extra in ((), ("-n", "2"), ("-v", "--showlocals", "-s")):
        target = f"--alluredir={tmp_path / ('allure' + str(len(extra)))}"
        done = suite.run(*PREFLIGHT, *extra, target, API_KEY=SECRET)
        assert SECRET not in done.printed
        kept = [file for folder in (done.folder, Path(target[12:])) for file in folder.rglob("*") if file.is_file()]
        assert len(kept) > 6
        assert [file.name for file in kept if SECRET.encode() in file.read_bytes() or SECRET in file.name] == []


def test_checks_without_a_phase_have_no_verdict(suite: Suite) -> None:
    """A bare area is no gate: exit 0 only where all that was selected passed."""
    done = suite.run("-m", "infra", *ENV)
    assert (done.code, done.report["verdict"], done.report["phase"]) == (0, None, None)
    assert set(done.statuses) == {"INF-001", "INF-002"}
    suite.write("world.txt", "first ok\nsecond denied\nthird ok\n")
    assert suite.run("-m", "infra", *ENV).code == 10


def test_nothing_selected_is_never_zero(suite: Suite) -> None:
    """An empty selection is a NO-GO, with or without a phase."""
    assert suite.run(*PREFLIGHT, "-k", "nothing").code not in {0, 1}
    assert suite.run("-m", "docs", *ENV).code not in {0, 1}
    assert suite.run("-m", "postdeploy", *ENV).code not in {0, 1}


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["one process", "a worker"])
def test_what_a_url_in_the_settings_holds_is_written_nowhere(suite: Suite, workers: tuple[str, ...]) -> None:
    """A token as the user, a password with an `@` or a `/` left in it: neither beside the evidence nor in it."""
    suite.write(
        "environments/staging.toml",
        """
        tier = "staging"
        [service]
        url = "https://glsa-token-in-words@host.example/"
        [prometheus]
        url = "https://user:pa/ss-in-words@host.example/"
        """,
    )
    suite.write("world.txt", "first bad glsa-token-in-words\nsecond bad pa/ss-in-words\nthird ok\n")
    done = suite.run(*PREFLIGHT, *workers)
    assert done.code == 1
    written = done.printed + "".join(file.read_text() for file in done.folder.rglob("*") if file.is_file())
    assert "host.example" in written
    assert "token-in" not in written
    assert "ss-in" not in written
