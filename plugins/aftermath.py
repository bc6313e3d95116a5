"""What follows from a run's answers, beside its verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugins.opening import Opening
    from reports.model import Report

PHASES = ("preflight", "rollout")
"""Those whose verdict speaks for an image."""


def before_end(opening: Opening, phase: str | None) -> dict[str, Any] | None:
    """The diagnosis, in the phase triage: all looks have ended by now. See `Report.triage` for its shape."""
    if phase != "triage":
        return None
    from plugins.triage.diagnosis import document

    return document(opening)


def after(report: Report, opening: Opening) -> str:
    """What is left for later runs once the report is written. A sentence for the terminal; empty where nothing is."""
    if report.phase not in PHASES:
        return ""
    from plugins.clearing import cleared

    return cleared(report, opening)
