"""One run, one truth: verdict, headline, counts and each status are the same in every format, always."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports import __main__ as program
from reports import allure, build, manifest, text
from reports.inert import inert
from reports.model import STATUSES
from reports.wording import WORDS
from tests.reports import runs, strategies
from tests.reports.page import parsed

STATUS_OF = {word: status for status, word in WORDS.items()}


@dataclass
class Said:
    """What one format says. None where it has no place for something."""

    verdict: str
    headline: str
    exit_code: int | None = None
    counts: Mapping[Any, int] | None = None
    statuses: Mapping[str, str] | None = None


def of_json(folder: Path) -> Said:
    content = json.loads((folder / "report.json").read_text("utf-8"))
    statuses = {row["id"]: row["status"] for row in content["findings"]}
    return Said(
        content["verdict"] or "No verdict", content["headline"], content["exit_code"], content["counts"], statuses
    )


def of_html(folder: Path) -> Said:
    tree = parsed((folder / "report.html").read_text("utf-8"))
    verdict = tree.one("h1")
    counts = {
        row.attributes["data-count"]: int(row.one("td").text)
        for row in tree.all("tr")
        if "data-count" in row.attributes
    }
    rows = [row for row in tree.all() if "data-id" in row.attributes]
    for row in rows:  # what the reader sees, not only what is marked up
        assert WORDS[row.attributes["data-status"]] in row.words  # type: ignore[index] # one of the statuses
    statuses = {str(row.attributes["data-id"]): str(row.attributes["data-status"]) for row in rows}
    assert len(rows) == len(statuses)
    code = int(str(verdict.attributes["data-exit-code"]))
    return Said(verdict.words, tree.one(id="headline").text, code, counts, statuses)


def of_junit(folder: Path) -> Said:
    root = ElementTree.parse(folder / "junit.xml").getroot()
    run = {row.get("name"): str(row.get("value")) for row in root[0].iterfind("properties/property")}
    statuses = {}
    for case in root.iter("testcase"):
        facts = {row.get("name"): str(row.get("value")) for row in case.iter("property")}
        if "id" in facts:
            statuses[facts["id"]] = facts["status"]
    counts = {status: int(run[f"count.{status}"]) for status in STATUSES}
    verdict = run["verdict"] if run["verdict"] != "none" else "No verdict"
    return Said(verdict, run["headline"], int(run["exit_code"]), counts, statuses)


def of_summary(folder: Path) -> Said:
    tokens = MarkdownIt("commonmark").enable("table").parse((folder / "summary.md").read_text("utf-8"))
    inline = [token for token in tokens if token.type == "inline"]
    shown = ["".join(child.content for child in token.children or ()) for token in inline]
    cells = shown[shown.index(WORDS[STATUSES[-1]]) + 1 :][: len(STATUSES)]
    return Said(shown[0].split(":")[0], shown[0], None, dict(zip(STATUSES, map(int, cells), strict=True)))


def of_allure(folder: Path) -> Said:
    lines = (folder / "environment.properties").read_text("utf-8").replace("\\\\", "\\").splitlines()
    facts = dict(line.split(" = ", 1) for line in lines)
    statuses = {}
    for file in folder.glob("*-result.json"):
        row = json.loads(file.read_text("utf-8"))
        tag = next(label["value"] for label in row["labels"] if label["name"] == "tag")
        statuses[tag] = STATUS_OF[row["parameters"][0]["value"]]
        assert row["status"] == allure.STATUS[statuses[tag]]
    verdict = facts["Verdict"] if facts["Verdict"] != "none" else "No verdict"
    return Said(verdict, facts["Headline"], int(facts["Exit.code"]), None, statuses)


def of_board(board: str) -> Said:
    headline = " ".join(board.split("━" * 80)[1].split())
    return Said(headline.split(":")[0], headline)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(head=strategies.headers(), ending=strategies.endings(), blocked=st.booleans(), data=st.data())
def test_all_formats_agree(tmp_path: Path, head: Any, ending: Any, blocked: bool, data: st.DataObject) -> None:
    """Whatever ran, however it ended, with a format that cannot be written too."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    shutil.rmtree(tmp_path / "allure", ignore_errors=True)
    folder = runs.written(tmp_path / "run", head, data.draw(strategies.results(head.catalogue)), ending)
    if blocked:
        (folder / manifest.NAME).mkdir()
    report, _ = build.publish(folder, allure=tmp_path / "allure")
    said = of_json(folder)
    assert (said.verdict, said.exit_code) == (report.verdict or "No verdict", report.exit_code)
    assert list(said.statuses or ()) == [entry.id for entry in head.catalogue]
    assert (said.exit_code == 0) == (said.verdict == "GO") or head.phase is None
    words = " ".join(inert(said.headline).split())
    formats = [of_html(folder), of_junit(folder), of_summary(folder), of_allure(tmp_path / "allure")]
    for other in (*formats, of_board(text.board(report))):
        assert other.verdict == said.verdict
        assert " ".join(other.headline.split()) == words
        assert said.headline.startswith(f"{said.verdict}: ")
        assert other.exit_code in {None, said.exit_code}
        assert other.counts in (None, said.counts)
        assert other.statuses in (None, said.statuses)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(head=strategies.headers(), ending=strategies.endings(), data=st.data())
def test_the_program_agrees_too(tmp_path: Path, head: Any, ending: Any, data: st.DataObject) -> None:
    """The exit code of a rebuild is the one that the report states."""
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    folder = runs.written(tmp_path / "run", head, data.draw(strategies.results(head.catalogue)), ending)
    assert program.main(["build", str(folder)]) == of_json(folder).exit_code
