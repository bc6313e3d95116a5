"""What triage was answered, told as it comes: whoever waits at night reads the first answer before the last is there.

It goes by the evidence alone, so it tells the same of a look that another process made, and in a replay.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.triage.answers import ASKED, answers
from plugins.triage.tree import TreeError, tree
from reports.inert import inert
from reports.prose import prose

if TYPE_CHECKING:
    from fixtures.settings import Environment

TOLD = ("mistral", "health", "users", "rate", "pods", "log")
"""The questions whose answers are worth a line by themselves."""
INTERVAL = 0.02
PATIENCE = 5.0
"""Seconds that the last answers get to be told: a busy machine needs some, a hung one none."""
LONGEST = 300
"""Characters of a line."""


class Telling:
    """A thread that tells of each look once its evidence is there, in lines of at most `width` columns.

    `tell` takes whole lines, from any thread.
    """

    def __init__(self, folder: Path, environment: Environment, tell: Callable[[str], object], width: int = 80) -> None:
        self._folder, self._environment, self._tell, self._width = folder, environment, tell, width
        self._left = list(ASKED)
        self._over = threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="telling", daemon=True)

    def start(self) -> None:
        self._tell(f"asking {', '.join(ASKED.values())}, all at once\n")
        self._thread.start()

    def stop(self) -> None:
        """Tell what there is by now, and no more."""
        self._over.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            while self._left and not self._over.wait(INTERVAL):
                self._told()
            self._told()
        except TreeError as error:  # the diagnosis will say so too; what was answered stands in the findings
            self._tell(f"{inert(str(error), LONGEST)}\n")

    def _told(self) -> None:
        there = [name for name in self._left if (self._folder / "observations" / f"{name}.json").exists()]
        for name in there:
            self._left.remove(name)
            after = f"{time.monotonic() - self._began:4.1f} s  "
            told = (line for said in self._said(name) for line, _ in prose(said, self._width, "", after))
            self._tell("".join(f"{line}\n" for line in told))

    def _said(self, name: str) -> Iterator[str]:
        found = answers(self._folder, self._environment, tree())
        facts = (found.facts[question] for question in TOLD if question in found.facts)
        said = [fact.says for fact in facts if fact.evidence == f"observations/{name}.json"]
        said += [f"not known: {row['message']}" for row in found.unasked if row["what"] == ASKED[name]]
        yield from (" ".join(inert(f"{ASKED[name]}: {line}", LONGEST).split()) for line in said)
