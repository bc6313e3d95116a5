"""summary.md: what the page of a CI run shows, and that nothing in it does anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt

from reports import build, summary
from reports.model import Result
from tests.reports import runs, strategies

MARKDOWN = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")


def test_the_headline_comes_first_then_what_is_not_passed(tmp_path: Path) -> None:
    """The worst first, each with what was found and the first line of what to do."""
    text = summary.text(build.build(runs.mixed(tmp_path)))
    assert text.startswith("## NO-GO\\: 3 of 16 checks fail")
    rows = [line for line in text.splitlines() if line.startswith(("| ✗", "| ?", "| ○", "| ~"))]
    assert [row.split("**")[1] for row in rows] == [
        "COD-005",
        "INF-002",
        "INF-005",
        "SEC-007",
        "INF-009",
        "DOC-007",
        "SEC-005",
    ]
    assert rows[3] == (
        "| ? unverified | **SEC-007** The cluster's secret exists and equals the one in the store. "
        "| denied \\(a permission is missing\\)<br>may not get secrets in namespace chat "
        "| Let the identity that verifies read this one Secret\\: |"
    )
    assert "| passed | failed | unverified | not applicable | waived | not run |" in text
    assert "| 8 | 3 | 2 | 1 | 1 | 1 |" in text


def test_a_cause_that_several_share_is_one_row(tmp_path: Path) -> None:
    """With the ids and claims of all of them."""
    entries = tuple(runs.entry(f"SEC-00{n}", f"Claim {n}.") for n in (1, 2, 3))
    results = [Result(id=entry.id, status="unverified", reason="denied", message="no right") for entry in entries]
    text = summary.text(build.build(runs.written(tmp_path, runs.header(entries), results, runs.end())))
    (row,) = [line for line in text.splitlines() if line.startswith("| ?")]
    assert row == (
        "| ? unverified | **SEC-001** Claim 1.<br>**SEC-002** Claim 2.<br>**SEC-003** Claim 3. "
        "| denied \\(a permission is missing\\)<br>no right | Mend it. |"
    )


def test_a_go_is_short(tmp_path: Path) -> None:
    """Nothing to do: the headline, the facts and the counts."""
    text = summary.text(build.build(runs.clean(tmp_path)))
    assert "What to do" not in text
    assert len(text.splitlines()) < 12


def test_a_sandbox_says_so(tmp_path: Path) -> None:
    """Beside the headline, in a line of its own."""
    sandbox = {"name": "sandbox", "sandbox": True, "config": []}
    text = summary.text(build.build(runs.clean(tmp_path, environment=sandbox)))
    assert "> **Sandbox:** this proves nothing about a real service." in text


def test_a_thousand_failures_stay_far_below_the_limit(tmp_path: Path) -> None:
    """GitHub drops a summary of more than 1 MiB as a whole."""
    entries = tuple(runs.entry(f"INF-{n}", "c" * 9000, remedy="r" * 9000) for n in range(1000))
    results = [Result(id=entry.id, status="failed", message="|" * 9000) for entry in entries]
    text = summary.text(build.build(runs.written(tmp_path, runs.header(entries), results, runs.end())))
    assert len(text.encode()) < 500_000
    assert "and 900 more findings in report.html" in text


@settings(deadline=None)  # the machine may be busy
@given(strategies.texts)
def test_text_from_outside_does_nothing(value: str) -> None:
    """Escaped, it is one line of plain text: no HTML, link, image, heading, cell or mention."""
    line = summary.escaped(value)
    assert "\n" not in line
    tokens = MARKDOWN.parse(f"x {line} x")
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special"}
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("text", ["a | b", "\\|", "`|`", "\\\\|"])
def test_a_cell_stays_one_cell(text: str) -> None:
    """However a pipe is dressed up."""
    tokens = MARKDOWN.parse(f"| h | i |\n| --- | --- |\n| {summary.escaped(text)} | last |")
    cells = [token for token in tokens if token.type == "td_open"]
    assert len(cells) == 2
