"""What people may be told of an incident, as drafts in the run's folder: nothing here is ever sent by itself.

A cause is named only where it is confirmed; what was not measured is called that; what only people know is left to
fill in, in brackets. What comes from outside is held to a line and calls nobody. In Markdown it formats nothing; what
is for Slack is plain text, where a mark such as `*` stays, for there is no escape for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from reports.diagnosis import NOTHING_WRONG, Diagnosis, diagnosis
from reports.inert import inert
from reports.model import Report
from reports.wording import reason_in_words

LONGEST = 400
"""Characters of one value."""
IMPACT = {
    "P1": "Most requests fail, or get no answer.",
    "P2": "Some requests fail, or get a short text in place of an answer.",
    "P3": "Answers may come late or be shorter than usual.",
    "P4": "Most users notice nothing.",
}
UNMEASURED = "Some users may be affected. We are finding out how many."
REHEARSED = "SANDBOX: a rehearsal, nothing of this happened to a real service."
UNCONFIRMED = "The cause is not confirmed yet."

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~$])")
_CALLS = re.compile(r"@(?=\w)|<!", re.ASCII)


def listed(id_: str) -> list[dict[str, str]]:
    """The drafts that a run with this diagnosis leaves: {"what", "file"} each."""
    return [] if id_ == NOTHING_WRONG else [{"what": what, "file": file} for file, (what, _) in DRAFTS.items()]


def texts(report: Report) -> dict[str, str]:
    """The text of each draft that the diagnosis promises, by its file, relative to the run's folder."""
    found = diagnosis(report.triage)
    return {} if found is None else composed(report, found)


def composed(report: Report, found: Diagnosis) -> dict[str, str]:
    """The same, of a diagnosis that may know more than the report's own."""
    above = f"{REHEARSED}\n\n" if report.environment["sandbox"] else ""
    files = [row.file for row in found.drafts if row.file in DRAFTS]
    return {file: above + "\n".join(DRAFTS[file][1](report, found)).rstrip() + "\n" for file in files}


def line(value: object) -> str:
    """One line of plain text that mentions nobody."""
    return _CALLS.sub("(at) ", " ".join(inert(str(value), LONGEST).split()))


def escaped(value: object) -> str:
    """The same for Markdown: it shows the value and does nothing."""
    return _SPECIAL.sub(r"\\\1", line(value))


def _slack(report: Report, found: Diagnosis) -> Iterator[str]:
    """For the channel of the incident: plain text, to paste."""
    cause = found.title if found.confirmed else UNCONFIRMED
    yield line(f"{found.severity or 'Severity not measured'}: {_subject(report)}: {cause}")
    yield f"Status: {'identified' if found.confirmed else 'investigating'}"
    yield f"Impact: {line(found.why or UNMEASURED)}"
    yield f"Seen at: {line(report.started)}"
    yield from (f"Known: {line(f'{row.question} {row.answer}')}" for row in found.path)
    yield from (f"Confirmed too: {line(row.title)}" for row in found.confirmed_too)
    yield from (f"Not known: {line(f'{row.what} ({reason_in_words(row.reason)})')}" for row in found.unasked)
    # What is done about a cause names it, so it too is told only once that is confirmed.
    yield from (f"Doing now: {line(action.says)}" for action in found.actions[:1] if found.confirmed)
    yield "Incident commander: [name]"
    yield "Next update: [time, at most 30 minutes from now]"


def _status_page(report: Report, found: Diagnosis) -> Iterator[str]:
    """For users: no name of a system of ours, no number that is not for them."""
    yield f"# {escaped(report.service['name'] or 'The service')}: disturbance"
    yield ""
    yield f"**Status:** {'Identified' if found.confirmed else 'Investigating'}"
    yield f"\n**Impact:** {IMPACT.get(found.severity, UNMEASURED)}"
    known = [found.public if found.confirmed else "", *(row.public for row in found.confirmed_too)]
    yield f"\n**What is known:** {' '.join(map(escaped, dict.fromkeys(filter(None, known)))) or UNCONFIRMED}"
    yield "\n**Since:** [time, UTC]"
    yield "\n**Next update:** [time, at most 30 minutes from now]"


def _postmortem(report: Report, found: Diagnosis) -> Iterator[str]:
    """The facts that this run has; everything else is for those who were there."""
    yield f"# Postmortem: {escaped(_subject(report))}, {escaped(report.started[:10])}\n"
    yield f"Severity: {escaped(found.severity or 'not measured')}  \nIncident commander: [name]  \nAuthor: [name]\n"
    yield f"## Impact\n\n{escaped(found.why or UNMEASURED)}\n\n[How many users, for how long, and what they saw.]\n"
    yield "## Timeline (UTC)\n"
    yield from (f"- {at} {what}" for at, what in _timeline(report, found))
    yield "- [When it was over, and by what that was seen.]\n"
    yield "## What was known\n"
    yield from (f"- {escaped(f'{row.question} {row.answer}')} {_evidence(row.evidence)}".rstrip() for row in found.path)
    yield from _gaps(found)
    yield "\n## Root cause\n"
    yield f"{_cause(found)}\n"
    yield "## Action items\n"
    yield from (f"- [ ] [owner, date] {item}" for item in _items(found))


def _timeline(report: Report, found: Diagnosis) -> list[tuple[str, str]]:
    """What changed, and this look, in the order of time. A change of unknown time comes first."""
    rows = [(escaped(row.at), escaped(row.what)) for row in found.changed]
    cause = found.title if found.confirmed else UNCONFIRMED
    look = f"{report.phase or 'checks'}, {found.severity or 'not measured'}: {cause}"
    return sorted([*rows, (escaped(report.started), escaped(look))])


def _gaps(found: Diagnosis) -> Iterator[str]:
    for row in found.unasked:
        yield f"- Not known: {escaped(f'{row.what} {reason_in_words(row.reason)}: {row.message}')}"
    for before in found.before:
        yield f"- Left open before: {escaped(f'{before.id} {before.status}: {before.says} ({before.run})')}"


def _cause(found: Diagnosis) -> str:
    titles = [*([found.title] if found.confirmed else ()), *(row.title for row in found.confirmed_too if row.public)]
    if not titles:
        return f"{UNCONFIRMED} [To be found.]"
    return f"Confirmed by what was answered: {'; '.join(map(escaped, titles))}.\n\n[Why that could come about.]"


def _items(found: Diagnosis) -> Iterator[str]:
    yield from (f"Make it possible to ask: {escaped(row.what)}" for row in found.unasked)
    yield from (f"Close what was left open: {escaped(row.id)}" for row in found.before)
    yield "[What keeps this from happening again.]"
    yield "[What would have told us sooner.]"


def _evidence(path: str) -> str:
    return f"(`{path}`)" if re.fullmatch(r"observations/[A-Za-z0-9_]+\.json", path) else ""


def _subject(report: Report) -> str:
    return f"{report.service['name'] or 'the service'} in {report.environment['name']}"


DRAFTS: dict[str, tuple[str, Callable[[Report, Diagnosis], Iterator[str]]]] = {
    "drafts/slack.md": ("Slack", _slack),
    "drafts/status-page.md": ("Status page", _status_page),
    "drafts/postmortem.md": ("Postmortem", _postmortem),
}
"""File: what it is a draft of, and what writes it."""
