"""From a run's folder to its report: at its end, after a kill, with a disk that refuses, and once more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker, ValidationError  # type: ignore[import-untyped] # no types

from reports import __main__ as program
from reports import build, document, journal, manifest
from reports.model import Entry, Result, Status
from reports.verdict import UNTOLD
from tests.reports import runs, strategies

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "reports/schema/report.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def published(folder: Path) -> dict[str, Any]:
    build.publish(folder)
    content: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    VALIDATOR.validate(content)
    return content


def test_a_run_becomes_a_report(tmp_path: Path) -> None:
    """Every part of the journal and the evidence has its place in report.json."""
    content = published(runs.mixed(tmp_path))
    assert (content["verdict"], content["exit_code"]) == ("NO-GO", 1)
    assert [row["id"] for row in content["findings"]] == [entry.id for entry in runs.CATALOGUE]
    assert content["counts"] == {
        "passed": 8,
        "failed": 3,
        "unverified": 2,
        "not_applicable": 1,
        "waived": 1,
        "not_run": 1,
    }
    assert content["service"] == {"name": "chat", "image": "ghcr.example/chat@sha256:4e5f1c", "revision": "9f2c1e7"}
    assert content["masked"] == {"total": 3, "by_kind": {"value": 2, "pattern": 1}}
    assert [(row["name"], row["seen"], row["reason"]) for row in content["observations"]] == [
        ("alert_rules", True, None),
        ("cluster_secret", False, "denied"),
        ("models", True, None),
        ("workload", True, None),
    ]
    assert [(row["check"], row["state"]) for row in content["waivers"]] == [
        ("SEC-005", "expires_soon"),
        ("INF-003", "orphan"),
    ]


def test_every_file_is_written(tmp_path: Path) -> None:
    """Five files, nothing half-done beside them, and the manifest fits."""
    runs.mixed(tmp_path)
    assert build.publish(tmp_path)[1] == []
    assert all((tmp_path / name).is_file() for name in build.FILES)
    assert list(tmp_path.rglob("*.tmp")) == []
    assert manifest.differences(tmp_path) == []


@pytest.mark.parametrize("make", [runs.mixed, runs.clean])
def test_a_rebuild_gives_the_same_bytes(tmp_path: Path, make: Any) -> None:
    """From the journal and the evidence alone, every format comes out as it was."""
    make(tmp_path)
    build.publish(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in build.FILES}
    for name in build.FILES:
        (tmp_path / name).unlink()
    build.publish(tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in build.FILES} == before


def test_a_killed_run_is_partial_and_keeps_what_was_found(tmp_path: Path) -> None:
    """No end in the journal: what was answered stands, the rest is not run, and it is never GO."""
    results = runs.passed()
    content = published(runs.written(tmp_path / "one", runs.header(runs.CATALOGUE), results[:3], None))
    assert (content["verdict"], content["exit_code"], content["finished"]) == ("PARTIAL", 10, None)
    assert content["counts"]["passed"] == 3
    assert content["findings"][5]["message"] == build.UNTOLD
    whole = published(runs.written(tmp_path / "all", runs.header(runs.CATALOGUE), results, None))
    assert (whole["verdict"], whole["exit_code"]) == ("PARTIAL", 10)
    assert whole["notes"] == [build.CUT_SHORT]


def test_a_torn_journal_is_said_to_be(tmp_path: Path) -> None:
    """The last line broke off: the report says so."""
    runs.written(tmp_path, runs.header(runs.CATALOGUE), [Result(id="SEC-001", status="passed")], None)
    with (tmp_path / journal.NAME).open("ab") as stream:
        stream.write(b'{"line": "result", "id": "SEC-0')
    assert "incomplete" in published(tmp_path)["notes"][0]


def test_a_sandbox_and_a_replay_say_so(tmp_path: Path) -> None:
    """In the headline, not in a footnote."""
    sandbox = {"name": "sandbox", "sandbox": True, "config": []}
    content = published(runs.clean(tmp_path, environment=sandbox, replay="20261120-production-preflight"))
    assert content["headline"] == (
        "GO: 16 of 16 checks hold (sandbox: this proves nothing about a real service; "
        "replay of 20261120-production-preflight: nothing was looked at anew)"
    )


def test_results_outside_the_catalogue_do_not_pass_unnoticed(tmp_path: Path) -> None:
    """One that fails counts as a failure that belongs to no check; one that passes is noted."""
    catalogue = (runs.entry("INF-001"),)
    cases: tuple[tuple[Status, str], ...] = (("failed", "NO-GO"), ("passed", "GO"))
    for status, verdict in cases:
        results = [Result(id="INF-001", status="passed"), Result(id="INF-777", status=status)]
        content = published(runs.written(tmp_path / status, runs.header(catalogue), results, runs.end()))
        assert content["verdict"] == verdict
        assert content["notes"] == ["Results for ids that are not in the catalogue were left out: INF-777."]


def test_a_parameter_that_nobody_answered_is_not_run(tmp_path: Path) -> None:
    """Also where the run came to its end and its journal does not say so."""
    rows = [Result(id="DOC-001", status="passed", parameter="401")]
    runs.written(tmp_path, runs.header((runs.entry("DOC-001", parameters=("401", "429")),)), rows, runs.end())
    content = published(tmp_path)
    assert (content["verdict"], content["exit_code"]) == ("PARTIAL", 10)
    assert content["findings"][0]["message"] == UNTOLD


@pytest.mark.parametrize(
    ("waiver", "result", "state"),
    [
        ({}, {"status": "waived", "beneath": "failed", "waiver": runs.WAIVER}, "expires_soon"),
        ({"expires": "2026-12-06"}, {"status": "waived", "beneath": "failed", "waiver": runs.WAIVER}, "expires_soon"),
        ({"expires": "2026-12-07"}, {"status": "waived", "beneath": "failed", "waiver": runs.WAIVER}, "covers"),
        ({"expires": "2026-11-22"}, {"status": "waived", "beneath": "failed", "waiver": runs.WAIVER}, "expires_soon"),
        ({"expires": "2026-11-21"}, {"status": "failed"}, "expired"),
        ({"expires": "soon"}, {"status": "failed"}, "expired"),
        ({"state": "expired"}, {"status": "failed"}, "expired"),
        ({}, {"status": "passed"}, "orphan"),
        ({"state": "orphan"}, {"status": "waived", "beneath": "failed", "waiver": runs.WAIVER}, "expires_soon"),
        ({}, {"status": "not_run"}, "not_asked"),
        ({"check": "DOC-001"}, {"status": "passed"}, "not_asked"),
    ],
)
def test_each_waiver_has_its_state(tmp_path: Path, waiver: dict[str, str], result: dict[str, Any], state: str) -> None:
    """What it did in this run, as of the day on which the run began."""
    head = runs.header((runs.entry("SEC-005"),), waivers=(runs.WAIVER | waiver,))
    runs.written(tmp_path, head, [Result(id="SEC-005", **result)], runs.end())
    assert [row["state"] for row in build.build(tmp_path).waivers] == [state]


def test_a_waiver_that_covers_one_parameter_is_no_orphan(tmp_path: Path) -> None:
    """Though the check as a whole fails, for another parameter."""
    rows = [
        Result(id="SEC-005", parameter="a", status="waived", beneath="failed", waiver=runs.WAIVER),
        Result(id="SEC-005", parameter="b", status="failed"),
    ]
    runs.written(tmp_path, runs.header((runs.entry("SEC-005"),), waivers=(runs.WAIVER,)), rows, runs.end())
    assert [row["state"] for row in build.build(tmp_path).waivers] == ["expires_soon"]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.write_text(file.read_text().replace('"replicas": 2', '"replicas": 3')), "was altered after"),
        (lambda file: file.write_bytes(b"\x00\xff"), "is not an evidence file (UnicodeDecodeError)"),
        (lambda file: file.write_text("{}"), "is not an evidence file (KeyError)"),
        pytest.param(lambda file: file.write_text("[" * 100_000), "is not an evidence file (ValueError)", id="deep"),
        (lambda file: file.unlink(), "evidence of a finding, is not there"),
    ],
)
def test_evidence_that_cannot_be_trusted_carries_no_go(tmp_path: Path, damage: Any, says: str) -> None:
    """A run that was GO is no longer one when its evidence was edited, damaged or taken away."""
    runs.clean(tmp_path)
    damage(tmp_path / "observations/workload.json")
    content = published(tmp_path)
    assert (content["verdict"], content["exit_code"]) == ("PARTIAL", 10)
    assert says in content["headline"]


def test_evidence_of_another_shape_is_no_crash(tmp_path: Path) -> None:
    """Right keys, wrong types."""
    runs.clean(tmp_path)
    file = tmp_path / "observations/workload.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sources": [1], "seen": "yes"}))
    assert published(tmp_path)["verdict"] == "PARTIAL"


@pytest.mark.parametrize("name", build.FILES)
def test_a_file_that_cannot_be_written_stops_no_other_and_is_never_go(tmp_path: Path, name: str) -> None:
    """The headline of all that could be written says it, the exit code is not 0."""
    runs.clean(tmp_path)
    (tmp_path / name).mkdir()
    report, problems = build.publish(tmp_path)
    assert problems == [f"{name} could not be written (Is a directory)"]
    assert (report.verdict, report.exit_code) == ("PARTIAL", 10)
    assert problems[0] in report.headline
    for other in set(build.FILES) - {name, manifest.NAME}:
        assert f"{name} could not be written" in (tmp_path / other).read_text("utf-8").replace("\\", "")


def test_a_renderer_that_breaks_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of one format is a problem of the run, said in the others; a stale file of it is gone."""
    runs.clean(tmp_path)
    build.publish(tmp_path)

    def broken(*_: object) -> str:
        raise RuntimeError("boom")

    monkeypatch.setattr("reports.html.text", broken)
    report, problems = build.publish(tmp_path)
    assert problems == ["report.html could not be written (RuntimeError: boom)"]
    assert report.exit_code == 10
    assert not (tmp_path / "report.html").exists()
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "PARTIAL"


def test_allure_is_one_of_the_formats(tmp_path: Path) -> None:
    """Written on request; where its folder cannot be made, the others say so."""
    runs.clean(tmp_path / "run")
    assert build.publish(tmp_path / "run", allure=tmp_path / "allure")[1] == []
    assert len(list((tmp_path / "allure").glob("*-result.json"))) == 16
    (tmp_path / "file").write_text("")
    report, problems = build.publish(tmp_path / "run", allure=tmp_path / "file")
    assert problems == [f"--alluredir={tmp_path / 'file'} could not be written (File exists)"]
    assert (report.verdict, json.loads((tmp_path / "run/report.json").read_text())["exit_code"]) == ("PARTIAL", 10)


def test_a_reader_never_sees_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that breaks in the middle leaves neither a half report nor its temporary file."""
    runs.clean(tmp_path)
    monkeypatch.setattr(
        "reports.build.os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    assert build.publish(tmp_path)[1] == [
        f"{name} could not be written (No space left on device)" for name in build.FILES
    ]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.jsonl", "observations"]


def test_what_is_written_is_redacted(tmp_path: Path) -> None:
    """A secret that came this far is masked in each file, and in the report that is returned."""
    entries = (runs.entry("INF-001", claim="Holds s3&cret."),)
    runs.written(tmp_path, runs.header(entries), [Result(id="INF-001", status="failed", message="s3&cret")], runs.end())

    def redact(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("s3&cret", "****"))

    report, _ = build.publish(tmp_path, redact)
    assert report.findings[0].message == "****"
    for name in build.FILES:
        text = (tmp_path / name).read_text()
        assert [form for form in ("s3&cret", "s3&amp;cret") if form in text] == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(head=strategies.headers(), ending=strategies.endings(), data=st.data())
def test_every_report_keeps_to_the_schema(tmp_path: Path, head: Any, ending: Any, data: st.DataObject) -> None:
    """Whatever ran and however it ended; and what was read back is the same report."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    runs.written(tmp_path / "run", head, data.draw(strategies.results(head.catalogue)), ending)
    report = build.build(tmp_path / "run")
    content = json.loads(document.text(report))
    VALIDATOR.validate(content)
    assert document.document(document.report_of(content)) == content


def test_the_schema_is_strict(tmp_path: Path) -> None:
    """A field too many, one too few, and a GO that does not exit 0 are refused."""
    Draft202012Validator.check_schema(SCHEMA)
    content = published(runs.mixed(tmp_path))
    for change in ({"extra": 1}, {"verdict": "MAYBE"}, {"verdict": "GO"}, {"verdict": None}, {"started": "yesterday"}):
        with pytest.raises(ValidationError):
            VALIDATOR.validate(content | change)
    for key in content:
        with pytest.raises(ValidationError):
            VALIDATOR.validate({other: value for other, value in content.items() if other != key})
    worse = replace(build.build(tmp_path), exit_code=0)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(document.document(worse))


def test_fields_of_the_schema_are_those_of_the_types(tmp_path: Path) -> None:
    """Neither can grow a field without the other."""
    content = published(runs.mixed(tmp_path))
    assert list(content) == list(SCHEMA["properties"])
    assert list(content["findings"][0]) == list(SCHEMA["$defs"]["finding"]["properties"])
    assert list(content["observations"][0]) == list(SCHEMA["$defs"]["observation"]["properties"])


def many(number: int) -> tuple[Entry, ...]:
    return tuple(runs.entry(f"INF-{n:03}") for n in range(1, number + 1))


def test_ten_megabytes_of_message_are_bearable(tmp_path: Path) -> None:
    """report.json keeps all of it; what people read stays small."""
    big = "x" * 10_000_000
    runs.written(tmp_path, runs.header(many(2)), [Result(id="INF-001", status="failed", message=big)], runs.end())
    assert build.publish(tmp_path)[1] == []
    assert (tmp_path / "report.json").stat().st_size > 10_000_000
    sizes = {name: (tmp_path / name).stat().st_size for name in ("report.html", "junit.xml", "summary.md")}
    assert {name: size for name, size in sizes.items() if size > 100_000} == {}


@pytest.mark.parametrize(
    ("make", "code", "first"),
    [(runs.clean, 0, "GO: 16 of 16"), (runs.mixed, 1, "NO-GO: 3 of 16")],
)
def test_the_program_rebuilds_and_exits_as_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Any, code: int, first: str
) -> None:
    """Headline, then the files; the exit code is the report's own."""
    make(tmp_path)
    assert program.main(["build", str(tmp_path)]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(first)
    assert lines[1:] == [str(tmp_path / name) for name in build.FILES]


def test_the_program_never_exits_0_on_a_partial_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A killed run, and one whose report cannot be written."""
    results = runs.passed()
    runs.written(tmp_path / "killed", runs.header(runs.CATALOGUE), results, None)
    assert program.main(["build", str(tmp_path / "killed")]) == 10
    runs.clean(tmp_path / "blocked")
    (tmp_path / "blocked/junit.xml").mkdir()
    assert program.main(["build", str(tmp_path / "blocked")]) == 10
    assert "error: junit.xml could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda run: (run / journal.NAME).write_text((run / journal.NAME).read_text().replace("failed", "passed")),
            "journal.jsonl is not the file that was recorded",
        ),
        (
            lambda run: shutil.copy(run / "observations/workload.json", run / "observations/forged.json"),
            "observations/forged.json was added",
        ),
        (lambda run: (run / "observations/workload.json").unlink(), "observations/workload.json is missing"),
        (lambda run: (run / manifest.NAME).write_text("{}"), "found no manifest"),
    ],
)
def test_the_program_seals_nothing_that_was_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, says: str
) -> None:
    """A run that was edited keeps the manifest that shows it; the files are named."""
    build.publish(runs.mixed(tmp_path))
    change(tmp_path)
    before = (tmp_path / manifest.NAME).read_bytes()
    assert program.main(["build", str(tmp_path)]) == 4
    assert says in capsys.readouterr().err
    assert (tmp_path / manifest.NAME).read_bytes() == before


def test_the_program_writes_its_own_reports_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever became of them: they are made of the rest."""
    build.publish(runs.triaged(tmp_path))
    (tmp_path / "report.html").unlink()
    (tmp_path / "junit.xml").write_text("GO")
    (tmp_path / "drafts/slack.md").write_text("GO")
    assert program.main(["build", str(tmp_path)]) == 1
    assert manifest.differences(tmp_path) == []
    assert "GO" not in (tmp_path / "junit.xml").read_text().split()
    capsys.readouterr()


@pytest.mark.parametrize("command", ["build", "verify"])
def test_the_program_locates_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    """A folder that is no run's: exit 4, with the file that was looked for."""
    assert program.main([command, str(tmp_path / "nowhere")]) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tmp_path / 'nowhere'}")
    assert "found" in said
    assert "expected" in said


def test_the_program_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    """No command, or another: exit 4, as pytest has it for wrong usage; help is 0."""
    assert program.main([]) == 4
    assert program.main(["bild", "x"]) == 4
    assert program.main(["--help"]) == 0
    capsys.readouterr()


def test_verify_finds_every_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that was changed, taken away or added is named; exit 1."""
    runs.clean(tmp_path)
    build.publish(tmp_path)
    assert program.main(["verify", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: matches its manifest\n"
    (tmp_path / "report.html").write_text("GO")
    (tmp_path / "junit.xml").unlink()
    (tmp_path / "observations/extra.json").write_text("{}")
    assert program.main(["verify", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "junit.xml is missing",
        "report.html is not the file that was recorded: its sha256 differs",
        "observations/extra.json was added: the manifest does not name it",
        f"{tmp_path}: does not match its manifest",
    ]


def test_a_name_of_a_file_forges_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it would do to a terminal is shown, in one line."""
    build.publish(runs.clean(tmp_path))
    (tmp_path / "evil\x1b[2J\nfake: matches its manifest").write_text("")
    assert program.main(["verify", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "evil␛[2J fake: matches its manifest was added: the manifest does not name it",
        f"{tmp_path}: does not match its manifest",
    ]


def test_a_manifest_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    """Neither a crash nor a match."""
    for content in ("", "[]", '{"files": 3}', '{"files": [{}]}'):
        (tmp_path / manifest.NAME).write_text(content)
        with pytest.raises(manifest.ManifestError, match="found no manifest"):
            manifest.differences(tmp_path)


def test_the_program_runs_as_a_module(tmp_path: Path) -> None:
    """`python -m reports build RUN`, as people and pipelines call it."""
    runs.mixed(tmp_path)
    command = [sys.executable, "-m", "reports", "build", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("config", "again"),
    [
        (["environments/base.toml", "environments/production.toml"], "pytest -m preflight --env production"),
        (["/etc/our settings/base.toml"], "pytest -m preflight --env production '--config=/etc/our settings'"),
        ([], "pytest -m preflight --env production"),
    ],
)
def test_what_did_not_run_is_run_again_in_the_same_environment(tmp_path: Path, config: list[str], again: str) -> None:
    """The command to paste names it and its settings: without them it would rehearse in the sandbox."""
    environment = {"name": "production", "sandbox": False, "config": config}
    folder = runs.written(tmp_path, runs.header([runs.entry("INF-001")], environment=environment), [], runs.end())
    assert build.build(folder).findings[0].remedy.endswith(f"\n    {again}")
