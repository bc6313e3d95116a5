"""A triage in each format: how bad, what it is, on which answers, what to do, and what nobody could ask."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reports import allure, build, summary, text
from reports.model import Report
from tests.reports import runs
from tests.reports.page import Element, parsed

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e [x](http://evil) @channel\x00"


def board(folder: Path, *, width: int = 80, colour: bool = False, **changed: Any) -> str:
    report = build.build(runs.triaged(folder, **changed))
    return text.board(report, width=width, colour=colour, files=["reports/runs/x/report.html"])


def hostile(value: Any) -> Any:
    """The same form, each text an attack of some length."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    return [hostile(item) for item in value] if isinstance(value, list) else HOSTILE * 50


def page(folder: Path) -> Element:
    assert build.publish(folder)[1] == []
    return parsed((folder / "report.html").read_text("utf-8"))


def test_the_order_is_that_of_somebody_just_woken(tmp_path: Path) -> None:
    """How bad and why, what it is and on which answers, what to do; then what is not known, what was open, what
    changed, where the drafts lie. The end, which is what is left on a small screen, says the first again.
    """
    marks = [
        "NO-GO: P1, respond within 15 min: Mistral rejects the key; 2 of 4 checks fail",
        "P1  respond within 15 min\n  62 % of calls failed",
        "WHAT IS WRONG\n  Mistral rejects the key (confirmed)",
        "  - Does Mistral answer a call with our key and our model?\n    No: it answers 401. [obs",
        "also: The circuit of our service is open (likely): see runbook/circuit-open.md",
        "DO NOW\n  1. Copy the key",
        "       kubectl -n chat rollout restart deployment/chat\n",
        "runbook/key-rejected.md says what to check, and when to escalate.",
        "COULD NOT BE ASKED\n  ? What do our logs say? denied (a permission is missing): may not get",
        "       kubectl -n chat create role golive-logs --verb=get --resource=pods/log\n",
        "LEFT OPEN BEFORE\n  ~ SEC-003 waived: The Mistral API accepts the key.",
        "CHANGED LAST\n  - 2026-11-22T15:01:12Z  revision 7",
        "DRAFTS, NOT SENT\n  Slack        reports/runs/x/drafts/slack.md",
        "ASKED\n  ✗ TRI-001 failed: it answers 401 to our key\n",
        "triage  ✓ 1 passed  ✗ 2 failed  ? 1 unverified",
        "\nP1, respond within 15 min: Mistral rejects the key (confirmed)\nDo first: Copy the key",
    ]
    shown = board(tmp_path)
    places = [shown.find(mark) for mark in marks]
    assert -1 not in places, marks[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_lines_fit_the_terminal_but_for_what_is_to_paste(tmp_path: Path, width: int) -> None:
    """A path and a command stay whole; all else is wrapped."""
    whole = ["kubectl -n chat create role", "drafts/", "triage  ✓"]
    long = [line for line in board(tmp_path, width=width).splitlines() if len(line) > width]
    words = [line.strip().removesuffix(" \\") for line in long if not any(part in line for part in whole)]
    assert [word for word in words if " " in word] == []


def test_colour_changes_no_word(tmp_path: Path) -> None:
    """With the escape sequences taken out, the coloured board is the plain one."""
    coloured = board(tmp_path / "a", colour=True)
    bare = "".join(f"{line.rstrip()}\n" for line in re.sub(r"\x1b\[[0-9;]*m", "", coloured).split("\n")[:-1])
    assert "\x1b[" in coloured
    assert bare == board(tmp_path / "b")


def test_a_terminal_that_knows_only_ascii_gets_ascii(tmp_path: Path) -> None:
    """Through a serial line as well."""
    shown = text.board(build.build(runs.triaged(tmp_path)), encoding="ascii")
    shown.encode("ascii")
    assert "x TRI-001 failed" in shown


@pytest.mark.parametrize("severity", [None, ""])
def test_a_severity_that_was_not_measured_is_not_a_low_one(tmp_path: Path, severity: str | None) -> None:
    """It is said where the severity would stand, in each format."""
    shown = board(tmp_path, severity=severity, respond="", why="")
    assert "\nSEVERITY NOT MEASURED\n  The impact on users was not measured.\n" in shown
    section = page(tmp_path).one("section", data_diagnosis="key-rejected")
    assert "severity not measured" in section.words
    assert "severity not measured" in summary.text(build.build(tmp_path)).replace("\\", "")


def test_nothing_wrong_is_no_incident(tmp_path: Path) -> None:
    """It has no severity to frighten anybody with, and leaves no drafts."""
    calm: dict[str, Any] = {"diagnosis": "nothing-wrong", "title": "Nothing is wrong", "severity": "P4", "drafts": []}
    shown = board(tmp_path, **calm)
    assert "\nNO INCIDENT\n" in shown
    assert shown.endswith("\nNo incident.\n")
    assert "P4" not in shown
    assert "DRAFTS" not in shown
    assert build.publish(tmp_path)[1] == []
    assert not (tmp_path / "drafts").exists()


def test_nothing_seen_where_not_all_could_be_asked_is_not_no_incident(tmp_path: Path) -> None:
    """Cannot tell must not read like fine at 3 a.m."""
    some: dict[str, Any] = {
        "diagnosis": "nothing-wrong",
        "sure": "likely",
        "title": "Nothing is wrong, as far as asked",
    }
    document: dict[str, Any] = some | {"severity": "P4", "respond": "the next working day"}
    shown = board(tmp_path, **document)
    assert "NO INCIDENT" not in shown
    assert "\nNOTHING SEEN, BUT NOT ALL COULD BE ASKED\n" in shown
    assert shown.endswith("\nNothing seen, but not all could be asked: What do our logs say.\n")
    assert "Nothing is wrong, as far as asked (likely)" in shown


def test_what_could_not_be_asked_for_one_reason_is_said_once(tmp_path: Path) -> None:
    """Three pods whose logs nobody may read are one permission that is missing."""
    row = runs.TRIAGE["unasked"][0]
    shown = board(tmp_path, unasked=[row | {"what": f"log of pod-{number}"} for number in range(30)])
    assert "? log of pod-0, log of pod-1, log of pod-2 and 27 more: denied" in shown.replace("\n    ", " ")
    assert shown.count("create role") == 1


def test_a_diagnosis_without_answers_or_actions_says_so(tmp_path: Path) -> None:
    """Rather than a heading with nothing below it."""
    shown = board(tmp_path, path=[], actions=[], also=[], unasked=[], before=[], changed=[], drafts=[])
    assert "  No answer supports a cause.\n" in shown
    assert "  Nothing is written down for this: escalate.\n" in shown
    assert not re.search(r"COULD NOT BE ASKED|LEFT OPEN|CHANGED|DRAFTS", shown)
    section = page(tmp_path).one("section", data_diagnosis="key-rejected")
    assert "No answer supports a cause." in section.words
    assert "Nothing is written down for this: escalate." in section.words


def test_every_format_says_the_same_diagnosis(tmp_path: Path) -> None:
    """The headline in all of them; id, severity and how sure it is where a format has names for them."""
    report = build.build(runs.triaged(tmp_path))
    assert build.publish(tmp_path)[1] == []
    said = "P1, respond within 15 min: Mistral rejects the key"
    assert json.loads((tmp_path / "report.json").read_text("utf-8"))["triage"] == runs.TRIAGE
    assert said in report.headline
    assert said in parsed((tmp_path / "report.html").read_text("utf-8")).one(id="headline").text
    assert said in (tmp_path / "summary.md").read_text("utf-8").replace("\\", "")
    rows = {row.get("name"): row.get("value") for row in ElementTree.parse(tmp_path / "junit.xml").iter("property")}
    named = {"triage.diagnosis": "key-rejected", "triage.sure": "confirmed", "triage.severity": "P1"}
    assert named.items() <= rows.items()
    allure.write(report, tmp_path, tmp_path / "allure")
    properties = (tmp_path / "allure" / "environment.properties").read_text("utf-8")
    assert all(f"{name} = {value}\n" in properties for name, value in named.items())


def test_the_page_shows_it_first_with_what_is_to_paste(tmp_path: Path) -> None:
    """The commands whole, the evidence and the drafts as links."""
    tree = page(runs.triaged(tmp_path))
    section = next(tree.all("section"))
    assert section.attributes["data-severity"] == "P1"
    assert [row.text for row in section.all("pre")][:2] == [row["command"] for row in runs.TRIAGE["actions"]]
    links = [str(row.attributes["href"]) for row in section.all("a")]
    assert [link for link in links if not link.startswith("#")] == [row["file"] for row in runs.TRIAGE["drafts"]]
    assert all((tmp_path / row["file"]).is_file() for row in runs.TRIAGE["drafts"])
    anchors = {row.attributes.get("id") for row in tree.all()}
    assert {link[1:] for link in links if link.startswith("#")} <= anchors


@pytest.mark.parametrize(
    "file", ["javascript:alert(1)", "../../etc/passwd", "https://evil.example/x.md", "drafts/x.html"]
)
def test_a_draft_elsewhere_is_no_link(tmp_path: Path, file: str) -> None:
    """It is shown as what it is."""
    section = next(page(runs.triaged(tmp_path, drafts=[{"what": "Slack", "file": file}])).all("section"))
    assert file in section.words
    assert [row for row in section.all("a") if row.attributes["href"] == file] == []


def test_nothing_hostile_does_anything(tmp_path: Path) -> None:
    """Answers come from systems that failed: no escape sequence, no element, no link out of them."""
    attack: dict[str, Any] = {key: hostile(value) for key, value in runs.TRIAGE.items()}
    shown = board(tmp_path, **attack)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    tree = page(tmp_path)
    assert list(tree.all("script")) == []
    assert [row for row in tree.all("a") if "evil" in str(row.attributes["href"])] == []
    assert "[x](http" not in summary.text(build.build(tmp_path))


def test_ten_megabytes_become_a_few_lines(tmp_path: Path) -> None:
    """Whatever a source said, the diagnosis is not scrolled away."""
    long = "x" * 1_000_000 + "\n" * 1000
    shown = board(tmp_path, why=long, actions=[{"says": long, "command": long}] * 3, path=[{"answer": long}] * 3)
    assert len(shown) < 60_000
    assert "more characters" in shown


def test_a_killed_triage_shows_what_was_answered(tmp_path: Path) -> None:
    """It has no diagnosis, so each finding speaks for itself."""
    runs.written(tmp_path, runs.header(runs.TRIAGE_CATALOGUE, phase="triage"), [], None)
    report: Report = build.build(tmp_path)
    shown = text.board(report)
    assert report.verdict == "PARTIAL"
    assert "WHAT IS WRONG" not in shown
    assert "○ NOT RUN  " in shown
