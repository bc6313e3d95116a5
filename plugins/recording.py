"""The record of one run, kept by the controller: the journal as results come, the report at the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.observation import CannotObserve, now, read
from plugins import aftermath, shortfall
from plugins.opening import unwritten
from plugins.progress import Progress, progress
from reports.journal import NAME, End, Header, Journal, Record
from reports.manifest import NAME as MANIFEST
from reports.model import Entry, Report, Result
from reports.verdict import INTERNAL_ERROR

if TYPE_CHECKING:
    from plugins.drilling import Drilling
    from plugins.looking import Looking
    from plugins.opening import Opening
    from plugins.triage.telling import Telling


@dataclass(slots=True)
class Losses:
    """What a run meets on its way that may cost it results."""

    deselected: set[str] = field(default_factory=set)
    unloadable: dict[str, str] = field(default_factory=dict)
    """Node id to error, of what could not be collected."""
    workers: list[str] = field(default_factory=list)
    """Worker processes that died, and the checks that they held."""
    stopped: str = ""
    """A sentence on a watch that somebody stopped before its time."""


class Recording:
    """From the journal's first line to the report; whatever is found in between outlives the process."""

    def __init__(
        self,
        config: pytest.Config,
        opening: Opening,
        looking: Looking,
        phase: str | None,
        expected: Mapping[str, Entry],
    ) -> None:
        self.expected = dict(expected)
        self._config = config
        self._opening = opening
        self._phase = phase
        self._looking = looking
        self._answered: Counter[tuple[str, str]] = Counter()
        self._header = _header(config, opening, phase, self.expected)
        self._results: list[Result] = []
        self._not_run: dict[str, str] = {}
        self._end: End | None = None
        self._unwritten: OSError | None = None
        self._journal = Journal(opening.folder / NAME, looking.redacted)
        try:
            self._journal.begin(self._header)
        except OSError:
            self._journal.close()
            raise
        self._drilling: Drilling | None = None
        self._telling: Telling | None = None
        self._progress: Progress | None = None
        if config.option.verbose < 0:
            stream = config.get_terminal_writer()._file  # noqa: SLF001 - the redacted one
            title = f"{phase or 'checks'} {opening.environment.name}"
            worded, waiting = phase == "triage", looking.observer.waiting
            self._progress = progress(stream, title, len(self.expected), waiting, worded=worded)

    def selected(self, entries: Mapping[str, Entry]) -> None:
        """Told which checks are about to begin: where that means faults, say which, before the first is injected."""
        if self._drilling is None and self._opening.permission.injects(self._opening.environment):
            from plugins import drilling

            if drilling.ahead(self._opening, entries.values()):
                self._drilling = drilling.Drilling(self._opening.environment, self._looking.redacted)
                self.tell("".join(f"{line}\n" for line in self._drilling.plan()))
        if self._phase == "triage" and self._progress is not None and self._telling is None:
            from plugins.triage.telling import Telling

            width = self._config.get_terminal_writer().fullwidth
            self._telling = Telling(self._opening.folder, self._opening.environment, self.tell, width)
            self._telling.start()

    def tell(self, lines: str) -> None:
        """Show whole lines while the run is under way."""
        show = self._progress.said if self._progress is not None else self._config.get_terminal_writer().write
        show(lines)

    def result(self, result: Result) -> None:
        """Write one result down, then show it."""
        self._answered[result.id, result.parameter] += 1
        self._results.append(result)
        self._keep(partial(self._journal.result, result))
        if self._progress is not None:
            self._progress.answered(result)

    def end(
        self, session: pytest.Session, pytest_status: int, foreign: int, losses: Losses, masked: Counter[str]
    ) -> None:
        """Say what was not run, and close the journal. `foreign` counts failures that belong to no check."""
        if self._telling is not None:
            self._telling.stop()
        if self._progress is not None:
            self._progress.stop()
        for row in self.expected.values():
            if missing := self._missing(row):
                why = shortfall.why(row, session, losses.unloadable, losses.deselected)
                names = ", ".join(name for name in missing if name)
                message = f"{names}: {why}" if names and len(missing) < len(row.parameters) else why
                self._not_run[row.id] = message
                self._keep(partial(self._journal.not_run, row.id, message))
        self._end = End(
            finished=now(),
            pytest_status=pytest_status,
            foreign=foreign,
            masked={"total": masked.total(), "by_kind": dict(masked)},
            service=self._service(),
            notes=(*self._notes(losses), *self._drills(session, pytest_status)),
            whole=not (losses.workers or losses.stopped),
            triage=aftermath.before_end(self._opening, self._phase),
        )
        self._keep(partial(self._journal.end, self._end))

    def _keep(self, line: Callable[[], None]) -> None:
        """Write a line of the journal. Where the disk takes no more, the run goes on without, to tell what it finds."""
        if self._unwritten is None:
            try:
                line()
            except OSError as error:
                self._unwritten = error
                self._journal.close()

    def _remembered(self) -> Record | None:
        """What the journal would hold, where it could not be written, with that as a doubt; None where it was."""
        if self._unwritten is None or self._end is None:
            return None
        doubt = f"{unwritten(self._opening.folder, self._unwritten)}; run again with --run-dir on another disk"
        return Record(
            header=replace(self._header, doubts=(*self._header.doubts, doubt)),
            results=tuple(self._results),
            not_run=self._not_run,
            end=replace(self._end, pytest_status=INTERNAL_ERROR),
            torn=False,
        )

    def published(self, redact: Callable[[Any], Any], allure: Path | None) -> Report:
        """Write every format; what cannot be written is in the headline and in the exit code."""
        from reports import build

        report, _ = build.publish(self._opening.folder, redact, allure, self._remembered())
        if said := aftermath.after(report, self._opening):
            self._config.get_terminal_writer().line(said)
        return report

    def print(self, report: Report) -> None:
        """The board, at the end of what the terminal shows."""
        from reports import text

        writer = self._config.get_terminal_writer()
        files = [str(_shown(self._opening.folder) / name) for name in ("report.html", "report.json")]
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        colour = writer.hasmarkup
        chosen_by = "" if self._opening.replay else self._opening.because
        board = text.board(
            report,
            width=writer.fullwidth,
            colour=colour,
            encoding=encoding,
            files=files,
            chosen_by="" if chosen_by.startswith("--env") else chosen_by,
        )
        writer.write(board)

    def _missing(self, row: Entry) -> list[str]:
        """The parameters of a check that nobody answered; [""] stands for a check without any."""
        wanted = [str(self._looking.redacted(name)) for name in row.parameters] or [""]
        return [name for name in wanted if not self._answered[row.id, name]]

    def _service(self) -> dict[str, Any]:
        """What was looked at, as far as the evidence tells."""
        environment = self._opening.environment
        image, revision = environment.kubernetes.image, environment.repository.revision
        with contextlib.suppress(CannotObserve):
            value = read(self._opening.folder / "observations" / "workload.json").value or {}
            containers = value.get("containers") or [{}]
            image, revision = containers[0].get("image", image), value.get("revision") or revision
        return {"name": environment.service.name, "image": image, "revision": revision}

    def _drills(self, session: pytest.Session, pytest_status: int) -> list[str]:
        """What became of the record of the drills, where there were any."""
        if self._drilling is None:
            return []
        stopped = pytest_status not in {0, 1} or bool(session.shouldstop or session.shouldfail)
        said = self._drilling.ended(self._opening.folder, _suite(self._config.rootpath), stopped=stopped)
        return [said] if said else []

    def _notes(self, losses: Losses) -> list[str]:
        died = [f"worker processes that died: {_listed(losses.workers)}"] if losses.workers else []
        died += [losses.stopped] if losses.stopped else []
        return died + [f"{nodeid} could not be loaded: {why}" for nodeid, why in losses.unloadable.items()]


def _header(config: pytest.Config, opening: Opening, phase: str | None, expected: Mapping[str, Entry]) -> Header:
    environment = opening.environment
    return Header(
        phase=phase,
        environment={"name": environment.name, "sandbox": environment.sandbox, "config": list(environment.config)},
        service={"name": environment.service.name, "image": None, "revision": None},
        suite=_suite(config.rootpath),
        started=now(),
        clock=opening.clock,
        catalogue=tuple(expected.values()),
        waivers=tuple(opening.waivers.rows(set())),
        promoted=tuple(id_ for id_, row in environment.checks.items() if row.severity == "blocker"),
        changes=str(opening.permission) if opening.permission.changes else "",
        replay=opening.replay.name if opening.replay else None,
        intent=str(opening.intent),
        doubts=_doubts(opening),
    )


def _doubts(opening: Opening) -> tuple[str, ...]:
    """A replay of what no manifest vouches for, as of a run that was killed, cannot carry a GO."""
    if opening.replay is None or (opening.replay / MANIFEST).exists():
        return ()
    return (f"whether {opening.replay.name} was changed since its run cannot be told: it has no {MANIFEST}",)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(set(names)))


def _shown(folder: Path) -> Path:
    with contextlib.suppress(ValueError):
        return folder.relative_to(Path.cwd())
    return folder


def _suite(root: Path) -> dict[str, str | None]:
    """This suite's own version and revision."""
    import tomllib

    version = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        version = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    revision = None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
        revision = answer.stdout.strip() or None if answer.returncode == 0 else None
    return {"version": version, "revision": revision}
