"""The end of a run as plain text: what a terminal and a CI log show."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby

from reports.inert import inert
from reports.model import STATUSES, WORST_FIRST, Finding, Offender, Report, Status
from reports.remedy import parts
from reports.wording import PLAIN_SIGNS, SIGNS, WORDS, counts, plural, reason_in_words

OFFENDERS = 12
SHOWN: tuple[Status, ...] = ("failed", "unverified", "not_run", "waived")
BY_NAME_ONLY = 8
"""More checks than this that were not run for one and the same reason are listed by id, not one by one."""

STYLES: dict[str, str] = {
    "GO": "bold white on dark_green",
    "NO-GO": "bold white on dark_red",
    "PARTIAL": "bold black on yellow3",
    "passed": "green",
    "failed": "bold red",
    "unverified": "bold yellow",
    "waived": "magenta",
    "not_run": "bold cyan",
    "not_applicable": "dim",
    "quiet": "dim",
    "paste": "cyan",
    "": "",
}
Line = tuple[str, str]
"""A line of text and the key of its style."""


def board(
    report: Report, *, width: int = 80, colour: bool = False, encoding: str = "utf-8", files: Iterable[str] = ()
) -> str:
    """The end of a run, `width` columns wide, ASCII only where `encoding` is not a UTF one.

    What is to paste is never wrapped. `files` are the paths of the report's files, shown last.
    """
    lines = list(_lines(report, max(width, 40), tuple(files)))
    if not encoding.lower().replace("-", "").startswith("utf"):
        lines = [(_ascii(text), style) for text, style in lines]
    return _coloured(lines) if colour else "".join(f"{text.rstrip()}\n" for text, _ in lines)


def _lines(report: Report, width: int, files: tuple[str, ...]) -> Iterator[Line]:
    yield from _banner(report, width)
    for finding in _worst_first(report.findings):
        yield "", ""
        yield from _finding(finding, width)
    yield from _many_not_run(report.findings, width)
    yield "", ""
    yield from _areas(report, width)
    for note in report.notes:
        yield from _prose(note, width, "", "Note: ")
    if files:
        yield "", ""
        yield from ((inert(path, 1000), "quiet") for path in files)


def _banner(report: Report, width: int) -> Iterator[Line]:
    rule = "━" * width
    style = report.verdict or ""
    yield rule, style
    for line in _wrapped(report.headline, width - 2):
        yield f" {line}".ljust(width), style
    yield rule, style
    facts = [
        report.service["name"],
        (report.service["revision"] or "")[:12],
        report.environment["name"],
        report.phase or "no phase",
    ]
    facts += [_minute(report.started), _took(report), f"exit {report.exit_code}"]
    yield from ((line, "quiet") for line in _wrapped(" · ".join(str(fact) for fact in facts if fact), width))


def _minute(moment: str) -> str:
    return moment[:16].replace("T", " ") + " UTC"


def _took(report: Report) -> str:
    if not report.finished:
        return "cut short"
    seconds = (datetime.fromisoformat(report.finished) - datetime.fromisoformat(report.started)).total_seconds()
    return f"{seconds:.1f} s"


def _not_run_in_bulk(findings: Iterable[Finding]) -> list[Finding]:
    rows = [finding for finding in findings if finding.status == "not_run"]
    return rows if len(rows) > BY_NAME_ONLY else []


def _worst_first(findings: tuple[Finding, ...]) -> list[Finding]:
    bulk = {finding.id for finding in _not_run_in_bulk(findings)}
    rows = [finding for finding in findings if finding.status in SHOWN and finding.id not in bulk]
    return sorted(rows, key=lambda row: (WORST_FIRST.index(row.status), row.severity != "blocker"))


def _many_not_run(findings: tuple[Finding, ...], width: int) -> Iterator[Line]:
    for message, group in groupby(_not_run_in_bulk(findings), key=lambda finding: finding.message):
        rows = list(group)
        yield "", ""
        yield f"{SIGNS['not_run']} NOT RUN  {plural(len(rows), 'check')}", "not_run"
        yield from _prose(message, width, "  ")
        yield from _prose(", ".join(finding.id for finding in rows), width, "  ")


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    status = WORDS[finding.status].upper()
    yield f"{SIGNS[finding.status]} {status}  {inert(finding.id, 40)}  {finding.severity}", finding.status
    yield from _prose(finding.claim, width, "  ")
    if finding.reason:
        yield from _prose(reason_in_words(finding.reason), width, "  ", "why: ")
    for line in finding.message.splitlines()[:OFFENDERS]:
        yield from _prose(line, width, "  ", "> ")
    for offender in finding.offenders[:OFFENDERS]:
        yield from _offender(offender, width)
    if len(finding.offenders) > OFFENDERS:
        yield f"    and {len(finding.offenders) - OFFENDERS} more in report.html", "quiet"
    if finding.waiver:
        yield from _waiver(finding, width)
    if finding.remedy and finding.status != "waived":
        yield from _remedy(finding.remedy, width)


def _offender(offender: Offender, width: int) -> Iterator[Line]:
    yield from _prose(offender.what, width, "    ", "- ")
    for label, value in (("where", offender.where), ("found", offender.found), ("expected", offender.expected)):
        if value:
            yield from _prose(value, width, "      ", f"{label:<9} ")


def _waiver(finding: Finding, width: int) -> Iterator[Line]:
    waiver = {key: str(value) for key, value in (finding.waiver or {}).items()}
    said = [f"{key} {waiver[key]}" for key in ("ticket", "owner", "approver") if waiver.get(key)]
    beneath = f"it {WORDS[finding.beneath]}; " if finding.beneath else ""
    text = f"{beneath}until {waiver.get('expires', '?')}: {waiver.get('reason', 'no reason')} ({', '.join(said)})"
    yield from _prose(text, width, "  ", "waived: ")


def _remedy(remedy: str, width: int) -> Iterator[Line]:
    yield "  What to do:", ""
    after_paste = False
    for part in parts(inert(remedy)):
        if part.paste or after_paste:
            yield "", ""
        after_paste = part.paste
        if part.paste:
            yield from ((f"      {line}", "paste") for line in part.text.splitlines())
        else:
            yield from _prose(part.text, width, "    ")


def _areas(report: Report, width: int) -> Iterator[Line]:
    areas = {area: counts(group) for area, group in groupby(report.findings, key=lambda finding: finding.area)}
    margin = max((len(area) for area in areas), default=0) + 2
    for area, number in areas.items():
        label = f"{inert(area, 40):<{margin}}"
        parts_ = [f"{SIGNS[status]} {number[status]} {WORDS[status]}" for status in STATUSES if number[status]]
        worst = next(status for status in WORST_FIRST if number[status])
        yield from _prose("  ".join(parts_), width, "", label, worst)


def _prose(text: str, width: int, indent: str, label: str = "", style: str = "") -> Iterator[Line]:
    hanging = indent + " " * len(label)
    for line in _wrapped(text, width - len(hanging)):
        yield f"{indent}{label}{line}", style
        indent, label = hanging, ""


def _wrapped(text: str, width: int) -> list[str]:
    wrapper = textwrap.TextWrapper(max(width, 20), break_on_hyphens=False)
    return [line for raw in inert(text, 2000).splitlines() for line in wrapper.wrap(raw)] or [""]


def _ascii(text: str) -> str:
    swaps = {SIGNS[status]: PLAIN_SIGNS[status] for status in STATUSES} | {"━": "=", "·": "|"}
    for sign, plain in swaps.items():
        text = text.replace(sign, plain)
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _coloured(lines: list[Line]) -> str:
    """The same lines with the escape sequences of a terminal; the text itself is never read as markup."""
    from rich.console import Console
    from rich.text import Text

    console = Console(force_terminal=True, color_system="standard", width=10_000, highlight=False)
    with console.capture() as captured:
        for text, style in lines:
            console.print(Text(text, style=STYLES[style]), soft_wrap=True)
    return captured.get()
