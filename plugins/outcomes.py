"""From what happened in a check to its status: enumerate what is an answer, and let all else be "cannot tell"."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.observation import OBSERVATIONS, CannotObserve
from plugins.catalogue import Check
from reports.model import Offender, Result

PROPERTY = "golive"
SHOWN = 5  # offenders in a message; all of them are in the finding


class NotApplicableError(Exception):
    """The claim does not apply here; the message says why. `seen`: something that was looked at says so."""

    def __init__(self, why: str, *, seen: bool = True) -> None:
        super().__init__(why)
        self.seen = seen


@dataclass(slots=True)
class Compared:
    """The last comparison that failed: what a check's one assertion held against the empty list."""

    left: Any = None
    found: bool = False

    def offenders(self) -> tuple[Offender, ...]:
        if not self.found or not isinstance(self.left, list | tuple):
            return ()
        return tuple(item if isinstance(item, Offender) else Offender(str(item)) for item in self.left)


def parameter(item: pytest.Item) -> str:
    spec = getattr(item, "callspec", None)
    return spec.id if spec is not None else ""


def of_call(error: BaseException | None, compared: Compared) -> dict[str, Any]:
    """The status fields for what the check's call raised: nothing, an answer, or anything else."""
    if error is None:
        return {"status": "passed"}
    if isinstance(error, NotApplicableError):
        fields = {"status": "not_applicable", "message": str(error)}
        return fields if error.seen else fields | {"evidence": ()}
    if isinstance(error, AssertionError):
        offenders = compared.offenders() or (Offender(_first_line(error)),)
        return {"status": "failed", "offenders": offenders, "message": listed(offenders)}
    return crashed(error, "the check")


def crashed(error: BaseException, what: str) -> dict[str, Any]:
    """The status fields for an exception that is no answer, or that says by itself what is wrong and what to do."""
    if isinstance(error, CannotObserve):
        return {"status": "unverified", "reason": error.reason, "message": error.message, "remedy": error.remedy}
    return {
        "status": "unverified",
        "reason": "crashed",
        "message": f"{what} raised {type(error).__name__}{_place(error)}: {_first_line(error)}",
        "remedy": "This is a defect of the check or of its fixtures: report it with the run's folder.",
    }


def listed(offenders: tuple[Offender, ...]) -> str:
    rest = len(offenders) - SHOWN
    more = [f"and {rest} more"] if rest > 0 else []
    return "; ".join([str(offender) for offender in offenders[:SHOWN]] + more)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def applies(item: pytest.Function) -> None:
    """Ask the check's own predicate. Raises `NotApplicableError` with its reason."""
    declared: Check = item.function.__check__
    if declared.applies is None:
        return
    code = declared.applies.__code__
    wanted = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    reason = declared.applies(**{name: item.funcargs[name] for name in wanted})
    if reason:
        raise NotApplicableError(reason)


def attach(report: pytest.TestReport, result: Result) -> None:
    """Put the result into the report as a JSON string: anything else can break a worker's report without a word."""
    report.user_properties.append((PROPERTY, json.dumps(asdict(result))))


def attached(report: pytest.TestReport) -> Result | None:
    """The result that a report carries, if it is a check's."""
    for name, value in report.user_properties:
        if name == PROPERTY:
            return from_json(json.loads(str(value)))
    return None


def from_json(fields: dict[str, Any]) -> Result:
    offenders = tuple(Offender(**offender) for offender in fields.pop("offenders"))
    evidence = tuple(fields.pop("evidence"))
    return Result(**fields, offenders=offenders, evidence=evidence)


Redact = Callable[[Any], Any]


def shown(report: pytest.TestReport, item: pytest.Item, result: Result, redact: Redact) -> None:
    """Make pytest's own report say what the result says, with every text in it redacted."""
    if result.status in {"failed", "unverified"}:
        report.outcome = "failed"
        report.longrepr = redact(str(report.longrepr or result.message))
    elif result.status in {"waived", "not_applicable"}:
        report.outcome = "skipped"
        why = f"{result.status}: {result.message}"
        report.longrepr = (str(item.path), item.location[1] or 0, redact(why))
    report.sections = [(name, redact(content)) for name, content in report.sections]


def plain(result: Result) -> dict[str, Any]:
    """A result as plain JSON, as it goes into a worker's report and into the journal."""
    return dict(json.loads(json.dumps(asdict(result))))


def evidence(item: pytest.Item) -> tuple[str, ...]:
    """The evidence files of the observations that a check looks at."""
    return tuple(f"observations/{name}.json" for name in getattr(item, "fixturenames", ()) if name in OBSERVATIONS)
