"""Waivers: dated, owned, reasoned exceptions to one check in one environment.

A waiver that cannot be trusted is refused before anything is looked at; one that has expired covers nothing any more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from fixtures.files import shown_path, table
from fixtures.problem import Problem, SettingsError, Unreadable, nearest, shown
from fixtures.selection import names
from plugins.catalogue import Catalogue

LONGEST = timedelta(days=90)
SOON = timedelta(days=14)
FIELDS = ("check", "environment", "reason", "ticket", "owner", "approver", "expires")
BASE = "base.toml"

State = Literal["covers", "expires_soon", "expired", "orphan"]


class WaiverError(SettingsError):
    """The waivers cannot be used; a line for each problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One entry of waivers.toml."""

    check: str
    environment: str
    reason: str
    ticket: str
    owner: str
    approver: str
    expires: date
    """The last day on which it covers, in UTC."""

    def document(self) -> dict[str, Any]:
        """Its fields as JSON, the date as `YYYY-MM-DD`."""
        return {**asdict(self), "expires": self.expires.isoformat()}


@dataclass(frozen=True, slots=True)
class Waivers:
    """The waivers of one environment, as of one day in UTC."""

    entries: tuple[Waiver, ...]
    today: date

    def covering(self, check: str) -> Waiver | None:
        """The waiver that holds for this check today, if there is one."""
        return next((each for each in self.entries if each.check == check and each.expires >= self.today), None)

    def rows(self, used: Collection[str], asked: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Every waiver with its `state`, for the report.

        `used` are the ids of the checks that a waiver covered; `asked` those that gave a result (default: all). A
        waiver for a check that was not asked in this run cannot be called an orphan.
        """
        return [{**each.document(), "state": self._state(each, used, asked)} for each in self.entries]

    def _state(self, waiver: Waiver, used: Collection[str], asked: Collection[str] | None) -> State:
        if waiver.expires < self.today:
            return "expired"
        if waiver.check not in used and (asked is None or waiver.check in asked):
            return "orphan"
        return "expires_soon" if waiver.expires - self.today <= SOON else "covers"


def load(file: Path, catalogue: Catalogue, environment_name: str, today: date) -> Waivers:
    """The waivers for `environment_name` in `file`; a missing file holds none.

    `today` is a day in UTC, or a moment with its time zone. All entries are held to the rules, those of other
    environments too. Raises `WaiverError`.
    """
    if isinstance(today, datetime):
        if today.tzinfo is None:
            raise ValueError("today: a moment needs its time zone")
        today = today.astimezone(UTC).date()
    entries, problems = _read(file, catalogue, today)
    if problems:
        raise WaiverError(*problems)
    return Waivers(tuple(each for each in entries if each.environment == environment_name), today)


def _read(file: Path, catalogue: Catalogue, today: date) -> tuple[list[Waiver], list[Problem]]:
    try:
        values = table(file, expected="a TOML file of waivers")
    except Unreadable as error:
        return [], [] if error.reason == "missing" else list(error.problems)
    rules = Rules(shown_path(file), catalogue, tuple(_environments(file.parent)), today)
    rows = values.get("waiver", [])
    problems = list(rules.shape(values))
    if problems:
        return [], problems
    entries = []
    for number, row in enumerate(rows, 1):
        broken = list(rules.broken(f"waiver {number}", row))
        problems += broken
        if not broken:
            entries.append(Waiver(**{**row, "expires": _day(row["expires"])}))
    return entries, problems + list(rules.duplicates(entries))


def _environments(folder: Path) -> list[str]:
    """The environments beside the waivers; none where these are a copy in a run's folder."""
    return names(folder) if (folder / BASE).exists() else []


@dataclass(frozen=True, slots=True)
class Rules:
    """What a waiver must be; each method yields what is wrong."""

    file: str
    catalogue: Catalogue
    environments: tuple[str, ...]
    today: date

    def shape(self, values: dict[str, Any]) -> Iterator[Problem]:
        for key in values.keys() - {"waiver"}:
            yield self._problem(key, "an unknown key", "[[waiver]] and nothing else", nearest(key, ["waiver"]))
        rows = values.get("waiver", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            found = "[waiver]" if isinstance(rows, dict) else shown(rows, "waiver")
            yield self._problem("waiver", found, "a list of tables: [[waiver]], in double brackets")

    def broken(self, where: str, row: dict[str, Any]) -> Iterator[Problem]:
        for field in sorted(row.keys() - set(FIELDS)):
            near = nearest(field, FIELDS)
            yield self._problem(f"{where}: {field}", "an unknown field", f"one of {', '.join(FIELDS)}", near)
        for field in FIELDS:
            value = row.get(field)
            if value is None:
                yield self._problem(f"{where}: {field}", "no such field", f"each of {', '.join(FIELDS)}")
            elif field == "expires":
                yield from self._term(f"{where}: {field}", value)
            elif not isinstance(value, str) or not value.strip():
                found = shown(value) if not isinstance(value, str) else "an empty text"
                yield self._problem(f"{where}: {field}", found, "text")
            else:
                yield from self._field(f"{where}: {field}", field, value, row)

    def _field(self, where: str, field: str, value: str, row: dict[str, Any]) -> Iterator[Problem]:
        if field == "check":
            entry = self.catalogue.entries.get(value)
            if entry is None:
                near = nearest(value, self.catalogue.entries)
                yield self._problem(where, f"{shown(value)}, an unknown check", "the id of a check", near)
            elif not entry.waivable:
                yield self._problem(where, f"{value}, which cannot be waived ({entry.claim})", "the cause to be mended")
        elif field == "environment" and self.environments and value not in self.environments:
            found = f"{shown(value)}, an unknown environment"
            yield self._problem(
                where, found, f"one of {', '.join(self.environments)}", nearest(value, self.environments)
            )
        elif field == "approver" and _person(value) == _person(str(row.get("owner"))):
            yield self._problem(where, "the owner", "somebody else: nobody approves their own exception")

    def _term(self, where: str, value: Any) -> Iterator[Problem]:
        day = _day(value)
        if day is None:
            yield self._problem(where, shown(value), "a date, such as 2026-12-31")
        elif day - self.today > LONGEST:
            last = self.today + LONGEST
            yield self._problem(
                where, f"{day}, {(day - self.today).days} days ahead", f"{last} at the latest (90 days)"
            )

    def duplicates(self, entries: list[Waiver]) -> Iterator[Problem]:
        seen: set[tuple[str, str]] = set()
        for each in entries:
            if (each.check, each.environment) in seen:
                found = f"two for {each.check} in {each.environment}"
                yield self._problem("waiver", found, "one; delete the older, version control keeps it")
            seen.add((each.check, each.environment))

    def _problem(self, key: str, found: str, expected: str, near: str = "") -> Problem:
        return Problem(file=self.file, key=key, found=found, expected=expected, nearest=near)


def _day(value: Any) -> date | None:
    """A TOML date, or `YYYY-MM-DD` in quotes; None for anything else, a time of day included."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _person(name: str) -> str:
    """A name or address as it is compared: `Ada <ada@example.com>` is ada@example.com, capitals and spaces aside."""
    plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    address = re.search(r"[^<>@]+@[^<>@]+", plain)
    return address[0] if address else plain
