"""The words of a report as types: offenders, results, findings, and the report itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Status = Literal["passed", "failed", "unverified", "not_applicable", "waived", "not_run"]
STATUSES: tuple[Status, ...] = get_args(Status)
Severity = Literal["blocker", "advisory"]
Verdict = Literal["GO", "NO-GO", "PARTIAL"]

# The worst of a check's parameters counts.
WORST_FIRST: tuple[Status, ...] = ("failed", "unverified", "not_run", "waived", "passed", "not_applicable")


@dataclass(frozen=True, slots=True)
class Offender:
    """One thing that breaks a claim: what it is, where it stands, what was found, what was expected. No secrets."""

    what: str
    where: str = ""
    found: str = ""
    expected: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        found = f": found {self.found}" if self.found else ""
        expected = f", expected {self.expected}" if self.expected else ""
        return f"{place}{self.what}{found}{expected}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A check as the catalogue holds it."""

    id: str
    area: str
    phase: str
    severity: Severity
    claim: str
    remedy: str
    waivable: bool
    test: str
    """`checks/AREA/FILE.py::FUNCTION`"""
    observations: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    """The ids of a parametrized check: each must be answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of one check for one parameter: a line of the journal."""

    id: str
    status: Status
    parameter: str = ""
    reason: str | None = None
    beneath: Status | None = None
    message: str = ""
    offenders: tuple[Offender, ...] = ()
    remedy: str = ""
    evidence: tuple[str, ...] = ()
    waiver: dict[str, Any] | None = None
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    status: Status
    reason: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check: the worst of its results. One for each catalogue id of the phase."""

    id: str
    area: str
    severity: Severity
    claim: str
    status: Status
    reason: str | None = None
    beneath: Status | None = None
    message: str = ""
    offenders: tuple[Offender, ...] = ()
    remedy: str = ""
    evidence: tuple[str, ...] = ()
    waiver: dict[str, Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    duration: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One observation's row in the report; its value stays in the evidence file."""

    name: str
    seen: bool
    reason: str | None
    source: str
    at: str
    duration: float
    sha256: str


Value = float | Literal["off scale"] | None
"""A measured value; a word for one beyond all that was measured, which JSON has no number for; None: no data."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value of a round with its bound."""

    name: str
    """`canary: errors`: the version, then what was measured of it."""
    value: Value
    bound: float
    unit: Literal["%", "s"]
    """"%" for shares (0 to 1), "s" for seconds."""


@dataclass(frozen=True, slots=True)
class Round:
    """One look at everything: when it began (RFC 3339, UTC), and how each check stood."""

    number: int
    at: str
    statuses: dict[str, Status]
    failed: tuple[str, ...]
    """Blockers that failed: they end the watch."""
    says: tuple[str, ...]
    """What those say."""
    readings: tuple[Reading, ...] = ()
    """What was measured, held against its bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """report.json, field by field. Times are RFC 3339 in UTC, durations seconds."""

    schema: str
    phase: str | None
    environment: dict[str, Any]
    verdict: Verdict | None
    exit_code: int
    headline: str
    started: str
    finished: str | None
    service: dict[str, Any]
    suite: dict[str, Any]
    findings: tuple[Finding, ...]
    observations: tuple[Observed, ...]
    counts: dict[str, int]
    masked: dict[str, Any]
    waivers: tuple[dict[str, Any], ...] = ()
    """Every waiver of the environment with its `state`: covers, expires_soon, expired, orphan, or not_asked where
    its check is not among those that were answered."""
    notes: tuple[str, ...] = field(default=())
    """What a reader must know beside the findings: a replay, a run cut short, a report that could not be written."""
    rounds: tuple[Round, ...] = ()
    """The looks of a watch, in their order: how each check stood, and what was measured."""
    triage: dict[str, Any] | None = None
    """The diagnosis, in the phase triage: what is wrong, how bad, on which answers, and what to do now."""


def worst(statuses: Iterable[Status]) -> Status:
    """The status that counts among several. Nothing at all is not_run."""
    return min(statuses, key=WORST_FIRST.index, default="not_run")
