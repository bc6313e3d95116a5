"""junit.xml: the report for the parsers of CI systems.

JUnit knows failure, error and skipped; a checklist knows more. So that a CI system turns red exactly when the exit
code is not 0, and nothing is hidden behind a bare skip:

    failed                      failure
    unverified, not_run         error, with the reason
    waived, not_applicable      skipped; the message says why, by whom and until when
    failed or unverified, but   skipped, with type "advisory" and a message that says what is the matter: an
    advisory in a phase         advisory never gates, and a pass would be untrue
    the verdict                 a test case of its own in the suite "run": it passes for exit code 0 only, so that
                                what no check speaks for (a killed run, a report that cannot be written) is red too

Each test case carries the exact status, severity and reason as properties. Times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from reports.diagnosis import diagnosis, told
from reports.inert import inert
from reports.model import Finding, Report
from reports.wording import WORDS, first_line, reason_in_words

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LIMIT = 20_000
OFFENDERS = 100
WAIVER = "waiver {ticket} until {expires}, approved by {approver}: {reason}"


def text(report: Report) -> str:
    """The whole document, valid XML whatever the texts hold."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites", name=inert(_title(report), 300))
    root.append(_suite("run", [_verdict(report)], report, _facts(report)))
    for area, group in groupby(report.findings, key=lambda finding: finding.area):
        root.append(_suite(area, [_case(finding, report) for finding in group], report, ()))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _title(report: Report) -> str:
    return " ".join(str(part) for part in (report.service["name"], report.environment["name"], report.phase) if part)


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    facts = {
        "headline": report.headline,
        "verdict": report.verdict or "none",
        "exit_code": report.exit_code,
        "phase": report.phase or "none",
        "environment": report.environment["name"],
        "sandbox": str(bool(report.environment["sandbox"])).lower(),
        **{f"count.{status}": number for status, number in report.counts.items()},
        **told(diagnosis(report.triage)),
    }
    return tuple((name, str(value)) for name, value in facts.items())


def _suite(name: str, cases: list[Element], report: Report, facts: Iterable[tuple[str, str]]) -> Element:
    from xml.etree.ElementTree import Element

    tags = [child.tag for case in cases for child in case]
    suite = Element(
        "testsuite",
        name=inert(name, 300),
        tests=str(len(cases)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=f"{sum(float(case.get('time', '0')) for case in cases):.3f}",
        timestamp=report.started.removesuffix("Z"),
    )
    _properties(suite, facts)
    suite.extend(cases)
    return suite


def _properties(parent: Element, facts: Iterable[tuple[str, str]]) -> None:
    from xml.etree.ElementTree import SubElement

    rows = list(facts)
    if rows:
        holder = SubElement(parent, "properties")
        for name, value in rows:
            SubElement(holder, "property", name=inert(name, 300), value=inert(value, 2000))


def _verdict(report: Report) -> Element:
    from xml.etree.ElementTree import Element

    case = Element("testcase", classname="run", name="verdict", time="0.000")
    if report.exit_code:
        tag = "failure" if report.verdict == "NO-GO" or report.exit_code == 1 else "error"
        _mark(case, tag, report.verdict or "no verdict", report.headline, "\n".join(report.notes))
    return case


def _case(finding: Finding, report: Report) -> Element:
    from xml.etree.ElementTree import Element

    name = inert(f"{finding.id} {finding.claim}", 500)
    case = Element("testcase", classname=inert(finding.area, 300), name=name, time=f"{finding.duration:.3f}")
    facts = {"id": finding.id, "status": finding.status, "severity": finding.severity}
    facts |= {"reason": finding.reason} if finding.reason else {}
    facts |= {"beneath": finding.beneath} if finding.beneath else {}
    _properties(case, facts.items())
    tag, kind = _shape(finding, report)
    if tag:
        _mark(case, tag, kind, _summary(finding), _detail(finding))
    return case


def _shape(finding: Finding, report: Report) -> tuple[str, str]:
    """The element that stands for a finding, and its type; no element for a pass."""
    advisory = report.phase is not None and finding.severity == "advisory"
    if finding.status == "passed":
        return "", ""
    if finding.status in {"waived", "not_applicable"}:
        return "skipped", finding.status
    if finding.status != "not_run" and advisory:
        return "skipped", "advisory"
    return "failure" if finding.status == "failed" else "error", finding.reason or finding.status


def _summary(finding: Finding) -> str:
    """One line: the status first, so that no reader of a skip takes it for nothing."""
    parts = [WORDS[finding.status]]
    if finding.severity == "advisory":
        parts[0] += " (advisory, does not gate)" if finding.status in {"failed", "unverified"} else " (advisory)"
    if finding.reason:
        parts.append(reason_in_words(finding.reason))
    if finding.waiver:
        parts.append(WAIVER.format_map(_Said(finding.waiver)))
    parts.append(first_line(finding.message))
    return ": ".join(part for part in parts if part)


class _Said(dict[str, object]):
    """A waiver's fields for a sentence; one that is missing is said to be."""

    def __missing__(self, key: str) -> str:
        return f"(no {key})"


def _detail(finding: Finding) -> str:
    lines = [finding.message, *(f"- {offender}" for offender in finding.offenders[:OFFENDERS])]
    if len(finding.offenders) > OFFENDERS:
        lines.append(f"and {len(finding.offenders) - OFFENDERS} more in report.json")
    lines += ["", "What to do:", finding.remedy] if finding.remedy else []
    lines += ["", "Evidence: " + ", ".join(finding.evidence)] if finding.evidence else []
    return "\n".join(lines).strip()


def _mark(case: Element, tag: str, kind: str, message: str, detail: str) -> None:
    from xml.etree.ElementTree import SubElement

    SubElement(case, tag, type=inert(kind, 300), message=inert(message, 2000)).text = inert(detail, LIMIT)
