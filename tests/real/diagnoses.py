"""The table of diagnoses: what triage made of each real fault, and what it makes of it without the evidence.

    python -m tests.real.diagnoses                shows the table as docs/triage.md has it
    python -m tests.real.diagnoses write          brings every fault about, and writes the table

test_triage.py brings them about too, and holds each row to what it sees.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.triage.answers import Answers, answers
from plugins.triage.tree import UNASKED, Row, tree
from tests.plugins.triage.nights import Night
from tests.real.control_plane.processes import StartError
from tests.real.control_plane.programs import BuildError, PartMissing
from tests.real.incidents import INCIDENTS, Incident
from tests.real.scene import Scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "triage.md"
MARKERS = ("<!-- diagnoses -->", "<!-- /diagnoses -->")
HEAD = (
    "| fault | diagnosis | how sure | severity | answers that led there | without one of them |",
    "| --- | --- | --- | --- | --- | --- |",
)
IN_BOUNDS = {("rate", "none"): "in bounds", ("rate", "within"): "in bounds"}
"""What a busy machine decides, and nothing follows from."""

Verdict = tuple[str, str]
"""A diagnosis, and how sure it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What triage made of an incident."""

    night: Night
    document: dict[str, Any]
    found: Answers
    row: Row

    @property
    def verdict(self) -> Verdict:
        return self.document["diagnosis"], self.document["sure"]

    @property
    def deciding(self) -> dict[str, str]:
        """The answers that the row needs: question to answer. One that may be missing too decides nothing."""
        wanted = self.row.when.answers.items()
        return {name: self.found.facts[name].value for name, words in wanted if UNASKED not in words}

    @property
    def led(self) -> str:
        """Those answers for people."""
        words = {name: IN_BOUNDS.get((name, word), word) for name, word in self.deciding.items()}
        return ", ".join(f"`{question}` {word}" for question, word in words.items())

    def without(self, *questions: str) -> Verdict:
        """What is diagnosed where these could not be asked."""
        left = {name: fact for name, fact in self.found.facts.items() if name not in questions}
        row, _ = tree().walked(left)
        return row.diagnosis, row.sure


def seen(incident: Incident, scene: Scene, folder: Path) -> Seen:
    """Bring the fault about, look as triage does into the new `folder`, and take the fault away."""
    with ExitStack() as stack:
        changes = incident.made(scene, stack)
        night = scene.looked(folder, incident.service, changes)
    found = answers(night.folder, night.opening.environment, tree())
    return Seen(night, night.document(), found, tree().walked(found.facts)[0])


def line(incident: Incident, found: Seen) -> str:
    """A row of the table in Markdown."""
    diagnosis, sure = found.verdict
    page = f"[{diagnosis}](../runbook/{diagnosis}.md)"
    severity = found.document["severity"] or "none"
    cells = (incident.fault, page, sure, severity, found.led or "none of them names a cause", _poorer(found))
    return f"| {' | '.join(cells)} |"


def _poorer(found: Seen) -> str:
    """What it becomes without each of the answers, those of the same outcome together."""
    outcomes: dict[str, list[str]] = {}
    for question in found.deciding:
        diagnosis, sure = found.without(question)
        same = "the same, by the others" if (diagnosis, sure) == found.verdict else ""
        told = same or (diagnosis if diagnosis == "unknown" else f"{diagnosis}, {sure}")
        outcomes.setdefault(told, []).append(f"`{question}`")
    return "; ".join(f"{', '.join(names)}: {told}" for told, names in outcomes.items()) or "-"


def shown(page: str) -> list[str]:
    """The rows of the table in the page. Raises ValueError where it has none."""
    _, table, _ = _parts(page)
    return table.strip().splitlines()[len(HEAD) :]


def documented(page: str, rows: Sequence[str]) -> str:
    """The page with these rows. Raises ValueError where it has no place for them."""
    before, _, after = _parts(page)
    return "\n".join([before + MARKERS[0], *HEAD, *rows, MARKERS[1] + after])


def _parts(page: str) -> tuple[str, str, str]:
    before, begin, rest = page.partition(MARKERS[0])
    table, end, after = rest.partition(MARKERS[1])
    if not (begin and end):
        raise ValueError(f"{PAGE}: expected the lines {MARKERS[0]} and {MARKERS[1]}")
    return before, table, after


def _brought_about(folder: Path) -> Iterator[str]:
    with Scene(folder / "scene") as scene:
        for incident in INCIDENTS:
            row = line(incident, seen(incident, scene, folder / incident.name))
            sys.stdout.write(f"{row}\n")
            yield row


def main(arguments: Sequence[str]) -> int:
    """Show the table, or write it."""
    if arguments not in ([], ["write"]):
        sys.stderr.write("usage: python -m tests.real.diagnoses [write]\n")
        return 2
    if not arguments:
        sys.stdout.write("\n".join(shown(PAGE.read_text())) + "\n")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="golive-diagnoses-") as folder:
            rows = list(_brought_about(Path(folder)))
    except (BuildError, PartMissing, StartError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    PAGE.write_text(documented(PAGE.read_text(), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
