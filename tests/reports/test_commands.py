"""Commands at the width of a terminal: they fit, and a shell takes them for what they were."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from reports.commands import folded

RUNBOOK = Path(__file__).resolve().parents[2] / "runbook"
LONG = "kubectl --context production -n chat create secret generic mistral --from-file=api-key=/dev/stdin -o yaml"
PIPED = f'printf %s "$MISTRAL_API_KEY" | {LONG} \\\n    | kubectl --context production -n chat apply -f -'
QUOTED = (
    "kubectl -n chat get deployment/chat -o jsonpath='{range .spec.containers[*]}{.name}  {.image} {end}' --now=yes"
)
WORDS = [LONG, PIPED, QUOTED, f'{LONG} "it is \\" said" \'and\' done', f"{LONG} a\\ b\\ c\\ d e", f"true  #  {LONG}"]


def meant(command: str, folder: Path) -> str:
    """What a shell runs: each program stands in for itself and says its words."""
    for name in ("kubectl", "printf"):
        (folder / name).write_text('#!/bin/sh\nfor word; do echo "<$word>"; done\ncat 2>/dev/null\n')
        (folder / name).chmod(0o755)
    script = f'set -e\nprintf() {{ {folder}/printf "$@"; }}\n{command}\n'
    variables = {"PATH": f"{folder}:/usr/bin:/bin", "MISTRAL_API_KEY": "two words"}
    done = subprocess.run(["sh", "-c", script], env=variables, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("width", [20, 40, 73, 200])
@pytest.mark.parametrize("command", WORDS)
def test_a_shell_takes_it_for_the_same(command: str, width: int, tmp_path: Path) -> None:
    """Word by word, whatever is quoted, escaped or a comment."""
    assert meant("\n".join(folded(command, width)), tmp_path) == meant(command, tmp_path)


def test_each_line_fits(tmp_path: Path) -> None:
    """Where there are blanks to fold at; and it is folded at few of them."""
    lines = folded(PIPED, 73)
    assert max(map(len, lines)) <= 73
    assert len(lines) == 4
    assert lines[-1] == PIPED.splitlines()[-1]


@pytest.mark.parametrize("page", sorted(RUNBOOK.glob("*.md")), ids=lambda page: page.stem)
def test_the_commands_of_the_runbook_fit(page: Path) -> None:
    """At 80 columns, indented as triage shows them, and word by word the same."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = folded(command, 73)
            assert [line for line in lines if len(line) > 73] == []
            assert _words("\n".join(lines)) == _words(command)


def _words(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "), comments=True)


@pytest.mark.parametrize("command", ["", "read -rs MISTRAL_API_KEY", "x" * 200, f"cat <<EOF\n{LONG}\nEOF", f"# {LONG}"])
def test_what_fits_or_cannot_be_folded_is_left(command: str) -> None:
    """A word without blanks, a comment, a here-document: broken, they would be something else."""
    assert "\n".join(folded(command, 73)) == command
