"""summary.md: what a CI system shows on the page of the run. Everything from outside is escaped."""

from __future__ import annotations

import re

from reports.causes import Block, blocks
from reports.diagnosis import Diagnosis, diagnosis
from reports.inert import inert
from reports.model import STATUSES, WORST_FIRST, Report
from reports.wording import SANDBOX, SIGNS, WORDS, first_line, plural, reason_in_words

ROWS = 100
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>&~@$:])")


def text(report: Report) -> str:
    """The summary as GitHub-flavoured Markdown, far below the 1 MiB that GitHub takes."""
    sections = [f"## {escaped(report.headline)}", _facts(report)]
    if report.environment["sandbox"]:
        sections.append(f"> **Sandbox:** {SANDBOX}.")
    if (found := diagnosis(report.triage)) is not None:
        sections.append(_triage(found))
    sections += [_counts(report), _open(report)]
    if report.notes:
        sections.append("\n".join(f"- {escaped(note)}" for note in report.notes))
    sections.append("The whole report, with the evidence: `report.html` in the run's folder.")
    return "\n\n".join(section for section in sections if section) + "\n"


def escaped(value: str, limit: int = 600) -> str:
    """One line of Markdown that shows `value` and does nothing: no link, image, mention, HTML or table cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(inert(value, limit).split()))


def _facts(report: Report) -> str:
    facts = {
        "Service": report.service["name"],
        "Revision": report.service["revision"],
        "Environment": report.environment["name"],
        "Phase": report.phase or "none",
        "Started": report.started,
        "Exit code": str(report.exit_code),
    }
    return ", ".join(f"{name} **{escaped(str(value))}**" for name, value in facts.items() if value)


def _triage(found: Diagnosis) -> str:
    """How bad, what it is, on which answers, what to do; the commands are in report.html."""
    lines = [f"### {escaped(found.headline)}", escaped(found.why or "The impact on users was not measured.")]
    lines.append("\n".join(f"- {escaped(f'{row.question} {row.answer}')}" for row in found.path))
    lines.append("\n".join(f"{number}. {escaped(row.says)}" for number, row in enumerate(found.actions, 1)))
    unasked = [f"{row.what}: {reason_in_words(row.reason)}: {row.message}" for row in found.unasked]
    lines.append("\n".join(f"- Could not be asked: {escaped(row)}" for row in unasked))
    return "\n\n".join(filter(None, lines))


def _counts(report: Report) -> str:
    head = " | ".join(WORDS[status] for status in STATUSES)
    row = " | ".join(str(report.counts[status]) for status in STATUSES)
    return f"| {head} |\n|{' ---: |' * len(STATUSES)}\n| {row} |"


def _open(report: Report) -> str:
    """A table of what did not simply pass, the worst first; a cause that several share is one row."""
    rows = [row for row in report.findings if row.status not in {"passed", "not_applicable"}]
    rows.sort(key=lambda row: (WORST_FIRST.index(row.status), row.severity != "blocker"))
    if not rows:
        return ""
    lines = ["| Status | Check | What was found | What to do |", "| --- | --- | --- | --- |"]
    lines += [_row(block) for block in blocks(rows[:ROWS])]
    left = len(rows) - ROWS
    return "\n".join(lines) + (f"\n\nand {plural(left, 'more finding')} in report.html" if left > 0 else "")


def _row(block: Block) -> str:
    first = block.findings[0]
    found = [escaped(block.cause)]
    if first.reason:
        found.insert(0, escaped(reason_in_words(first.reason)))
    if first.waiver:
        found.append(escaped(f"waived until {first.waiver.get('expires')}: {first.waiver.get('reason')}"))
    cells = (
        f"{SIGNS[first.status]} {WORDS[first.status]}{', advisory' if block.severity == 'advisory' else ''}",
        "<br>".join(f"**{escaped(finding.id)}** {escaped(finding.claim)}" for finding in block.findings),
        "<br>".join(part for part in found if part),
        "<br>".join(dict.fromkeys(escaped(first_line(remedy)) for remedy in block.remedies)),
    )
    return f"| {' | '.join(cells)} |"
