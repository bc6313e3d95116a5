"""The words and signs that every format shares, so that none says it differently."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from reports.model import STATUSES, Finding, Status

WORDS: dict[Status, str] = {
    "passed": "passed",
    "failed": "failed",
    "unverified": "unverified",
    "not_applicable": "not applicable",
    "waived": "waived",
    "not_run": "not run",
}
SIGNS: dict[Status, str] = {
    "passed": "✓",
    "failed": "✗",
    "unverified": "?",
    "not_applicable": "-",
    "waived": "~",
    "not_run": "○",
}
PLAIN_SIGNS: dict[Status, str] = {
    "passed": "+",
    "failed": "x",
    "unverified": "?",
    "not_applicable": "-",
    "waived": "~",
    "not_run": "o",
}
REASONS: dict[str, str] = {
    "denied": "a permission is missing",
    "unauthenticated": "the credentials were not accepted",
    "unreachable": "no connection could be made",
    "timeout": "no answer came in time",
    "no_data": "there was nothing to judge",
    "quota": "the quota was used up",
    "tool_missing": "a program is not installed",
    "not_configured": "a setting is missing",
    "malformed": "the answer could not be understood",
    "stale": "the record is too old or of something else",
    "not_redirectable": "the service cannot be pointed at the fault server",
    "crashed": "this suite has a defect here",
}
SANDBOX = "this proves nothing about a real service"


def reason_in_words(reason: str) -> str:
    """A reason code with what it means: `denied (a permission is missing)`. An unknown code stands alone."""
    return f"{reason} ({REASONS[reason]})" if reason in REASONS else reason


def plural(number: int, noun: str) -> str:
    """`1 check`, `2 checks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have each status; every status has its key."""
    found = [finding.status for finding in findings]
    return {status: found.count(status) for status in STATUSES}


def named(items: Sequence[str], limit: int = 10) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"


def repeats_offenders(finding: Finding) -> bool:
    """Whether a finding's message says nothing but what its offenders say, each of which is shown anyway."""
    if not finding.offenders:
        return False
    told = [str(offender) for offender in finding.offenders] + [row.name for row in finding.parameters]
    rest = finding.message
    for text in sorted(filter(None, told), key=len, reverse=True):
        rest = rest.replace(text, "")
    return not re.sub(r"and \d+ more|[;:,\s]", "", rest)


def first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
