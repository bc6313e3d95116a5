"""The journal of a run: a JSON line for each thing as it happens, so that a killed run loses nothing.

{"line": "run", ...}       what was asked, of what, by which suite: the first line
{"line": "result", ...}    the outcome of one check for one parameter
{"line": "not_run", ...}   a check of the phase that did not run, and why
{"line": "end", ...}       the run came to its end: the last line, absent from a run that was killed

JournalError               the file is no journal; says where, what was found, what was expected
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from reports.inert import inert, plain
from reports.model import Entry, Result

NAME = "journal.jsonl"
KINDS = ("run", "result", "not_run", "end")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What was asked. `catalogue` holds the entries that must be answered; times are RFC 3339 in UTC."""

    phase: str | None
    environment: dict[str, Any]
    """`name`, `sandbox`, `config`: as in report.json."""
    service: dict[str, Any]
    """`name`, `image`, `revision`; the last two may be None until they were seen (see `End.service`)."""
    suite: dict[str, Any]
    """`version`, `revision`."""
    started: str
    catalogue: tuple[Entry, ...]
    clock: str = ""
    """The moment by which waivers are judged: in a replay, the start of the run that is replayed."""
    waivers: tuple[dict[str, Any], ...] = ()
    promoted: tuple[str, ...] = ()
    changes: str = ""
    """What the run was allowed to do beside looking, as a clause; empty: nothing."""
    replay: str | None = None
    """The name of the run whose evidence is read in place of looking."""
    intent: str = ""
    """What the run was asked for beside its phase, as a clause: the step of a rollout, the revision to go back to."""
    doubts: tuple[str, ...] = ()
    """What keeps the run from a GO, whatever its findings say: clauses for the headline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the run came to its end. `foreign` counts pytest's failures that belong to no check."""

    finished: str
    pytest_status: int
    foreign: int = 0
    masked: dict[str, Any] = field(default_factory=lambda: {"total": 0, "by_kind": {}})
    notes: tuple[str, ...] = ()
    service: dict[str, Any] | None = None
    """The service as it was seen in the run, where that is more than the header knew."""
    whole: bool = True
    """False where a worker process died: then the run is not complete, whatever its findings say."""
    triage: dict[str, Any] | None = None
    """The diagnosis, in the phase triage: see `Report.triage`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A journal as read. `end` is None for a run that was killed; `torn` says that its last line is incomplete."""

    header: Header
    results: tuple[Result, ...]
    not_run: dict[str, str]
    end: End | None
    torn: bool


class JournalError(Exception):
    """The file is no journal, or is damaged before its last line. `line` is 1-based, 0 for the file as a whole."""

    def __init__(self, file: Path, line: int, found: str, expected: str) -> None:
        place = f"{file}:{line}" if line else f"{file}"
        super().__init__(f"{place}: found {found}, expected {expected}")
        self.file, self.line, self.found, self.expected = file, line, found, expected


class Journal:
    """A journal being written. Each call is in the hands of the operating system before it returns.

    Raises `OSError` where a line cannot be written: then the run must not end well.
    """

    def __init__(self, file: Path, redact: Callable[[Any], Any] = lambda value: value) -> None:
        self.file = file
        self._redact = redact
        self._stream: BinaryIO = file.open("ab", buffering=0)

    def begin(self, header: Header) -> None:
        self._line("run", asdict(header))
        os.fsync(self._stream.fileno())

    def result(self, result: Result) -> None:
        self._line("result", asdict(result))

    def not_run(self, id_: str, message: str) -> None:
        self._line("not_run", {"id": id_, "message": message})

    def end(self, end: End) -> None:
        """Write the last line and close."""
        self._line("end", asdict(end))
        os.fsync(self._stream.fileno())
        self.close()

    def close(self) -> None:
        self._stream.close()

    def _line(self, kind: str, row: Mapping[str, Any]) -> None:
        text = json.dumps({"line": kind, **self._redact(plain(row))}, ensure_ascii=False, allow_nan=False)
        rest = memoryview((text + "\n").encode("utf-8"))
        while rest:
            rest = rest[self._stream.write(rest) :]


def read(file: Path) -> Record:
    """Read a journal; a torn last line is what a killed run leaves and is no error. Raises `JournalError`."""
    from pydantic import TypeAdapter

    types = {"run": Header, "result": Result, "not_run": NotRun, "end": End}
    adapters = {kind: TypeAdapter[Any](type_) for kind, type_ in types.items()}
    rows: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    torn = False
    for number, row, last in _lines(file):
        if row is None:
            torn = last
            break
        kind = _kind(file, number, row, ended=bool(rows["end"]))
        rows[kind].append(_typed(file, number, adapters[kind], row))
    if not rows["run"]:
        raise JournalError(file, 1, "a line that breaks off", 'the whole line "run" that opens a journal')
    return Record(
        header=rows["run"][0],
        results=tuple(rows["result"]),
        not_run={row.id: row.message for row in rows["not_run"]},
        end=rows["end"][0] if rows["end"] else None,
        torn=torn,
    )


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any] | None, bool]]:
    """Each line: its number, its object (None where the last one is torn), whether it is the last."""
    number = 0
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                last = stream.tell() >= size
                yield number, _object(file, number, line, torn=last), last
    except OSError as error:
        raise JournalError(file, 0, f"no readable file ({error.strerror})", "the journal of a run") from None
    if not number:
        raise JournalError(file, 0, "an empty file", "the journal of a run")


def _object(file: Path, number: int, line: bytes, *, torn: bool) -> dict[str, Any] | None:
    from pydantic_core import from_json

    try:
        row = from_json(line.decode("utf-8"))
    except ValueError as error:
        if torn and number > 1:
            return None
        if isinstance(error, UnicodeDecodeError):
            raise JournalError(file, number, f"bytes that are not UTF-8 ({line[:16]!r})", "a JSON object") from None
        raise JournalError(file, number, _glimpse(line), "a JSON object") from None
    if not isinstance(row, dict):
        raise JournalError(file, number, _glimpse(line), "a JSON object")
    return row


def _kind(file: Path, number: int, row: dict[str, Any], *, ended: bool) -> str:
    kind = row.pop("line", None)
    if kind not in KINDS:
        raise JournalError(file, number, f"a line of kind {inert(str(kind), 40)!r}", f"one of {', '.join(KINDS)}")
    if (number == 1) != (kind == "run"):
        wanted = 'the line "run", which opens a journal' if number == 1 else "results: a journal holds one run"
        raise JournalError(file, number, f'a line "{kind}"', wanted)
    if ended:
        raise JournalError(file, number, f'a line "{kind}" after the line "end"', "nothing more")
    return str(kind)


def _typed(file: Path, number: int, adapter: Any, row: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(plain(row))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        found = f"{place}: {first['msg']}" if place else first["msg"]
        raise JournalError(file, number, found, f"a line of this suite's form ({error.title})") from None


def _glimpse(line: bytes) -> str:
    text = inert(line[:80].decode("utf-8", "replace").rstrip("\n"), 60)
    return f"{text!r}" if text.strip() else "a blank line"
