"""A triage in a terminal, for somebody who was asleep a minute ago: how bad, what it is, what to do; then the rest."""

from __future__ import annotations

from collections.abc import Iterator

from reports.commands import folded
from reports.diagnosis import Before, Change, Diagnosis, Unasked
from reports.inert import inert
from reports.model import WORST_FIRST, Finding
from reports.prose import Line, cut, prose
from reports.remedy import parts
from reports.wording import SIGNS, WORDS, first_line, named, reason_in_words

COMMAND_LINES = 20
SEVERITIES = ("P1", "P2", "P3", "P4")


def lines(found: Diagnosis, findings: tuple[Finding, ...], width: int, folder: str = "") -> Iterator[Line]:
    """The board of a triage without its banner. `folder` is that of the run, before the names of the drafts."""
    yield from _severity(found, width)
    yield from _cause(found, width)
    yield from _actions(found, width)
    yield from _unasked(found.unasked, width)
    yield from _before(found.before, width)
    yield from _changed(found.changed, width)
    yield from _drafts(found, folder, width)
    yield from _answers(findings, width)


def last(found: Diagnosis, width: int) -> Iterator[Line]:
    """The end of the board, just above the prompt: on a small screen all else has been scrolled away by then."""
    yield "", ""
    if not found.incident:
        open_ = (
            "" if found.confirmed else f": {named([row.what.rstrip('?') for row in found.unasked], 3) or found.title}"
        )
        yield from prose(f"{found.level[:1].upper()}{found.level[1:]}{open_}.", width, "", style="said")
        return
    bad = _word(", ".join(filter(None, (found.level, found.within))), 200)
    yield from prose(f"{bad}: {found.title} ({found.sure})", width, "", style=_style(found))
    for action in found.actions[:1]:
        yield from prose(action.says, width, "", "Do first: ")
        yield from ((f"       {line}", "paste") for line in pasted(action.command, width - 7))


def _heading(title: str, style: str = "said") -> Iterator[Line]:
    yield "", ""
    yield title, style


def _severity(found: Diagnosis, width: int) -> Iterator[Line]:
    level = found.level if found.severity and found.incident else found.level.upper()
    said = "  ".join(filter(None, (_word(level, 60), _word(found.within, 100))))
    yield from _heading(cut(said, width), _style(found))
    yield from prose(found.why or "The impact on users was not measured.", width, "  ")


def _style(found: Diagnosis) -> str:
    return found.severity if found.incident and found.severity in SEVERITIES else "said"


def _cause(found: Diagnosis, width: int) -> Iterator[Line]:
    yield from _heading("WHAT IS WRONG")
    yield from prose(f"{found.title} ({found.sure})", width, "  ", style="said")
    for row in found.path:
        yield from prose(row.question, width, "  ", "- ") if row.question else ()
        evidence = f"[{row.evidence}]" if row.evidence else ""
        yield from prose(" ".join(filter(None, (row.answer, evidence))), width, "    ")
    if not found.path:
        yield "  No answer supports a cause.", ""
    for also in found.also:
        page = f": see {also.runbook}" if also.runbook else ""
        yield from prose(f"{also.title} ({also.sure or 'unknown'}){page}", width, "  ", "also: ")


def _actions(found: Diagnosis, width: int) -> Iterator[Line]:
    yield from _heading("DO NOW")
    for number, action in enumerate(found.actions, 1):
        yield from prose(action.says, width, "  ", f"{number}. ")
        yield from ((f"       {line}", "paste") for line in pasted(action.command, width - 7))
    if not found.actions:
        yield "  Nothing is written down for this: escalate.", ""
    if found.runbook:
        yield from prose(f"{found.runbook} says what to check, and when to escalate.", width, "  ", style="quiet")


def pasted(command: str, width: int = 10_000) -> list[str]:
    """The lines of a command: folded as a shell allows, never wrapped. What is longer than any is cut, and says so."""
    found = folded(inert(command).expandtabs(4), width)
    left = len(found) - COMMAND_LINES
    return found if left <= 0 else [*found[:COMMAND_LINES], f"# and {left} more lines in report.json"]


def _unasked(rows: tuple[Unasked, ...], width: int) -> Iterator[Line]:
    yield from _heading("COULD NOT BE ASKED", "unverified") if rows else ()
    for row in rows:
        reason = reason_in_words(row.reason) if row.reason else "no reason was given"
        what = f"{row.what}{'' if row.what.endswith('?') else ':'}"
        yield from prose(f"{what} {': '.join(filter(None, (reason, row.message)))}", width, "  ", "? ")
        for part in parts(inert(row.remedy, 2000)):
            if part.paste:
                yield from ((f"       {line}", "paste") for line in pasted(part.text))
            else:
                yield from prose(part.text, width, "    ")


def _before(rows: tuple[Before, ...], width: int) -> Iterator[Line]:
    yield from _heading("LEFT OPEN BEFORE", "said") if rows else ()
    for row in rows:
        status = WORDS.get(row.status, row.status)  # type: ignore[call-overload] # an unknown status is shown as it is
        run = f" [{row.run}]" if row.run else ""
        yield from prose(f"{row.id} {status}: {row.says}{run}", width, "  ", "~ ")


def _changed(rows: tuple[Change, ...], width: int) -> Iterator[Line]:
    yield from _heading("CHANGED LAST") if rows else ()
    for row in rows:
        yield from prose(f"{row.at}  {row.what}", width, "  ", "- ")


def _drafts(found: Diagnosis, folder: str, width: int) -> Iterator[Line]:
    yield from _heading("DRAFTS, NOT SENT") if found.drafts else ()
    files = {_word(f"{folder}/{row.file}" if folder else row.file, 1000): _word(row.what, 40) for row in found.drafts}
    margin = max(map(len, files.values()), default=0) + 2
    # A path is to be copied, so it stays whole: where there is no room for its title, it says by itself what it is.
    titled = margin + max(map(len, files), default=0) + 2 <= width
    yield from ((f"  {what:<{margin}}{file}" if titled else f"  {file}", "quiet") for file, what in files.items())


def _answers(findings: tuple[Finding, ...], width: int) -> Iterator[Line]:
    """Each question with what was answered, the worst first."""
    yield from _heading("ASKED") if findings else ()
    for row in sorted(findings, key=lambda finding: WORST_FIRST.index(finding.status)):
        yield cut(f"  {SIGNS[row.status]} {inert(row.id, 40)} {WORDS[row.status]}: {_said(row)}", width), row.status


def _said(finding: Finding) -> str:
    """The answer in a few words: what is the matter, why nobody could look, or the claim that holds."""
    told = [": ".join(filter(None, (offender.what, offender.found))) for offender in finding.offenders]
    return _word(first_line("; ".join(told) or finding.message or finding.claim), 400)


def _word(text: str, limit: int) -> str:
    """On one line, whatever stands between its words."""
    return " ".join(inert(text, limit).split())
