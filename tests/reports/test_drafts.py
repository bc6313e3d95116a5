"""The drafts of an incident: facts filled in, a cause only where it is confirmed, and nothing that calls anybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from reports import build, drafts
from tests.reports import runs

SLACK, STATUS, POSTMORTEM = "drafts/slack.md", "drafts/status-page.md", "drafts/postmortem.md"


def written(folder: Path, **changed: Any) -> dict[str, str]:
    return drafts.texts(build.build(runs.triaged(folder, **changed)))


def test_they_lie_in_the_folder_of_the_run_and_under_its_manifest(tmp_path: Path) -> None:
    """Where the report says that they are; a later change to one shows."""
    report, problems = build.publish(runs.triaged(tmp_path))
    assert problems == []
    files = [row["file"] for row in drafts.listed("key-rejected")]
    assert {file: (tmp_path / file).read_text("utf-8") for file in files} == drafts.texts(report)
    manifest = (tmp_path / "manifest.json").read_text("utf-8")
    assert all(f'"path": "{file}"' in manifest for file in files)


@pytest.mark.parametrize("file", [SLACK, STATUS, POSTMORTEM])
@pytest.mark.parametrize("sure", ["likely", "unknown", "", None])
def test_a_cause_that_is_not_confirmed_is_not_named(tmp_path: Path, file: str, sure: str | None) -> None:
    """Not by its title, nor by what users would be told, nor by what is done about it."""
    text = written(tmp_path, sure=sure)[file]
    assert drafts.UNCONFIRMED in text
    for said in (runs.TRIAGE["title"], runs.TRIAGE["public"], runs.TRIAGE["actions"][0]["says"]):
        assert said not in text
    assert not re.search("identified|rejects", text, re.IGNORECASE)


@pytest.mark.parametrize("file", [SLACK, STATUS, POSTMORTEM])
def test_a_confirmed_cause_is_named(tmp_path: Path, file: str) -> None:
    """To users in the words that are for them."""
    text = written(tmp_path)[file]
    assert (runs.TRIAGE["public"] if file == STATUS else runs.TRIAGE["title"]) in text
    assert drafts.UNCONFIRMED not in text


ALSO = {
    "diagnosis": "service-down",
    "title": "Our service is down",
    "runbook": "runbook/service-down.md",
    "public": "Our service has a disturbance.",
}


@pytest.mark.parametrize("sure", ["confirmed", "likely"])
@pytest.mark.parametrize("also", ["confirmed", "likely"])
@pytest.mark.parametrize("file", [SLACK, STATUS, POSTMORTEM])
def test_another_cause_is_named_where_it_too_is_confirmed(tmp_path: Path, file: str, also: str, sure: str) -> None:
    """Beside the first, or without it."""
    text = written(tmp_path, sure=sure, also=[{**ALSO, "sure": also}])[file]
    assert (ALSO["public" if file == STATUS else "title"] in text) is (also == "confirmed")
    assert (runs.TRIAGE["public" if file == STATUS else "title"] in text) is (sure == "confirmed")


@pytest.mark.parametrize("file", [STATUS, POSTMORTEM])
def test_what_only_follows_is_no_cause(tmp_path: Path, file: str) -> None:
    """What has no word for users is for those who are on call."""
    assert ALSO["title"] not in written(tmp_path, also=[{**ALSO, "sure": "confirmed", "public": ""}])[file]


def test_users_read_nothing_of_our_systems(tmp_path: Path) -> None:
    """No figure, no name of a cluster, no evidence, no id of a check."""
    text = written(tmp_path)[STATUS]
    assert not re.search(r"62 %|kubectl|deployment|observations|TRI-|SEC-|pods", text)
    assert "**Impact:** Most requests fail, or get no answer." in text


@pytest.mark.parametrize("severity", [None, "", "P5"])
def test_an_impact_that_was_not_measured_is_not_made_up(tmp_path: Path, severity: str | None) -> None:
    """Neither small nor large."""
    texts = written(tmp_path, severity=severity, why="")
    assert drafts.UNMEASURED in texts[STATUS]
    assert drafts.UNMEASURED in texts[POSTMORTEM]
    assert not any(impact in text for impact in drafts.IMPACT.values() for text in texts.values())


def test_the_postmortem_has_its_facts_in_the_order_of_time(tmp_path: Path) -> None:
    """What changed stands before the look that found it; what was not known is said; the rest is to fill in."""
    changed = [{"at": "2026-11-22T15:06:00Z", "what": "later"}, {"at": "2026-11-22T14:00:00Z", "what": "earlier"}]
    text = written(tmp_path, changed=changed)[POSTMORTEM]
    places = [text.index(mark) for mark in ("earlier", "later", "triage, P1", "## Root cause", "## Action items")]
    assert places == sorted(places)
    assert "- Not known: What do our logs say?" in text
    assert "- [ ] [owner, date] Close what was left open: SEC-003" in text
    assert "(`observations/mistral_reply.json`)" in text


def test_what_only_people_know_is_left_to_them(tmp_path: Path) -> None:
    """Each draft says what is to be filled in: who leads, and when the next word comes."""
    texts = written(tmp_path)
    assert all("[" in text for text in texts.values())
    assert all("Next update" in texts[file] for file in (SLACK, STATUS))
    assert all("Incident commander: [name]" in texts[file] for file in (SLACK, POSTMORTEM))


def test_a_rehearsal_says_so(tmp_path: Path) -> None:
    """A draft of the sandbox that went out would be a false alarm."""
    assert all(text.startswith(drafts.REHEARSED) for text in written(tmp_path / "a", sandbox=True).values())
    assert not any(drafts.REHEARSED in text for text in written(tmp_path / "b").values())


@pytest.mark.parametrize("call", ["@channel", "@here", "<!channel>", "<!subteam^S1>", "@U0123"])
def test_nobody_is_called(tmp_path: Path, call: str) -> None:
    """What a log line says must not wake a whole company."""
    path = [{"question": f"{call}?", "answer": call, "evidence": call}]
    for text in written(tmp_path, why=f"hello {call}", path=path, changed=[{"at": call, "what": call}]).values():
        assert call not in text


def test_nothing_from_outside_formats_a_draft(tmp_path: Path) -> None:
    """No heading, link, image or line of its own; long texts are cut."""
    attack = "x\n# Over\n[a](http://evil) ![i](http://evil) <img src=x>\x1b[31m" + "y" * 100_000
    path = [{"question": attack, "answer": attack, "evidence": attack}] * 3
    texts = written(tmp_path, why=attack, path=path, changed=[{"at": attack, "what": attack}])
    for file in (STATUS, POSTMORTEM):
        tokens = MarkdownIt("commonmark").parse(texts[file])
        children = [child for token in tokens for child in token.children or ()]
        assert not {child.type for child in children} & {"link_open", "image", "html_inline"}
        assert "Over" not in [token.content for token in tokens if token.type == "inline"]
    assert all("\n# Over" not in text and "\x1b" not in text and len(text) < 20_000 for text in texts.values())


def test_only_what_is_promised_is_written(tmp_path: Path) -> None:
    """No incident promises nothing; and no name of a file leads out of the folder."""
    assert drafts.listed("nothing-wrong") == []
    files = ["../../over.md", "drafts/other.md", "report.json", SLACK]
    promised = [{"what": "Slack", "file": file} for file in files]
    assert list(written(tmp_path, drafts=promised)) == [SLACK]
