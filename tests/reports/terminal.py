"""Triage as a real terminal shows it: tmux is the terminal, Chromium draws what stands in its cells.

python -m tests.reports.terminal docs      makes the pictures of docs/triage.md anew
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.reports.png import smaller

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 80
PATIENCE = 120.0
"""Seconds that a run may take on a busy machine."""
TRIAGE = "python -m pytest -m triage --env sandbox --scenario mistral-rejects-the-key"
CAUSE = "Mistral rejects the key (confirmed)"
TRIES = 5
PROMPT = "$"
PAGER = (":", "(END)")
"""What less shows in its last line once a page is there."""
SETTINGS = "set -g status off\nset -g history-limit 5000\nset -g default-terminal tmux-256color\n"
ENDED = {22: range(1, 3), 27: range(7, 8), 39: range(30, 38), 49: range(40, 48)}
"""What each of these codes switches off."""
_SGR = re.compile(r"\x1b\[([\d;]*)m")
GROUND, INK = "#14181d", "#d5dbe1"
PALETTE = ("#3b4450", "#d2413a", "#4fae6a", "#d9a53a", "#5b9bd5", "#b48ae0", "#45b3c0", "#f2f4f6")
"""The eight colours of a terminal; which they are is its owner's choice."""


def _left_out(name: str) -> bool:
    """What would make a program behave otherwise than at the prompt of a person."""
    return name.startswith(("PYTEST_", "GOLIVE_", "LESS", "TMUX")) or name in {"CI", "NO_COLOR", "FORCE_COLOR"}


@dataclass(frozen=True, slots=True)
class Terminal:
    """A shell in a terminal of `COLUMNS` columns."""

    folder: Path

    def type(self, line: str) -> None:
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        self._tmux("send-keys", key)

    def screen(self, *, styled: bool = False) -> list[str]:
        """What can be seen now, the last line that is not empty last."""
        return self._captured(*(["-e", "-N"] if styled else []))

    def whole(self, *, styled: bool = False, joined: bool = False) -> list[str]:
        """From the first line on, with what has been scrolled away. `joined`: a line that was too long is one again."""
        return self._captured("-S", "-", *(["-e", "-N"] if styled else []), *(["-J"] if joined else []))

    def wait(self, there: Callable[[list[str]], bool]) -> None:
        """Until the screen is as it should be. Raises `TimeoutError` with what it shows."""
        until = time.monotonic() + PATIENCE
        while not there(self.screen()):
            if time.monotonic() > until:
                raise TimeoutError("\n".join(self.screen()))
            time.sleep(0.1)

    def run(self, line: str) -> None:
        """Type it, and wait for the next prompt."""
        self.type(line)
        self.wait(lambda shown: shown[-1:] == [PROMPT] and self.whole() != [PROMPT])

    def page(self, line: str) -> None:
        """Type it, and wait until a pager shows a page."""
        self.type(line)
        self.wait(lambda shown: bool(shown) and shown[-1].startswith(PAGER))

    def _captured(self, *options: str) -> list[str]:
        lines = self._tmux("capture-pane", "-p", *options).splitlines()
        lines = lines if "-N" in options else [line.rstrip() for line in lines]
        while lines and not _SGR.sub("", lines[-1]).strip():
            lines.pop()
        return lines

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", str(self.folder / "socket"), "-f", str(self.folder / "settings"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20, cwd=ROOT).stdout


@contextlib.contextmanager
def terminal(rows: int, **variables: str) -> Iterator[Terminal]:
    """A shell with the project's root as its folder, closed at the end with all that still runs in it."""
    with tempfile.TemporaryDirectory(prefix="golive-", ignore_cleanup_errors=True) as folder:
        opened = Terminal(Path(folder))
        (opened.folder / "settings").write_text(SETTINGS, "utf-8")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = {"PATH": path, "PS1": f"{PROMPT} ", "LC_ALL": "C.UTF-8", "ENV": "", **variables}
        unset = [word for name in os.environ if _left_out(name) for word in ("-u", name)]
        shell = ["env", *unset, *(f"{name}={value}" for name, value in given.items()), "sh"]
        size = ("-x", str(COLUMNS), "-y", str(rows))
        opened._tmux("new-session", "-d", *size, shlex.join(shell))
        try:
            opened.wait(lambda shown: shown == [PROMPT])
            yield opened
        finally:
            opened._tmux("kill-server")


def drawn(lines: list[str], file: Path) -> None:
    """Styled lines of a terminal as a PNG."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-lcd-text"])
        page = browser.new_page(viewport={"width": 800, "height": 600}, device_scale_factor=1)
        page.set_content(_page(lines))
        picture = page.locator("pre").screenshot()
        browser.close()
    file.write_bytes(smaller(picture))


def _page(lines: list[str]) -> str:
    style = (
        f"margin: 0; padding: 14px 16px; width: {COLUMNS}ch; background: {GROUND}; color: {INK};"
        "font: 14px/1.17 'DejaVu Sans Mono', 'Liberation Mono', monospace"
    )
    return f"<body style='margin: 0'><pre style=\"{style}\">{chr(10).join(_spans(lines))}</pre>"


def pieces(lines: list[str]) -> Iterator[list[tuple[str, list[int]]]]:
    """Each line as texts with the codes that are switched on for them. What a line switches on holds for the next."""
    codes: list[int] = []
    for line in lines:
        row = []
        for number, piece in enumerate(_SGR.split(line)):
            if number % 2:
                codes = _after(codes, piece)
            elif piece:
                row.append((piece, codes))
        yield row


def _spans(lines: list[str]) -> Iterator[str]:
    for row in pieces(lines):
        yield "".join(f'<span style="{_css(codes)}">{html.escape(piece)}</span>' for piece, codes in row)


def _after(codes: list[int], piece: str) -> list[int]:
    """What is switched on after one more sequence: `0` or nothing switches all off."""
    for code in (int(part or 0) for part in piece.split(";")):
        kept = [each for each in codes if each not in ENDED.get(code, ())]
        codes = [] if not code else kept if code in ENDED else [*kept, code]
    return codes


def _css(codes: list[int]) -> str:
    rules = {}
    for code in codes:
        if code == 1:
            rules["font-weight"] = "700"
        elif code == 2:
            rules["opacity"] = ".6"
        elif code == 7:
            rules |= {"color": GROUND, "background": INK}
        elif code in range(30, 38):
            rules["color"] = PALETTE[code - 30]
        elif code in range(40, 48):
            rules["background"] = PALETTE[code - 40]
    return "; ".join(f"{name}: {value}" for name, value in rules.items())


def main(docs: Path) -> None:
    """Run it three times, and draw what is seen."""
    drawn(_seen(24), docs / "triage-colour.png")
    drawn(_seen(24, NO_COLOR="1"), docs / "triage-plain.png")
    drawn(_seen(40, pager=True), docs / "triage-less.png")


def _seen(rows: int, *, pager: bool = False, **variables: str) -> list[str]:
    """The night as it is to be shown: a machine too busy to answer in time gets another try."""
    for _ in range(TRIES):
        with terminal(rows, **variables) as shell:
            if pager:
                shell.page(f"{TRIAGE} | less")
            else:
                shell.run(TRIAGE)
            if any(CAUSE in line for line in shell.whole()):
                return shell.screen(styled=True) if pager else shell.whole(styled=True)
    raise SystemExit(f"none of {TRIES} runs came to: {CAUSE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
