"""Allure result files: one result for each finding, whatever ran.

Allure knows passed, failed, broken and skipped: what could not be verified or was not run is broken, what is waived
or does not apply is skipped; the exact status is a parameter of each result. Verdict, headline and exit code are in
environment.properties, which Allure shows on its first page.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from reports.diagnosis import diagnosis, told
from reports.inert import inert
from reports.model import Finding, Offender, Report, Status
from reports.remedy import parts
from reports.wording import WORDS, reason_in_words

STATUS: dict[Status, str] = {
    "passed": "passed",
    "failed": "failed",
    "unverified": "broken",
    "not_run": "broken",
    "waived": "skipped",
    "not_applicable": "skipped",
}
CATEGORIES = (
    '[{"name": "Does not hold", "matchedStatuses": ["failed"]},\n'
    ' {"name": "Could not be verified, or was not run", "matchedStatuses": ["broken"]},\n'
    ' {"name": "Waived, or does not apply", "matchedStatuses": ["skipped"]}]\n'
)
NAMESPACE = uuid.UUID("6a8f4f0e-6d0c-5c39-9b0b-6b9f6b1c7a52")
OFFENDERS = 200


def write(report: Report, run_folder: Path, target: Path) -> None:
    """Write a report's results, with the evidence files of `run_folder`, into `target`. Raises `OSError`.

    File names follow from the run and the id, so writing twice leaves the same files.
    """
    from allure_commons.logger import AllureFileLogger

    logger: Any = AllureFileLogger(str(target))  # type: ignore[no-untyped-call] # allure ships no types
    for finding in report.findings:
        for path in _evidence(finding, run_folder):
            logger.report_attached_file(str(run_folder / path), _source(report, path))
        result = _result(report, finding, run_folder)
        result.file_pattern = f"{result.uuid}-result.json"
        logger.report_result(result)
    (target / "environment.properties").write_text(_properties(report), "utf-8")
    (target / "categories.json").write_text(CATEGORIES, "utf-8")


def _result(report: Report, finding: Finding, run_folder: Path) -> Any:
    from allure_commons.model2 import Attachment, Parameter, StatusDetails, TestResult

    start = _milliseconds(report.started)
    history = f"{report.environment['name']}/{finding.id}"
    return TestResult(
        uuid=str(uuid.uuid5(NAMESPACE, f"{history}/{report.started}")),
        historyId=hashlib.sha256(history.encode("utf-8", "replace")).hexdigest()[:32],
        testCaseId=hashlib.sha256(finding.id.encode("utf-8", "replace")).hexdigest()[:32],
        fullName=inert(f"{finding.area}.{finding.id}", 300),
        name=inert(f"{finding.id} {finding.claim}", 500),
        status=STATUS[finding.status],
        statusDetails=StatusDetails(message=_message(finding), trace=_offenders(finding.offenders)),
        stage="finished",
        description=_description(finding),
        start=start,
        stop=start + round(finding.duration * 1000),
        labels=list(_labels(report, finding)),
        parameters=[
            Parameter(name="status", value=WORDS[finding.status], excluded=True),
            Parameter(name="severity", value=finding.severity, excluded=True),
        ],
        steps=list(_steps(finding, start)),
        attachments=[
            Attachment(name=path, source=_source(report, path), type="application/json")
            for path in _evidence(finding, run_folder)
        ],
    )


def _labels(report: Report, finding: Finding) -> Iterator[Any]:
    from allure_commons.model2 import Label

    rows = {
        "severity": "blocker" if finding.severity == "blocker" else "minor",
        "epic": report.phase or "no phase",
        "feature": finding.area,
        "parentSuite": report.phase or "no phase",
        "suite": finding.area,
        "tag": finding.id,
        "framework": "pytest",
    }
    return (Label(name=name, value=inert(value, 300)) for name, value in rows.items())


def _steps(finding: Finding, start: int) -> Iterator[Any]:
    """A step for each parameter, such as each of the five alerts."""
    from allure_commons.model2 import StatusDetails, TestStepResult

    for row in finding.parameters:
        yield TestStepResult(
            name=inert(f"{row.name}: {WORDS[row.status]}", 500),
            status=STATUS[row.status],
            statusDetails=StatusDetails(message=inert(row.message)),
            stage="finished",
            start=start,
            stop=start,
        )


def _message(finding: Finding) -> str:
    reason = reason_in_words(finding.reason) if finding.reason else ""
    return inert(": ".join(part for part in (WORDS[finding.status], reason, finding.message) if part))


def _offenders(offenders: tuple[Offender, ...]) -> str:
    lines = [f"- {offender}" for offender in offenders[:OFFENDERS]]
    lines += [f"and {len(offenders) - OFFENDERS} more in report.json"] if len(offenders) > OFFENDERS else []
    return inert("\n".join(lines), 40_000)


def _description(finding: Finding) -> str:
    """Markdown: the claim, then the remedy with what is to paste as code."""
    text = [inert(finding.claim), "**What to do**"] if finding.remedy else [inert(finding.claim)]
    for part in parts(inert(finding.remedy)):
        text += ["\n".join(f"    {line}" for line in part.text.splitlines()) if part.paste else part.text]
    return "\n\n".join(text)


def _evidence(finding: Finding, run_folder: Path) -> list[str]:
    """Evidence that is there and lies below the run's folder."""
    root = run_folder.resolve()
    inside = [path for path in finding.evidence if (root / path).resolve().is_relative_to(root)]
    return [path for path in inside if (root / path).is_file()]


def _source(report: Report, path: str) -> str:
    return f"{uuid.uuid5(NAMESPACE, f'{report.started}/{path}')}-attachment.json"


def _milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _properties(report: Report) -> str:
    rows = {
        "Verdict": report.verdict or "none",
        "Headline": report.headline,
        "Exit.code": report.exit_code,
        "Phase": report.phase or "none",
        "Environment": report.environment["name"],
        "Service": report.service["name"] or "",
        "Suite": report.suite["version"] or "",
        **told(diagnosis(report.triage)),
    }
    lines = (f"{name} = {inert(str(value), 2000)}" for name, value in rows.items())
    return "".join(line.replace("\\", "\\\\").replace("\n", " ") + "\n" for line in lines)
