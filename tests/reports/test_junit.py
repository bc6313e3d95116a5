"""junit.xml: valid whatever it holds, red exactly when the exit code is not 0."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import build, junit
from reports.model import Result, Severity, Status
from tests.reports import runs, strategies

# What the readers of Jenkins, GitLab, GitHub's actions and Azure agree on: the children in their order, the
# attributes, and which of these must be there.
CHILDREN = {
    "testsuites": "(testsuite )*",
    "testsuite": "(properties )?(testcase )*",
    "properties": "(property )+",
    "testcase": "(properties )?(skipped |failure |error )?",
    "property": "",
    "skipped": "",
    "failure": "",
    "error": "",
}
MUST = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "skipped": {"type", "message"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}
NUMBER, SECONDS = re.compile(r"\d+"), re.compile(r"\d+\.\d{3}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")


def held_to_the_form(element: ElementTree.Element) -> None:
    assert re.fullmatch(CHILDREN[element.tag], "".join(f"{child.tag} " for child in element)), element.tag
    assert set(element.attrib) == MUST[element.tag], element.tag
    for name, pattern in {"time": SECONDS, "timestamp": MOMENT, "tests": NUMBER, "errors": NUMBER}.items():
        assert pattern.fullmatch(element.get(name, "")) or name not in element.attrib, (name, element.get(name))
    for child in element:
        held_to_the_form(child)


def tree(folder: Path) -> ElementTree.Element:
    root = ElementTree.fromstring(junit.text(build.build(folder)))
    held_to_the_form(root)
    return root


def properties(case: ElementTree.Element) -> dict[str, str]:
    return {str(row.get("name")): str(row.get("value")) for row in case.iter("property")}


def only(folder: Path, severity: Severity, phase: str | None = "preflight", **fields: Any) -> ElementTree.Element:
    """The test case of a run's only check."""
    head = runs.header((runs.entry("INF-002", severity=severity),), phase=phase)
    runs.written(folder, head, [Result(**{"id": "INF-002"} | fields)], runs.end())
    (case,) = (case for case in tree(folder).iter("testcase") if case.get("classname") == "infra")
    return case


@pytest.mark.parametrize(
    ("status", "severity", "phase", "tag", "kind"),
    [
        ("passed", "blocker", "preflight", None, None),
        ("failed", "blocker", "preflight", "failure", "failed"),
        ("unverified", "blocker", "preflight", "error", "unverified"),
        ("not_run", "blocker", "preflight", "error", "not_run"),
        ("waived", "blocker", "preflight", "skipped", "waived"),
        ("not_applicable", "blocker", "preflight", "skipped", "not_applicable"),
        ("failed", "advisory", "preflight", "skipped", "advisory"),
        ("unverified", "advisory", "preflight", "skipped", "advisory"),
        ("not_run", "advisory", "preflight", "error", "not_run"),
        ("failed", "advisory", None, "failure", "failed"),
        ("unverified", "advisory", None, "error", "unverified"),
    ],
)
def test_each_status_has_its_element(
    tmp_path: Path, status: Status, severity: Severity, phase: str | None, tag: str | None, kind: str | None
) -> None:
    """And its exact status and severity as properties, since JUnit's own words are too few."""
    case = only(tmp_path, severity, phase, status=status)
    marks = [child for child in case if child.tag != "properties"]
    assert [(child.tag, child.get("type")) for child in marks] == ([(tag, kind)] if tag else [])
    assert properties(case) == {"id": "INF-002", "status": status, "severity": severity}


def test_a_skip_is_never_bare(tmp_path: Path) -> None:
    """An advisory that fails says that it fails; a waiver says by whom and until when."""
    failed = only(tmp_path / "advisory", "advisory", status="failed", message="one replica")
    assert str(failed[-1].get("message")) == "failed (advisory, does not gate): one replica"
    waived = only(
        tmp_path / "waived", "blocker", status="waived", beneath="unverified", reason="denied", waiver=runs.WAIVER
    )
    assert str(waived[-1].get("message")).startswith(
        "waived: denied (a permission is missing): waiver OPS-1412 until 2026-12-01, approved by j.okafor: The move"
    )
    assert properties(waived)["beneath"] == "unverified"
    bare = only(tmp_path / "bare", "blocker", status="waived", waiver={"ticket": "T"})
    assert "until (no expires)" in str(bare[-1].get("message"))


def test_an_error_says_why_and_what_to_do(tmp_path: Path) -> None:
    """Reason in the type, reason and message in the message, remedy and evidence below."""
    case = next(case for case in tree(runs.mixed(tmp_path)).iter("testcase") if "SEC-007" in str(case.get("name")))
    error = case[-1]
    assert (error.tag, error.get("type")) == ("error", "denied")
    assert str(error.get("message")) == (
        "unverified: denied (a permission is missing): may not get secrets in namespace chat"
    )
    assert "kubectl -n chat create role" in str(error.text)
    assert "Evidence: observations/cluster_secret.json" in str(error.text)


def test_the_run_has_a_case_of_its_own(tmp_path: Path) -> None:
    """What no check speaks for is red too: a killed run in which every check passed."""
    results = runs.passed()
    root = tree(runs.written(tmp_path, runs.header(runs.CATALOGUE), results, None))
    (mark,) = root.iter("error")
    assert str(mark.get("message")).startswith("PARTIAL: the run was cut short")
    assert properties(root[0])["verdict"] == "PARTIAL"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(head=strategies.headers(), ending=strategies.endings(), data=st.data())
def test_it_is_valid_and_red_exactly_when_the_exit_code_is_not_0(
    tmp_path: Path, head: Any, ending: Any, data: st.DataObject
) -> None:
    """Over any run with any text in it; and the suites' numbers are those of their cases."""
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    runs.written(folder, head, data.draw(strategies.results(head.catalogue)), ending)
    report, root = build.build(folder), tree(folder)
    red = len([*root.iter("failure"), *root.iter("error")])
    assert (red > 0) == (report.exit_code != 0)
    assert int(str(root.get("failures"))) + int(str(root.get("errors"))) == red
    assert int(str(root.get("tests"))) == len([*root.iter("testcase")]) == len(report.findings) + 1
