"""Triage in a real terminal of 80 columns: what stands first, what is left at the end, and what a pager makes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reports.terminal import COLUMNS, ROOT, TRIAGE, Terminal, pieces, terminal

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("terminal")]

REPLAY = "python -m pytest -m triage --replay"
PICTURES = ("triage-colour.png", "triage-plain.png", "triage-less.png")
DOCS = Path(__file__).parents[2] / "docs"
RED_GROUND, YELLOW, CYAN = 41, 33, 36


@pytest.fixture(scope="module", autouse=True)
def tmux() -> None:
    if shutil.which("tmux") and shutil.which("less"):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("tmux or less is missing: apt-get install tmux less")
    pytest.skip("needs tmux and less: apt-get install tmux less")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence that each terminal shows. A machine too busy to answer in time gets another try."""
    folder = tmp_path_factory.mktemp("terminal")
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for number in range(3):
        command = [sys.executable, *TRIAGE.split()[1:], f"--run-dir={folder / str(number)}"]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)
        if "Mistral rejects the key (confirmed)" in done.stdout and "healthy" in done.stdout:
            return folder / str(number)
    pytest.fail(done.stdout)


@pytest.fixture(scope="module")
def coloured(night: Path) -> Iterator[Terminal]:
    """A small screen, on which the run has come to its end."""
    with terminal(24, PYTEST_ADDOPTS=f"--run-dir={night.parent / 'coloured'}") as shell:
        shell.run(f"{REPLAY} {night}")
        yield shell


@pytest.fixture(scope="module")
def plain(night: Path) -> Iterator[Terminal]:
    with terminal(24, PYTEST_ADDOPTS=f"--run-dir={night.parent / 'plain'}", NO_COLOR="1") as shell:
        shell.run(f"{REPLAY} {night}")
        yield shell


def codes(lines: list[str], start: str = "") -> set[int]:
    """The styles of the lines that begin like this."""
    rows = [row for row in pieces(lines) if "".join(text for text, _ in row).startswith(start)]
    assert rows, start
    return {code for row in rows for _, found in row for code in found}


def words(lines: list[str]) -> list[str]:
    """What is said, without the figures of one run, its times and the order in which the answers came."""
    board = lines[next(place for place, line in enumerate(lines) if line.startswith("━")) :]
    return re.sub(r"\d+([.,]\d+)?|coloured|plain", "0", " ".join(board)).split()


def test_no_line_is_broken_at_the_edge(coloured: Terminal) -> None:
    """Each was made for 80 columns, what is to paste as well; but for a path, which must stay whole."""
    _, *shown = coloured.whole(joined=True)  # the first line is what was typed
    long = [line for line in shown if len(line) > COLUMNS]
    assert [line for line in long if not re.fullmatch(r"\s*/\S+", line)] == []


def test_every_answer_is_told_on_the_way(coloured: Terminal) -> None:
    """Also those that come while a check is under way, whose output pytest takes for its own."""
    told = "\n".join(coloured.whole()).partition("━")[0]
    for answer in ("Mistral: POST", "our service: GET", "our service: one message", "Prometheus: 11 of 7641"):
        assert len(re.findall(rf"^ *[\d.]+ s  {answer}", told, re.MULTILINE)) == 1, told
    assert told.count("the pods and their logs: ") == 2
    assert "waiting for" not in told


def test_what_is_left_on_a_small_screen_is_what_matters(coloured: Terminal) -> None:
    """How bad, how soon, what it is, what to paste: just above the prompt, after all else was scrolled away."""
    cause, first, *further, _, prompt = coloured.screen()[-7:]
    assert cause == "P3, respond within 4 h: Mistral rejects the key (confirmed)"
    assert first.startswith("Do first: If the key of the store answers 401")
    assert further[-1] == "       read -rs MISTRAL_API_KEY"
    assert prompt == "$"
    assert "WHAT IS WRONG" not in "\n".join(coloured.screen())


def test_colour_leads_the_eye(coloured: Terminal) -> None:
    """The verdict on red, the severity in its colour, what is to paste in its own; what is prose has none."""
    shown = coloured.whole(styled=True)
    assert RED_GROUND in codes(shown, " NO-GO: P3")
    assert YELLOW in codes(shown, "P3  respond within 4 h")
    assert YELLOW in codes(shown, "P3, respond within 4 h")
    assert CYAN in codes(shown, "       read -rs MISTRAL_API_KEY")
    assert codes(shown, "  1. If the key") == set()


def test_colour_is_not_the_only_carrier(coloured: Terminal, plain: Terminal) -> None:
    """With NO_COLOR the same words stand in the same order, and nothing has a style."""
    assert words(plain.whole(joined=True)) == words(coloured.whole(joined=True))
    assert codes(plain.whole(styled=True)) == set()
    assert "✗ TRI-001 failed" in "\n".join(plain.whole())


@pytest.mark.parametrize(
    ("line", "colours"),
    [
        pytest.param(f"{REPLAY} NIGHT | less", False, id="less"),
        pytest.param(f"{REPLAY} NIGHT --color=yes | less -R", True, id="less -R"),
    ],
)
def test_a_pager_shows_it_clean(night: Path, tmp_path: Path, line: str, colours: bool) -> None:
    """The first page holds what matters, no escape sequence is shown as text, and the last page ends with it again."""
    with terminal(40, PYTEST_ADDOPTS=f"--run-dir={tmp_path / 'run'}") as shell:
        shell.page(line.replace("NIGHT", str(night)))
        first, style = shell.screen(), shell.screen(styled=True)
        shell.press("G")
        shell.wait(lambda shown: shown[-1].startswith("(END)"))
        last = shell.screen()
    for mark in ("asking Mistral", " NO-GO: P3, respond within 4 h", "WHAT IS WRONG", "DO NOW", "       read -rs"):
        assert any(row.startswith(mark) for row in first), "\n".join(first)
    assert not re.search(r"ESC|\^\[|\[\d+m", "\n".join([*first, *last]))
    assert (RED_GROUND in codes(style)) == colours
    assert any(row.startswith("P3, respond within 4 h: Mistral rejects the key") for row in last[-8:])


@pytest.mark.parametrize("name", PICTURES)
def test_the_page_shows_its_picture(name: str) -> None:
    """Made by `python -m tests.reports.terminal docs`, and small enough for a page."""
    assert f"](../docs/{name})" in (DOCS / "triage.md").read_text("utf-8")
    assert 10_000 < (DOCS / name).stat().st_size < 150_000
