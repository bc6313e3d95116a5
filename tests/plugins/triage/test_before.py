"""What the last verdicts had left open: found where it is, and nothing believed that is broken or somebody else's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fixtures.settings import Environment
from plugins.triage.before import before
from tests.plugins.triage.nights import opening

CHECKS = ("SEC-003", "RES-001")
CLOCK = "2026-05-01T12:00:00.000Z"
WAIVER = {"reason": "the key is rotated on Monday", "expires": "2026-06-01", "owner": "ada"}


def finding(id_: str, status: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "status": status, "message": f"{id_} said so", "waiver": None} | more


def run(runs: Path, name: str, *findings: Any, age: float = 0.0, **changed: Any) -> Path:
    """A folder of a run with its report, `age` seconds old."""
    report = {
        "phase": "preflight",
        "environment": {"name": "production"},
        "started": "2026-05-01T10:00:00.000Z",
        "findings": list(findings),
    } | changed
    file = runs / name / "report.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(report))
    os.utime(file, (1_000_000_000 - age, 1_000_000_000 - age))
    return file


def told(folder: Path, **triage: Any) -> list[dict[str, str]]:
    environment = Environment(name="production", tier="production", triage=triage)  # type: ignore[arg-type] # validated
    return before(opening(folder / "tonight", environment, CLOCK), CHECKS)


def test_what_was_waived_or_not_verified_is_told_with_its_run(tmp_path: Path) -> None:
    """A waiver by its reason, its end and its owner; anything else in the finding's own words."""
    rows = [
        finding("SEC-003", "waived", waiver=WAIVER),
        finding("RES-001", "unverified"),
        finding("INF-001", "failed"),
        finding("SEC-003", "passed"),
    ]
    run(tmp_path, "monday", *rows)
    assert told(tmp_path) == [
        {
            "id": "SEC-003",
            "status": "waived",
            "says": "the key is rotated on Monday (until 2026-06-01, ada)",
            "run": "monday",
        },
        {"id": "RES-001", "status": "unverified", "says": "RES-001 said so", "run": "monday"},
    ]


def test_the_last_run_of_each_phase_counts(tmp_path: Path) -> None:
    """What an earlier one had left open may be mended since."""
    run(tmp_path, "old", finding("SEC-003", "unverified"), age=100)
    run(tmp_path, "new", finding("SEC-003", "passed"))
    run(tmp_path, "after", finding("RES-001", "not_run"), phase="postdeploy")
    assert [(row["run"], row["id"]) for row in told(tmp_path)] == [("after", "RES-001")]


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": {"name": "staging"}},
        {"environment": "production"},
        {"phase": "triage"},
        {"phase": ["preflight"]},
        {"started": "2026-05-02T10:00:00.000Z"},
        {"started": 7},
        {"findings": "none"},
        {"findings": [["SEC-003", "waived"], 5, {"id": ["SEC-003"], "status": {}}]},
    ],
    ids=["environment", "no-environment", "phase", "no-phase", "later", "no-time", "no-findings", "odd-findings"],
)
def test_what_is_somebody_else_s_or_no_report_tells_nothing(changed: dict[str, Any], tmp_path: Path) -> None:
    """Nor does it stop the triage."""
    run(tmp_path, "other", finding("SEC-003", "unverified"), **changed)
    assert told(tmp_path) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"phase": "preflight"}', b"[" * 100_000, b" " * 5_000_001 + b"{}"]
)
def test_a_broken_report_is_passed_over(content: bytes, tmp_path: Path) -> None:
    """The one before it is read."""
    run(tmp_path, "whole", finding("SEC-003", "unverified"), age=100)
    run(tmp_path, "broken").write_bytes(content)
    assert [row["run"] for row in told(tmp_path)] == ["whole"]


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A report is a file of this folder."""
    elsewhere = run(tmp_path / "elsewhere", "run", finding("SEC-003", "unverified"))
    (tmp_path / "runs" / "linked").mkdir(parents=True)
    (tmp_path / "runs" / "linked" / "report.json").symlink_to(elsewhere)
    assert told(tmp_path / "runs") == []


def test_earlier_runs_may_lie_elsewhere(tmp_path: Path) -> None:
    """Where the settings say; and where there is nothing, nothing is told."""
    run(tmp_path / "kept", "monday", finding("SEC-003", "unverified"))
    assert told(tmp_path / "here") == []
    assert [row["run"] for row in told(tmp_path / "here", runs=tmp_path / "kept")] == ["monday"]


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    """One line, of bounded length."""
    run(tmp_path, "monday", finding("SEC-003", "unverified", message="x" * 9_000 + "\nmore"))
    (row,) = told(tmp_path)
    assert row["says"] == "x" * 200
