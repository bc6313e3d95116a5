"""What an incident pack tells of the incident: of a triage its diagnosis, of another run what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reports.diagnosis import Answer, Change, Diagnosis, Draft, Unasked, diagnosis
from reports.drafts import DRAFTS
from reports.model import Finding, Report


def incident(report: Report, changed: Iterable[Change]) -> Diagnosis | None:
    """The diagnosis with all that changed in its timeline; None where there is nothing to tell people.

    A run that is no triage has none: no cause is confirmed by it, and no impact was measured.
    """
    found = diagnosis(report.triage)
    if found is not None and not found.incident:
        return None
    if found is None and report.verdict == "GO" and report.phase != "rollback":
        return None
    found = found or _of_findings(report)
    rows = {(row.what, row.at): row for row in (*found.changed, *changed)}
    return replace(found, changed=tuple(rows.values()), drafts=_drafts())


def _of_findings(report: Report) -> Diagnosis:
    failed = [row for row in report.findings if row.status == "failed"]
    known = failed or [row for row in report.findings if row.status == "passed"]
    return Diagnosis(
        id="unknown",
        title="The cause is not known",
        sure="unknown",
        severity="",
        respond="",
        why="",
        public="",
        runbook="",
        path=tuple(_answer(row) for row in known),
        also=(),
        actions=(),
        unasked=tuple(_unasked(row) for row in report.findings if row.status in ("unverified", "not_run")),
        before=(),
        drafts=_drafts(),
        changed=(),
    )


def _answer(row: Finding) -> Answer:
    said = row.message if row.status == "failed" else row.claim
    return Answer(question=f"{row.id} {row.status}:", answer=said, evidence=next(iter(row.evidence), ""))


def _unasked(row: Finding) -> Unasked:
    return Unasked(
        what=f"{row.id} {row.claim}", reason=row.reason or row.status, message=row.message, remedy=row.remedy
    )


def _drafts() -> tuple[Draft, ...]:
    return tuple(Draft(what=what, file=file) for file, (what, _) in DRAFTS.items())
