"""Allure's results: one for each finding, whatever ran, and the same ones when written twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from reports import allure, build
from tests.reports import runs


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Each result by the id of its check."""
    rows = [json.loads(file.read_text("utf-8")) for file in folder.glob("*-result.json")]
    return {row["name"].split(" ")[0]: row for row in rows}


def written(tmp_path: Path) -> dict[str, dict[str, Any]]:
    runs.mixed(tmp_path / "run")
    allure.write(build.build(tmp_path / "run"), tmp_path / "run", tmp_path / "allure")
    return results(tmp_path / "allure")


def test_every_finding_is_a_result(tmp_path: Path) -> None:
    """With a status that Allure knows, and the exact one as a parameter."""
    rows = written(tmp_path)
    assert sorted(rows) == sorted(entry.id for entry in runs.CATALOGUE)
    assert {id_: rows[id_]["status"] for id_ in ("INF-002", "SEC-007", "DOC-007", "SEC-005", "INF-015", "SEC-001")} == {
        "INF-002": "failed",
        "SEC-007": "broken",
        "DOC-007": "broken",
        "SEC-005": "skipped",
        "INF-015": "skipped",
        "SEC-001": "passed",
    }
    assert rows["SEC-007"]["parameters"][0] == {"name": "status", "value": "unverified", "excluded": True}


def test_a_result_says_what_and_what_to_do(tmp_path: Path) -> None:
    """Labels, message, offenders, remedy as Markdown, parameters as steps."""
    rows = written(tmp_path)
    labels = {label["name"]: label["value"] for label in rows["INF-005"]["labels"]}
    assert (labels["severity"], labels["suite"], labels["epic"], labels["tag"]) == (
        "minor",
        "infra",
        "preflight",
        "INF-005",
    )
    assert rows["SEC-007"]["statusDetails"]["message"] == (
        "unverified: denied (a permission is missing): may not get secrets in namespace chat"
    )
    assert "- deployment chat/chat: chat: found no readinessProbe" in rows["INF-002"]["statusDetails"]["trace"]
    assert "\n\n    containers:\n      - name: chat\n" in rows["INF-002"]["description"]
    assert [(step["name"], step["status"]) for step in rows["INF-009"]["steps"]][-1] == (
        "circuit-open: unverified",
        "broken",
    )


def test_evidence_is_attached(tmp_path: Path) -> None:
    """Each file once, referred to by all that rest on it."""
    rows = written(tmp_path)
    (attachment,) = rows["INF-002"]["attachments"]
    assert attachment["name"] == "observations/workload.json"
    assert (tmp_path / "allure" / attachment["source"]).read_bytes() == (
        tmp_path / "run/observations/workload.json"
    ).read_bytes()
    assert rows["ENV-001"]["attachments"] == [attachment]


def test_evidence_outside_the_run_is_not_attached(tmp_path: Path) -> None:
    """A path in a journal must not carry a file of this machine into a report."""
    report = build.build(runs.mixed(tmp_path / "run"))
    (tmp_path / "private.json").write_text("{}")
    findings = tuple(replace(row, evidence=("../private.json", "/etc/passwd")) for row in report.findings)
    allure.write(replace(report, findings=findings), tmp_path / "run", tmp_path / "allure")
    assert all("attachments" not in row for row in results(tmp_path / "allure").values())


def test_writing_twice_leaves_the_same_files(tmp_path: Path) -> None:
    """A rebuild replaces results and does not double them."""
    written(tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "allure").iterdir()}
    allure.write(build.build(tmp_path / "run"), tmp_path / "run", tmp_path / "allure")
    assert {file.name: file.read_bytes() for file in (tmp_path / "allure").iterdir()} == before


def test_history_goes_on_from_run_to_run(tmp_path: Path) -> None:
    """The same check in the same environment has the same history, another environment another."""
    first = written(tmp_path / "1")
    later = runs.mixed(tmp_path / "2", started="2026-11-23T08:00:00Z")
    other = runs.mixed(tmp_path / "3", environment={"name": "staging", "sandbox": False, "config": []})
    for number, folder in (("2", later), ("3", other)):
        allure.write(build.build(folder), folder, tmp_path / number / "allure")
    second, third = results(tmp_path / "2/allure"), results(tmp_path / "3/allure")
    assert first["INF-002"]["historyId"] == second["INF-002"]["historyId"] != third["INF-002"]["historyId"]
    assert first["INF-002"]["uuid"] != second["INF-002"]["uuid"]
    assert first["INF-002"]["testCaseId"] == third["INF-002"]["testCaseId"]


def test_the_first_page_has_the_verdict(tmp_path: Path) -> None:
    """And the categories have our words."""
    written(tmp_path)
    properties = (tmp_path / "allure/environment.properties").read_text("utf-8")
    assert properties.startswith("Verdict = NO-GO\nHeadline = NO-GO: 3 of 16 checks fail")
    categories = json.loads((tmp_path / "allure/categories.json").read_text())
    assert {status for row in categories for status in row["matchedStatuses"]} == {"failed", "broken", "skipped"}
