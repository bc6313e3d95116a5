"""The board: what a terminal shows at the end of a run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import build, text
from reports.model import Offender, Report, Result
from tests.reports import runs, strategies


@pytest.fixture
def mixed(tmp_path: Path) -> Report:
    return build.build(runs.mixed(tmp_path))


def one(folder: Path, **fields: Any) -> Report:
    entries = (runs.entry("INF-002", remedy=fields.pop("remedy", "Mend it.")),)
    runs.written(folder, runs.header(entries), [Result(**{"id": "INF-002", "status": "failed"} | fields)], runs.end())
    return build.build(folder)


def without_colour(board: str) -> str:
    """The words of a coloured board; the banner's colour runs on to the end of its lines."""
    return "".join(f"{line.rstrip()}\n" for line in re.sub(r"\x1b\[[0-9;]*m", "", board).split("\n")[:-1])


def test_the_order_is_that_of_a_reader_in_a_hurry(mixed: Report) -> None:
    """The verdict, what fails, what nobody knows, what did not run, what is waived, a line an area, the files."""
    board = text.board(mixed, files=["reports/runs/x/report.html"])
    marks = [
        "NO-GO: 3 of 16 checks fail",
        "✗ FAILED  COD-005  blocker",
        "✗ FAILED  INF-002  blocker",
        "✗ FAILED  INF-005  advisory",
        "? UNVERIFIED  SEC-007  blocker",
        "? UNVERIFIED  INF-009  blocker",
        "○ NOT RUN  DOC-007  blocker",
        "~ WAIVED  SEC-005  advisory",
        "secrets       ✓ 2 passed  ? 1 unverified  ~ 1 waived",
        "infra         ✓ 2 passed  ✗ 2 failed  ? 1 unverified  - 1 not applicable",
        "reports/runs/x/report.html",
    ]
    places = [board.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "SEC-001" not in board


def test_a_failure_reads_like_an_instruction(mixed: Report) -> None:
    """What, where, found, expected; then what to do, with what is to paste indented and never wrapped."""
    board = text.board(mixed)
    assert (
        "✗ FAILED  INF-002  blocker\n"
        "  Traffic reaches a container only after the container says that it is ready.\n"
        "  > 2 of 2 containers have no readiness probe\n"
        "    - deployment chat/chat: chat: found no readinessProbe, expected a probe of\n"
        "      its own /ready\n"
        "    - deployment chat/chat: proxy: found"
    ) in board
    assert (
        "  What to do:\n"
        "    Give each container a `readinessProbe` that calls its own `/ready`:\n"
        "\n"
        "      containers:\n"
        "        - name: chat\n"
        "          readinessProbe:\n"
        "            httpGet: {path: /ready, port: 8080}\n"
        "            periodSeconds: 5\n"
        "\n"
        "    Then roll it out:\n"
        "\n"
        "      $ kubectl -n chat apply -f deploy/chat.yaml\n"
    ) in board
    assert (
        "      kubectl -n chat create rolebinding golive-secret --role=golive-secret --serviceaccount=ci:golive\n"
        in board
    )


def test_an_offender_that_needs_more_than_two_lines_is_labelled(tmp_path: Path) -> None:
    """So that what was found and what was expected stand below each other."""
    digests = [f"sha256:{digit * 64}" for digit in "75"]
    board = text.board(one(tmp_path, offenders=(Offender("another image runs", "pod chat-1", *digests),)), width=100)
    assert (
        "    - another image runs\n"
        "      where     pod chat-1\n"
        f"      found     {digests[0]}\n"
        f"      expected  {digests[1]}\n"
    ) in board


def test_what_offends_is_said_once(tmp_path: Path) -> None:
    """The message of a failed check lists its offenders; then the offenders alone are shown."""
    offenders = (Offender("no readiness probe", "container chat"), Offender("no readiness probe", "container proxy"))
    said = "; ".join(map(str, offenders))
    assert text.board(one(tmp_path / "same", message=said, offenders=offenders)).count("no readiness probe") == 2
    more = text.board(one(tmp_path / "more", message=f"{said}; both since Monday", offenders=offenders))
    assert "  > container chat: no readiness probe; container proxy: no" in more


def test_a_check_that_was_asked_of_several_things_says_which_offend(tmp_path: Path) -> None:
    """The message names them; where it is not shown, a line does."""
    entries = (runs.entry("INF-009", parameters=("api-down", "high-latency")),)
    offender = Offender("no rule", "Prometheus")
    results = [
        Result(id="INF-009", parameter="api-down", status="failed", message=str(offender), offenders=(offender,)),
        Result(id="INF-009", parameter="high-latency", status="passed"),
    ]
    runs.written(tmp_path, runs.header(entries), results, runs.end())
    assert "  1 of 2: api-down\n    - Prometheus: no rule\n" in text.board(build.build(tmp_path))


def test_prose_is_flowed_anew_and_lists_stay_lists(tmp_path: Path) -> None:
    """A paragraph written 120 columns wide is not ragged at 80; an item keeps its line."""
    remedy = (
        "Let the health endpoint ask Mistral at most every few seconds and say what came of it, in these fields\n"
        "and no others: no error text, no address, no configuration.\n"
        "- the first thing, which is long enough that it must be wrapped somewhere before its end is reached\n"
        "- the second thing\n"
        "1. and a number\n"
        "\n"
        "A new paragraph."
    )
    assert (
        "  What to do:\n"
        "    Let the health endpoint ask Mistral at most every few seconds and say what\n"
        "    came of it, in these fields and no others: no error text, no address, no\n"
        "    configuration.\n"
        "    - the first thing, which is long enough that it must be wrapped somewhere\n"
        "      before its end is reached\n"
        "    - the second thing\n"
        "    1. and a number\n"
        "    A new paragraph.\n"
    ) in text.board(one(tmp_path, remedy=remedy, message="x"))


def test_a_message_of_several_lines_is_one_paragraph(tmp_path: Path) -> None:
    """But for lines that are indented or follow a blank one."""
    board = text.board(one(tmp_path, message="it says\nmore than\n  a line\n\nat the end"))
    assert "  > it says more than\n  >   a line\n  > at the end\n" in board


def test_one_cause_is_said_once(tmp_path: Path) -> None:
    """Checks that met the same wall are one block: the cause, what to do, a line for each check."""
    claim = "A claim that is rather long, so that it does not fit beside its id on one line of the board."
    ids = ["SEC-001", "SEC-002", "INF-002"]
    entries = (*(runs.entry(id_, claim) for id_ in ids), runs.entry("INF-005", "Another.", severity="advisory"))
    refused = "10.0.0.1:6443 refuses connections"
    down: dict[str, Any] = {"status": "unverified", "reason": "unreachable", "remedy": "Start it: nc -vz 10.0.0.1 6443"}
    results = [
        *(Result(id=id_, message=f"the cluster (get secrets): {refused}", **down) for id_ in ids[:2]),
        *(Result(id=id_, message=f"the cluster (get pods): {refused}", **down) for id_ in ("INF-002", "INF-005")),
    ]
    runs.written(tmp_path, runs.header(entries), results, runs.end())
    assert (
        "? UNVERIFIED  4 checks, one cause  blocker\n"
        "  why: unreachable (no connection could be made)\n"
        "  > the cluster: 10.0.0.1:6443 refuses connections\n"
        "  What to do:\n"
        "    Start it:\n"
        "\n"
        "      nc -vz 10.0.0.1 6443\n"
        "\n"
        "  Unverified because of it:\n"
        "    the cluster (get secrets)\n"
        "      SEC-001  A claim that is rather long, so that it does not fit beside it...\n"
        "      SEC-002  A claim that is rather long, so that it does not fit beside it...\n"
        "    the cluster (get pods)\n"
        "      INF-002  A claim that is rather long, so that it does not fit beside it...\n"
        "      INF-005 (advisory)  Another.\n"
    ) in text.board(build.build(tmp_path))


def test_the_facts_say_what_chose_the_environment(mixed: Report) -> None:
    """Where the command line did not; and no fact is broken over two lines."""
    board = text.board(mixed, chosen_by="GOLIVE_ENV=prod", width=60)
    first, second = (
        "chat · 9f2c1e7 · production (GOLIVE_ENV=prod) · preflight ·",
        "2026-11-22 15:08 UTC · 12.4 s · exit 1",
    )
    assert f"\n{first}\n{second}\n" in board


def test_what_could_not_be_verified_says_why(mixed: Report) -> None:
    """The reason with its meaning, before the message."""
    board = text.board(mixed)
    assert "  why: denied (a permission is missing)\n  > may not get secrets in namespace chat\n" in board


@pytest.mark.parametrize("width", [60, 80, 120])
def test_lines_fit_the_terminal_but_for_what_is_to_paste(mixed: Report, width: int) -> None:
    """Prose is wrapped at the width that the terminal has."""
    pasted = {line for row in mixed.findings for line in row.remedy.splitlines()}
    long = [line for line in text.board(mixed, width=width).splitlines() if len(line) > width]
    assert [line for line in long if not any(line.strip() in paste for paste in pasted)] == []


def test_a_terminal_that_knows_only_ascii_gets_ascii(mixed: Report) -> None:
    """Signs have plain forms; anything else is spelt out rather than lost."""
    board = text.board(mixed, encoding="ANSI_X3.4-1968")
    board.encode("ascii")
    assert board.startswith("=" * 80)
    assert "x FAILED  INF-002  blocker" in board
    assert text.board(mixed, encoding="UTF-8") == text.board(mixed, encoding="utf8") != board


def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    """The board stays one screen a finding."""
    board = text.board(one(tmp_path, offenders=tuple(Offender(f"pod-{n:02}") for n in range(49))))
    assert "pod-11" in board
    assert "pod-12" not in board
    assert "    and 37 more in report.html\n" in board


def test_what_did_not_run_at_large_is_named_once(tmp_path: Path) -> None:
    """A killed run does not print forty times the same."""
    runs.written(tmp_path, runs.header(runs.CATALOGUE), [], None)
    board = text.board(build.build(tmp_path))
    assert board.count("○ NOT RUN") == 1
    assert "○ NOT RUN  16 checks\n  no result of it was recorded before the run was cut short\n  SEC-001, " in board
    assert "cut short · exit 10" in board


def test_colour_changes_no_word(mixed: Report) -> None:
    """With the escape sequences taken out, the coloured board is the plain one."""
    coloured = text.board(mixed, colour=True)
    assert "\x1b[" in coloured
    assert without_colour(coloured) == text.board(mixed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(head=strategies.headers(), ending=strategies.endings(), data=st.data())
def test_nothing_hostile_reaches_the_terminal(tmp_path: Path, head: Any, ending: Any, data: st.DataObject) -> None:
    """No escape sequence but our own, nothing that moves the cursor or turns the text around."""
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    runs.written(folder, head, data.draw(strategies.results(head.catalogue)), ending)
    report = build.build(folder)
    board = text.board(report)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", board)
    assert without_colour(text.board(report, colour=True)) == board


def test_ten_megabytes_become_a_few_lines(tmp_path: Path) -> None:
    """A log line of that size does not scroll the verdict away."""
    report = one(tmp_path, message="x" * 10_000_000, remedy="y" * 10_000_000, offenders=(Offender("z" * 10_000_000),))
    assert len(text.board(report)) < 20_000
