"""The end of a run as plain text: what a terminal and a CI log show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from reports import triage
from reports.causes import Block, blocks
from reports.diagnosis import diagnosis
from reports.inert import inert
from reports.model import STATUSES, WORST_FIRST, Finding, Offender, Report, Status
from reports.prose import Line, cut, paragraphs, prose, wrapped
from reports.remedy import parts
from reports.wording import PLAIN_SIGNS, SIGNS, WORDS, counts, plural, reason_in_words, repeats_offenders

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
    "said": "bold",
    "P1": "bold white on dark_red",
    "P2": "bold red",
    "P3": "bold yellow",
    "P4": "bold",
    "": "",
}


def board(
    report: Report,
    *,
    width: int = 80,
    colour: bool = False,
    encoding: str = "utf-8",
    files: Iterable[str] = (),
    chosen_by: str = "",
) -> str:
    """The end of a run, `width` columns wide, ASCII only where `encoding` is not a UTF one.

    What is to paste is never wrapped. `files` are the paths of the report's files, shown last; `chosen_by` says what
    named the environment, where nobody did on the command line.
    """
    lines = list(_lines(report, max(width, 40), tuple(files), chosen_by))
    if not encoding.lower().replace("-", "").startswith("utf"):
        lines = [(_ascii(text), style) for text, style in lines]
    return _coloured(lines) if colour else "".join(f"{text.rstrip()}\n" for text, _ in lines)


def _lines(report: Report, width: int, files: tuple[str, ...], chosen_by: str) -> Iterator[Line]:
    yield from _banner(report, width, chosen_by)
    found = diagnosis(report.triage)
    if found is not None:
        yield from triage.lines(found, report.findings, width, files[0].rpartition("/")[0] if files else "")
    else:
        yield from _findings(report.findings, width)
    yield "", ""
    yield from _areas(report, width)
    for note in report.notes:
        yield from _note(note, width)
    if files:
        yield "", ""
        yield from ((inert(path, 1000), "quiet") for path in files)
    if found is not None:
        yield from triage.last(found, width)


def _note(note: str, width: int) -> Iterator[Line]:
    for part in parts(inert(note, 2000)):
        if part.paste:
            yield from ((f"      {line}", "paste") for line in part.text.splitlines())
        else:
            yield from prose(part.text, width, "", "Note: ")


def _findings(findings: tuple[Finding, ...], width: int) -> Iterator[Line]:
    for block in blocks(_worst_first(findings)):
        yield "", ""
        yield from _finding(block.findings[0], width) if len(block.findings) == 1 else _block(block, width)
    yield from _many_not_run(findings, width)


def _banner(report: Report, width: int, chosen_by: str) -> Iterator[Line]:
    rule = "━" * width
    style = report.verdict or ""
    yield rule, style
    for line in wrapped(report.headline, width - 2):
        yield f" {line}".ljust(width), style
    yield rule, style
    facts = [
        report.service["name"],
        (report.service["revision"] or "")[:7],
        f"{report.environment['name']} ({chosen_by})" if chosen_by else report.environment["name"],
        report.phase or "no phase",
    ]
    facts += [_minute(report.started), _took(report), f"exit {report.exit_code}"]
    # A fact is not broken over two lines, nor does one begin with a dot: these blanks are no places to wrap at.
    joined = "\xa0· ".join(str(fact).replace(" ", "\xa0") for fact in facts if fact)
    yield from ((line.replace("\xa0", " "), "quiet") for line in wrapped(joined, width))


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
        yield from prose(message, width, "  ")
        yield from prose(", ".join(finding.id for finding in rows), width, "  ")


def _finding(finding: Finding, width: int) -> Iterator[Line]:
    status = WORDS[finding.status].upper()
    yield f"{SIGNS[finding.status]} {status}  {inert(finding.id, 40)}  {finding.severity}", finding.status
    yield from prose(finding.claim, width, "  ")
    yield from _found(finding, width)
    if finding.waiver:
        yield from _waiver(finding, width)
    if finding.remedy and finding.status != "waived":
        yield from _remedy(finding.remedy, width)


def _block(block: Block, width: int) -> Iterator[Line]:
    """Several findings with one cause: the cause, what to do about it, then a line for each."""
    word, number = WORDS[block.status], plural(len(block.findings), "check")
    yield f"{SIGNS[block.status]} {word.upper()}  {number}, one cause  {block.severity}", block.status
    yield from _found(replace(block.findings[0], message=block.cause, parameters=()), width)
    for remedy, whose in block.remedies.items():
        yield from _remedy(remedy, width, "" if len(block.remedies) == 1 else ", ".join(row.id for row in whose))
    yield "", ""
    yield f"  {word.capitalize()} because of it:", ""
    for question, findings in block.questions:
        yield from prose(question, width, "    ", style="quiet") if question else ()
        indent = "      " if question else "    "
        for finding in findings:
            advisory = " (advisory)" if finding.severity != block.severity else ""
            claim = " ".join(inert(finding.claim, 400).split())
            yield cut(f"{indent}{inert(finding.id, 40)}{advisory}  {claim}", width), ""


def _found(finding: Finding, width: int) -> Iterator[Line]:
    """Why nobody could look, what was said, and what offends: each once."""
    if finding.reason:
        yield from prose(reason_in_words(finding.reason), width, "  ", "why: ")
    if repeats_offenders(finding):
        yield from _which(finding, width)
    else:
        # Lines of a check that was asked of several things are about one thing each; else they are paragraphs.
        said = finding.message.splitlines() if finding.parameters else paragraphs(inert(finding.message, 20_000))
        for line in said[:OFFENDERS]:
            yield from prose(line, width, "  ", "> ", "said")
    for offender in finding.offenders[:OFFENDERS]:
        yield from _offender(offender, width)
    if len(finding.offenders) > OFFENDERS:
        yield f"    and {len(finding.offenders) - OFFENDERS} more in report.html", "quiet"


def _which(finding: Finding, width: int) -> Iterator[Line]:
    """Of what a check was asked for, which offend: `2 of 5: api-down, circuit-open`."""
    names = [row.name for row in finding.parameters if row.status == finding.status]
    if names:
        yield from prose(", ".join(names), width, "  ", f"{len(names)} of {len(finding.parameters)}: ")


def _offender(offender: Offender, width: int) -> Iterator[Line]:
    """In at most two lines, else a line for each of what, where, found and expected."""
    short = list(prose(" ".join(str(offender).split()), width, "    ", "- "))
    if len(short) <= 2:
        yield from short
        return
    yield from prose(offender.what, width, "    ", "- ")
    for label, value in (("where", offender.where), ("found", offender.found), ("expected", offender.expected)):
        if value:
            yield from prose(value, width, "      ", f"{label:<9} ")


def _waiver(finding: Finding, width: int) -> Iterator[Line]:
    waiver = {key: str(value) for key, value in (finding.waiver or {}).items()}
    said = [f"{key} {waiver[key]}" for key in ("ticket", "owner", "approver") if waiver.get(key)]
    beneath = f"it {WORDS[finding.beneath]}; " if finding.beneath else ""
    text = f"{beneath}until {waiver.get('expires', '?')}: {waiver.get('reason', 'no reason')} ({', '.join(said)})"
    yield from prose(text, width, "  ", "waived: ")


def _remedy(remedy: str, width: int, whose: str = "") -> Iterator[Line]:
    yield f"  What to do{f' ({inert(whose, 200)})' if whose else ''}:", ""
    after_paste = False
    for part in parts(inert(remedy)):
        if part.paste or after_paste:
            yield "", ""
        after_paste = part.paste
        if part.paste:
            yield from ((f"      {line}", "paste") for line in part.text.splitlines())
        else:
            yield from prose(part.text, width, "    ")


def _areas(report: Report, width: int) -> Iterator[Line]:
    areas = {area: counts(group) for area, group in groupby(report.findings, key=lambda finding: finding.area)}
    margin = max((len(area) for area in areas), default=0) + 2
    for area, number in areas.items():
        label = f"{inert(area, 40):<{margin}}"
        parts_ = [f"{SIGNS[status]} {number[status]} {WORDS[status]}" for status in STATUSES if number[status]]
        worst = next(status for status in WORST_FIRST if number[status])
        yield from prose("  ".join(parts_), width, "", label, worst)


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
