"""The diagnosis of a triage as types: `Report.triage` comes from a journal, and a journal may hold anything.

Whatever has not the form that is expected becomes an empty text or an empty row: an incident is no time for a
renderer to stop. What is empty is shown as not known, never as fine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from reports.wording import named

ROWS = 40
"""Rows of one kind that are shown."""
NOTHING_WRONG = "nothing-wrong"
Sure = Literal["confirmed", "likely", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What led to the diagnosis: a question, its answer, and the evidence file that holds it."""

    question: str = ""
    answer: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Also:
    """What else is wrong, or was caused by it; `public` is what users may be told of it, once it is confirmed."""

    diagnosis: str = ""
    title: str = ""
    sure: str = ""
    runbook: str = ""
    public: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What to do; `command` is to paste, over several lines where it has them."""

    says: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A source that could not be asked: the reason code, what was met, what would mend it."""

    what: str = ""
    reason: str = ""
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What an earlier run had left open about just this."""

    id: str = ""
    status: str = ""
    says: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    what: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that changed before or during the incident; `at` is RFC 3339 in UTC."""

    at: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong, how sure that is, how bad it is, and what to do. `severity` is empty where it was not measured."""

    id: str
    title: str
    sure: Sure
    severity: str
    respond: str
    why: str
    public: str
    """What users may be told of the cause, once it is confirmed."""
    runbook: str
    path: tuple[Answer, ...]
    also: tuple[Also, ...]
    actions: tuple[Action, ...]
    unasked: tuple[Unasked, ...]
    before: tuple[Before, ...]
    drafts: tuple[Draft, ...]
    changed: tuple[Change, ...]

    @property
    def confirmed(self) -> bool:
        return self.sure == "confirmed"

    @property
    def confirmed_too(self) -> tuple[Also, ...]:
        return tuple(row for row in self.also if row.sure == "confirmed")

    @property
    def incident(self) -> bool:
        """Whether there is one: not where nothing is wrong, and nothing worse than that was measured."""
        return self.id != NOTHING_WRONG or self.severity not in {"", "P4"}

    @property
    def level(self) -> str:
        """The severity in words. One that was not measured is not a low one, and what was not asked is not fine."""
        if self.incident:
            return self.severity or "severity not measured"
        return "no incident" if self.confirmed else "nothing seen, but not all could be asked"

    @property
    def within(self) -> str:
        """`respond within 15 min`; empty where there is nothing to respond to."""
        return f"respond within {self.respond}" if self.respond and self.incident else ""

    @property
    def headline(self) -> str:
        """`P1, respond within 15 min: Mistral rejects our key`, and how sure that is where it is not confirmed."""
        doubt = "" if self.confirmed or self.id == "unknown" else f" ({self.sure})"
        said = f"{self.title}{doubt}"
        return f"{', '.join(filter(None, (self.level, self.within)))}: {said}" if self.incident else said


Row = TypeVar("Row")


def diagnosis(document: Mapping[str, Any] | None) -> Diagnosis | None:
    """The diagnosis of a report's `triage`; None where there is none."""
    if not isinstance(document, Mapping) or not document:
        return None
    sure = _text(document.get("sure"))
    return Diagnosis(
        id=_text(document.get("diagnosis")) or "unknown",
        title=_text(document.get("title")) or "The cause is not known",
        sure=sure if sure in ("confirmed", "likely") else "unknown",  # type: ignore[arg-type] # one of the two
        severity=_text(document.get("severity")),
        respond=_text(document.get("respond")),
        why=_text(document.get("why")),
        public=_text(document.get("public")),
        runbook=_text(document.get("runbook")),
        path=_rows(Answer, document.get("path")),
        also=_rows(Also, document.get("also")),
        actions=_rows(Action, document.get("actions")),
        unasked=merged(_rows(Unasked, document.get("unasked"))),
        before=_rows(Before, document.get("before")),
        drafts=_rows(Draft, document.get("drafts")),
        changed=_rows(Change, document.get("changed")),
    )


def told(found: Diagnosis | None) -> dict[str, str]:
    """What a format of names and values says about a diagnosis; nothing where there is none."""
    if found is None:
        return {}
    severity = found.severity or "not measured"
    return {"triage.diagnosis": found.id, "triage.sure": found.sure, "triage.severity": severity}


def _rows(kind: type[Row], value: object) -> tuple[Row, ...]:
    rows = value if isinstance(value, list | tuple) else []
    return tuple(_row(kind, row) for row in rows[:ROWS])


def _row(kind: type[Row], value: object) -> Row:
    given = value if isinstance(value, Mapping) else {}
    return kind(**{field.name: _text(given.get(field.name)) for field in fields(kind)})  # type: ignore[arg-type] # rows


def merged(rows: tuple[Unasked, ...]) -> tuple[Unasked, ...]:
    """What could not be asked for one and the same reason, as one row."""
    whats: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        whats.setdefault((row.reason, row.message, row.remedy), []).append(row.what)
    return tuple(
        Unasked(what=named(list(dict.fromkeys(what)), 3), reason=reason, message=message, remedy=remedy)
        for (reason, message, remedy), what in whats.items()
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
