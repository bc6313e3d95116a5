"""What a run that did not come to its end has changed: told by the last line on each thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports import build, changes, text
from tests.reports.runs import end, entry, header, written

BEGUN = {
    "what": "Deployment chat/chat",
    "state": "begun",
    "says": "going back to revision 7 (chat:1.4.1)",
    "onward": "kubectl --context production --namespace chat rollout status deployment/chat --timeout=10m --watch=true",
    "at": "2026-11-22T15:08:05.000Z",
}
ENDED = BEGUN | {"state": "ended", "says": "went back to revision 7 (chat:1.4.1): 1 of 2 pods are available"}
TOLD = BEGUN | {"what": "slack at hooks.slack.com", "onward": ""}


def _kept(folder: Path, *rows: dict[str, Any], torn: str = "") -> Path:
    (folder / changes.NAME).write_text("".join(f"{json.dumps(row)}\n" for row in rows) + torn)
    return folder


def test_the_last_line_on_each_thing_counts(tmp_path: Path) -> None:
    """One that ended says how it was left; one that did not, that nobody knows. A torn line is no line."""
    assert changes.notes(_kept(tmp_path, BEGUN, TOLD, ENDED, torn='{"what": "Dep')) == (
        f"Deployment chat/chat: {ENDED['says']}. Next: {BEGUN['onward']}",
        f"slack at hooks.slack.com: {TOLD['says']}. This began at {BEGUN['at']}, and how it ended is not known.",
    )


@pytest.mark.parametrize("line", ["[]", "{", '{"what": "x"}', '{"what": [], "state": 1, "says": 1, "onward": 1}', "1"])
def test_a_damaged_line_is_a_doubt(tmp_path: Path, line: str) -> None:
    """What stands in the others is told all the same."""
    first, doubt = changes.notes(_kept(tmp_path, BEGUN, torn=f"{line}\n"))
    assert first.startswith("Deployment chat/chat: ")
    assert doubt == "changes.jsonl:2: found no line of its form: what was changed is not known for sure."


@pytest.mark.parametrize(("status", "told"), [(None, True), (2, True), (0, False), (1, False)])
def test_a_run_that_came_to_its_end_tells_it_in_its_findings(tmp_path: Path, status: int | None, told: bool) -> None:
    """Only one that was stopped, or killed, has notes on what it changed; the command in them is never wrapped."""
    ending = None if status is None else end(pytest_status=status)
    report = build.build(_kept(written(tmp_path, header([entry("INF-001")]), [], ending), BEGUN))
    assert any(note.startswith("Deployment chat/chat: going back") for note in report.notes) is told
    assert (f"\n      {BEGUN['onward']}\n" in text.board(report, width=60)) is told
