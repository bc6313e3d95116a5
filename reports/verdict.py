"""From results to findings to a verdict. Pure rules: no clock, no files, no pytest.

A verdict starts at unknown. GO is never the absence of trouble: it takes, for each check of the closed world,
a finding that says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reports.model import Entry, Finding, Parameter, Report, Result, Severity, Status, Verdict, worst
from reports.wording import SANDBOX, counts, named, plural

GO, FAILED, INTERNAL_ERROR, NOTHING_ASKED, INCOMPLETE = 0, 1, 3, 5, 10
"""Exit codes. 2 to 5 are pytest's own; 10: nothing failed, but something was unverified, not run or partial."""

HARMLESS: frozenset[Status] = frozenset({"passed", "not_applicable", "waived"})
UNTOLD = "no result of it was reported"

PYTEST_SAYS = {
    2: "the run was interrupted",
    3: "pytest met an internal error",
    4: "pytest was called wrongly",
    5: "no check was selected",
    6: "pytest met more warnings than are allowed",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """`reasons` are the clauses of the headline, the one that decides first."""

    verdict: Verdict | None
    exit_code: int
    reasons: tuple[str, ...]


def findings(
    catalogue: Mapping[str, Entry],
    results: Iterable[Result],
    not_run: Mapping[str, str],
    promoted: Collection[str],
    options: str = "",
) -> tuple[Finding, ...]:
    """One finding for each id of `catalogue`, in its order, whatever ran.

    `not_run` says for an id why it, or one of its parameters, did not run; `promoted` names the advisories that
    this environment treats as blockers; `options` name it and its settings on a command line. Results of ids that are
    not in the catalogue are left out: see `strays`.
    """
    by_id: dict[str, list[Result]] = {id_: [] for id_ in catalogue}
    for result in results:
        if result.id in by_id:
            by_id[result.id].append(result)
    for id_, message in not_run.items():
        if id_ in by_id:
            by_id[id_].append(Result(id=id_, status="not_run", message=message))
    return tuple(
        _finding(
            entry, _ordered(entry, by_id[id_]) or [Result(id=id_, status="not_run", message=UNTOLD)], promoted, options
        )
        for id_, entry in catalogue.items()
    )


def _ordered(entry: Entry, results: Iterable[Result]) -> list[Result]:
    """In the order of the catalogue's parameters, whichever ended first; what it does not name comes last."""
    places = {name: place for place, name in enumerate(entry.parameters)}
    return sorted(results, key=lambda result: places.get(result.parameter, len(places)))


def strays(catalogue: Mapping[str, Entry], results: Iterable[Result]) -> list[Result]:
    """Results that answer nothing that was asked: their ids are not in the catalogue."""
    return [result for result in results if result.id not in catalogue]


def _finding(entry: Entry, results: Sequence[Result], promoted: Collection[str], options: str) -> Finding:
    status = worst(result.status for result in results)
    worst_ones = [result for result in results if result.status == status]
    severity: Severity = "blocker" if entry.id in promoted else entry.severity
    beneath = [result.beneath for result in worst_ones if result.beneath]
    return Finding(
        id=entry.id,
        area=entry.area,
        severity=severity,
        claim=entry.claim,
        status=status,
        reason=next((result.reason for result in worst_ones if result.reason), None),
        beneath=worst(beneath) if beneath else None,
        message=_message(worst_ones),
        offenders=tuple(dict.fromkeys(offender for result in worst_ones for offender in result.offenders)),
        remedy=_remedy(entry, worst_ones, status, options),
        evidence=tuple(dict.fromkeys(path for result in results for path in result.evidence)),
        waiver=next((result.waiver for result in worst_ones if result.waiver), None),
        parameters=_parameters(results),
        duration=sum(result.duration for result in results),
    )


def _remedy(entry: Entry, results: Iterable[Result], status: Status, options: str) -> str:
    """What would mend it: what the results say, else what the check says; for a check that did not run, to run it."""
    if status == "not_run":
        again = " ".join(filter(None, ["pytest -m", entry.phase, options]))
        return _joined(result.remedy for result in results) or f"Run the whole phase:\n\n    {again}"
    return _joined(result.remedy for result in results) or entry.remedy


def _message(results: Iterable[Result]) -> str:
    """What the results say, each message once, after the names of the parameters that share it."""
    names: dict[str, list[str]] = {}
    for result in results:
        names.setdefault(result.message, []).append(result.parameter)
    lines = []
    for message, parameters in names.items():
        known = ", ".join(dict.fromkeys(name for name in parameters if name))
        lines.append(": ".join(part for part in (known, message) if part))
    return _joined(lines, "\n")


def _joined(texts: Iterable[str], between: str = "\n\n") -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def _parameters(results: Iterable[Result]) -> tuple[Parameter, ...]:
    """A row for each parameter by its worst result; none for a check that has no parameters."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.parameter, []).append(result)
    if set(rows) == {""}:
        return ()
    chosen = {}
    for name, group in rows.items():
        status = worst(result.status for result in group)
        chosen[name] = next(result for result in group if result.status == status)
    return tuple(
        Parameter(name=name or "the others", status=row.status, reason=row.reason, message=row.message)
        for name, row in chosen.items()
    )


def decide(
    findings: Sequence[Finding], *, phase: str | None, pytest_status: int, foreign: int, ended: bool
) -> Decision:
    """The verdict over the findings of a phase, or of a run without one (then the verdict is None).

    `pytest_status` is pytest's own exit status; `foreign` counts failures that belong to no check (a collection
    error, a broken fixture of somebody's plugin); `ended` is False for a run that was killed.
    """
    reasons = _reasons(findings, pytest_status, foreign, ended)
    if pytest_status not in (0, 1):
        return Decision("NO-GO", pytest_status if 2 <= pytest_status <= 9 else INTERNAL_ERROR, reasons)
    if not findings:
        return Decision("NO-GO", NOTHING_ASKED, reasons)
    exit_code = _exit_code(findings, phase, foreign or _unexplained(findings, pytest_status), ended)
    if phase is None:
        return Decision(None, exit_code, reasons)
    if exit_code == INCOMPLETE and not (ended and all(map(answered, findings))):
        return Decision("PARTIAL", exit_code, reasons)
    return Decision("GO" if exit_code == GO else "NO-GO", exit_code, reasons)


def _exit_code(findings: Sequence[Finding], phase: str | None, foreign: int, ended: bool) -> int:
    gating = [finding for finding in findings if phase is None or finding.severity == "blocker"]
    if foreign or any(finding.status == "failed" for finding in gating):
        return FAILED
    if not ended or not all(map(answered, findings)):
        return INCOMPLETE
    if all(finding.status in HARMLESS for finding in gating):
        return GO
    return INCOMPLETE


def answered(finding: Finding) -> bool:
    """Whether the check ran as a whole. A worse parameter must not hide one that did not run."""
    return finding.status != "not_run" and all(row.status != "not_run" for row in finding.parameters)


def _unexplained(findings: Iterable[Finding], pytest_status: int) -> int:
    """1 where pytest reports failures though every finding is fine: something failed that nobody speaks for."""
    return int(pytest_status == 1 and all(finding.status in {"passed", "not_applicable"} for finding in findings))


def _reasons(findings: Sequence[Finding], pytest_status: int, foreign: int, ended: bool) -> tuple[str, ...]:
    clauses = []
    if pytest_status not in (0, 1):
        says = PYTEST_SAYS.get(pytest_status, "pytest ended in an unknown way")
        clauses.append(f"{says} (pytest status {pytest_status})")
    if foreign:
        clauses.append(f"{plural(foreign, 'failure')} {'belongs' if foreign == 1 else 'belong'} to no check")
    elif findings and _unexplained(findings, pytest_status):
        clauses.append("pytest reports a failure that no finding explains")
    if not ended:
        clauses.append("the run was cut short")
    if not findings:
        clauses.append("there is no check to answer")
    return (*clauses, *_tally(findings))


def _tally(findings: Sequence[Finding]) -> list[str]:
    """A clause for each status that occurs; the first says of how many checks."""
    rows: tuple[tuple[Status, str, str], ...] = (
        ("failed", "fails", "fail"),
        ("unverified", "could not be verified", "could not be verified"),
        ("not_run", "was not run", "were not run"),
        ("waived", "is waived", "are waived"),
    )
    clauses = []
    number = counts(findings)
    hold = f"{number['passed']} of {plural(len(findings), 'check')} {'holds' if number['passed'] == 1 else 'hold'}"
    if findings and all(finding.status in HARMLESS or _advisory_only(finding) for finding in findings):
        clauses.append(hold)
    for status, one, many in rows:
        ids = [_name(finding) for finding in findings if finding.status == status]
        of = "" if clauses else f" of {plural(len(findings), 'check')}"
        if ids:
            clauses.append(f"{len(ids)}{of} {one if len(ids) == 1 else many}: {named(ids)}")
    partly = [finding.id for finding in findings if finding.status != "not_run" and not answered(finding)]
    if partly:
        clauses.append(f"not run in part: {named(partly)}")
    if number["not_applicable"]:
        clauses.append(f"{number['not_applicable']} {'does' if number['not_applicable'] == 1 else 'do'} not apply")
    return clauses


def _advisory_only(finding: Finding) -> bool:
    return finding.severity == "advisory" and finding.status != "not_run"


def _name(finding: Finding) -> str:
    return finding.id if finding.severity == "blocker" else f"{finding.id} (advisory)"


def headline(decision: Decision, *, sandbox: bool, replay: str | None = None, diagnosis: str = "") -> str:
    """The one sentence that every format shows. `diagnosis` is what a triage found, which comes before all else."""
    caveats = []
    if sandbox:
        caveats.append(f"sandbox: {SANDBOX}")
    if replay:
        caveats.append(f"replay of {replay}: nothing was looked at anew")
    tail = f" ({'; '.join(caveats)})" if caveats else ""
    return _prefix(decision.verdict) + "; ".join(filter(None, (diagnosis, *decision.reasons))) + tail


def worsened(report: Report, problems: Sequence[str]) -> Report:
    """The report when something about the report itself went wrong: said in the headline, and never exit code 0."""
    if not problems:
        return report
    verdict: Verdict | None = "PARTIAL" if report.verdict == "GO" else report.verdict
    before = report.headline.removeprefix(_prefix(report.verdict))
    return replace(
        report,
        verdict=verdict,
        exit_code=report.exit_code or INCOMPLETE,
        headline=f"{_prefix(verdict)}{'; '.join(problems)}; {before}",
        notes=(*report.notes, *problems),
    )


def _prefix(verdict: Verdict | None) -> str:
    return f"{verdict or 'No verdict'}: "
