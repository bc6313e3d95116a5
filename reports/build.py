"""From a run's folder to a report and its files: the same way at the end of a run and for a rebuild."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from reports import changes, evidence, journal, manifest, rounds, verdict
from reports.diagnosis import diagnosis
from reports.document import SCHEMA, document, report_of, text
from reports.journal import Record
from reports.model import Finding, Report
from reports.wording import counts

ABOUT_TO_EXPIRE = timedelta(days=14)
FILES = ("report.json", "report.html", "junit.xml", "summary.md", manifest.NAME)
DRAFTS = "drafts/"
CUT_SHORT = "The run was cut short: it was killed, or its machine was, before it came to its end."
UNTOLD = "no result of it was recorded before the run was cut short"


def build(folder: Path, record: Record | None = None) -> Report:
    """The report on the run in `folder`, from its journal and evidence. Raises `journal.JournalError`.

    `record` stands for a journal that could not be written. Evidence that is damaged, altered or gone cannot carry a
    GO: then the headline says so.
    """
    record = record or journal.read(folder / journal.NAME)
    looks = evidence.files(folder)
    report = _watched(_report(record, looks, _findings(record)), folder)
    return verdict.worsened(report, [*record.header.doubts, *_doubts(report, looks)])


def _watched(report: Report, folder: Path) -> Report:
    """With the rounds of a watch, and a note where they are not all there. A verdict does not rest on them.

    And with what was changed, where it did not come to its end; else the findings tell.
    """
    found, problem = rounds.read(folder)
    whole = report.finished and report.exit_code in {verdict.GO, verdict.FAILED, verdict.INCOMPLETE}
    changed = () if whole else changes.notes(folder)
    return replace(report, rounds=found, notes=(*changed, *report.notes, *([problem] if problem else [])))


def _findings(record: Record) -> tuple[Finding, ...]:
    catalogue = {entry.id: entry for entry in record.header.catalogue}
    told = {(row.id, row.parameter) for row in record.results}
    wanted = {entry.id: entry.parameters or ("",) for entry in record.header.catalogue}
    lost = [id_ for id_, names in wanted.items() if any((id_, name) not in told for name in names)]
    untold = dict.fromkeys(lost, verdict.UNTOLD if record.end else UNTOLD)
    options = _options(record.header.environment)
    return verdict.findings(catalogue, record.results, untold | record.not_run, record.header.promoted, options)


def _options(environment: Mapping[str, Any]) -> str:
    """What names the environment on a command line, and its settings where they are not the project's own."""
    files = environment.get("config") or ["environments/base.toml"]
    folder = Path(str(files[-1])).parent
    config = [] if folder == Path("environments") else [f"--config={folder}"]
    return shlex.join(["--env", str(environment.get("name")), *config])


def _report(record: Record, looks: Iterable[evidence.EvidenceFile], findings: tuple[Finding, ...]) -> Report:
    header, end = record.header, record.end
    strays = verdict.strays({entry.id: entry for entry in header.catalogue}, record.results)
    foreign = sum(row.status in {"failed", "unverified"} for row in strays) + (end.foreign if end else 0)
    decision = verdict.decide(
        findings,
        phase=header.phase,
        pytest_status=end.pytest_status if end else 0,
        foreign=foreign,
        ended=end is not None and end.whole,
    )
    service = header.service | {key: item for key, item in ((end and end.service) or {}).items() if item is not None}
    return Report(
        schema=SCHEMA,
        phase=header.phase,
        environment={key: header.environment.get(key) for key in ("name", "sandbox", "config")},
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        headline=verdict.headline(
            decision,
            sandbox=bool(header.environment.get("sandbox")),
            replay=header.replay,
            diagnosis=found.headline if (found := diagnosis(end.triage if end else None)) else "",
        ),
        started=header.started,
        finished=end.finished if end else None,
        service={key: service.get(key) for key in ("name", "image", "revision")},
        suite={key: header.suite.get(key) for key in ("version", "revision")},
        findings=findings,
        observations=tuple(look.observed for look in looks),
        counts=counts(findings),
        masked={"total": 0, "by_kind": {}} | (end.masked if end else {}),
        waivers=_waivers(record, findings),
        notes=tuple(_notes(record, sorted({row.id for row in strays}))),
        triage=end.triage if end else None,
    )


def _notes(record: Record, strays: list[str]) -> list[str]:
    notes = []
    if record.end is None:
        notes.append(CUT_SHORT + (" The last line of its journal is incomplete." if record.torn else ""))
    if record.header.intent:
        notes.append(f"Asked for: {record.header.intent}.")
    if record.header.changes:
        notes.append(f"{record.header.changes[:1].upper()}{record.header.changes[1:]}.")
    if record.header.replay:
        notes.append(f"A replay: the observations are those of {record.header.replay}; nothing was looked at anew.")
    if strays:
        notes.append(f"Results for ids that are not in the catalogue were left out: {', '.join(strays)}.")
    return notes + list(record.end.notes if record.end else ())


def _doubts(report: Report, looks: Iterable[evidence.EvidenceFile]) -> list[str]:
    """What is wrong with the evidence, a sentence each."""
    there = {look.path: look.problem for look in looks}
    named = dict.fromkeys(path for finding in report.findings for path in finding.evidence)
    return [problem for problem in there.values() if problem] + [
        f"{path}, evidence of a finding, is not there" for path in named if path not in there
    ]


def _waivers(record: Record, findings: Iterable[Finding]) -> tuple[dict[str, Any], ...]:
    """Each waiver of the environment with its state in this run."""
    answered = {finding.id for finding in findings if finding.status != "not_run"}
    covered = {row.id for row in record.results if row.waiver}
    states = [
        _state(row, answered, covered, record.header.clock or record.header.started) for row in record.header.waivers
    ]
    return tuple({**row, "state": state} for row, state in zip(record.header.waivers, states, strict=True))


def _state(waiver: dict[str, Any], answered: set[str], covered: set[str], started: str) -> str:
    """expired, not_asked, orphan, expires_soon or covers. A waiver ends with the day that it names, in UTC."""
    try:
        left = date.fromisoformat(str(waiver.get("expires"))[:10]) - date.fromisoformat(started[:10])
    except ValueError:  # a waiver without a readable end covers nothing
        return "expired"
    if waiver.get("state") == "expired" or left < timedelta(0):
        return "expired"
    if waiver.get("check") not in answered:
        return "not_asked"
    if waiver.get("check") not in covered:
        return "orphan"
    return "expires_soon" if left <= ABOUT_TO_EXPIRE else "covers"


def ready() -> None:
    """Load what `publish` will need, while there is nothing else to do. What fails here is told there."""
    with contextlib.suppress(Exception):
        from reports import html

        html.ready()


def publish(
    folder: Path,
    redact: Callable[[Any], Any] | None = None,
    allure: Path | None = None,
    record: Record | None = None,
) -> tuple[Report, list[str]]:
    """Build the report and write its files, with Allure's results where `allure` names a folder for them; from `record`
    where there is no whole journal.

    What went wrong on the way is in the report that is returned and in every file that could be written: the
    headline says it, and the exit code is not 0. Raises `JournalError`.
    """
    report = _redacted(build(folder, record), redact)
    problems = write(report, folder, allure=allure)
    if problems:
        report = verdict.worsened(report, problems)
        problems = list(dict.fromkeys([*problems, *write(report, folder, allure=allure)]))
    return report, problems


def write(
    report: Report, folder: Path, redact: Callable[[Any], Any] | None = None, allure: Path | None = None
) -> list[str]:
    """Write report.json, report.html, junit.xml, summary.md, a triage's drafts, and manifest.json; a sentence for each
    that failed.

    Each is written whole or not at all, and one that fails does not stop the others.
    """
    report = _redacted(report, redact)
    jobs = {name: partial(_file, name, report, folder) for name in FILES}
    last = jobs.pop(manifest.NAME)
    if report.triage:
        jobs |= {DRAFTS: partial(_drafts, report, folder)}
    if allure is not None:
        jobs |= {f"--alluredir={allure}": partial(_allure, report, folder, allure)}  # it may lie inside the run's
    jobs |= {manifest.NAME: last}
    problems = []
    for name, job in jobs.items():
        try:
            job()
        except Exception as error:  # noqa: BLE001 - whatever a renderer meets is said in the headline, not lost
            problems.append(f"{name} could not be written ({_cause(error)})")
            if name in FILES:
                _discard(folder / name)
    return problems


def _file(name: str, report: Report, folder: Path) -> None:
    _replace(folder / name, _rendered(name, report, folder))


def _rendered(name: str, report: Report, folder: Path) -> str:
    """The text of one file. A renderer is loaded when its turn comes, so that one that cannot be stops no other."""
    if name == manifest.NAME:
        return manifest.text(folder)
    if name == "report.html":
        from reports import html

        return html.text(report, folder)
    if name == "junit.xml":
        from reports import junit

        return junit.text(report)
    if name == "summary.md":
        from reports import summary

        return summary.text(report)
    return text(report)


def altered(folder: Path) -> list[str]:
    """A sentence for each file that is not as the run left it, but for those that `publish` writes anew.

    Nothing where there is no manifest, which a run that was killed does not leave. Raises `ManifestError`.
    """
    if not (folder / manifest.NAME).exists():
        return []
    return manifest.differences(folder, lambda path: path not in FILES and not path.startswith(DRAFTS))


def listed(folder: Path) -> None:
    """Write manifest.json anew, for a file that has come to the run's folder since. Raises OSError."""
    _replace(folder / manifest.NAME, manifest.text(folder))


def _drafts(report: Report, folder: Path) -> None:
    from reports import drafts

    for name, content in drafts.texts(report).items():
        (folder / name).parent.mkdir(exist_ok=True)
        _replace(folder / name, content)


def _allure(report: Report, folder: Path, target: Path) -> None:
    from reports import allure

    allure.write(report, folder, target)


def _redacted(report: Report, redact: Callable[[Any], Any] | None) -> Report:
    return report if redact is None else report_of(redact(document(report)))


def _replace(file: Path, content: str) -> None:
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _discard(file: Path) -> None:
    """An older report that says something else must not stand beside the new ones."""
    try:
        file.unlink(missing_ok=True)
    except OSError:  # it cannot be removed either; that it could not be written is reported already
        return


def _cause(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
