"""What the last verdicts had left open for just this failure: waived, unverified or not run."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixtures.json_text import parsed

if TYPE_CHECKING:
    from plugins.opening import Opening

PHASES = ("preflight", "postdeploy")
OPEN = ("waived", "failed", "unverified", "not_run")
RUNS = 200
"""Folders of earlier runs that are looked into, the newest first."""
LIMIT = 5_000_000
"""Bytes of a report."""
SAID = 200
"""Characters of a message that are told."""


def before(opening: Opening, checks: Collection[str]) -> list[dict[str, str]]:
    """The findings of the last run of each phase for this environment that had left one of `checks` open.

    Reports of others, broken ones, and those from after this run's clock are passed over.
    """
    last: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, report in reports(earlier(opening), opening.folder.name):
        if last.keys() == set(PHASES):
            break
        phase = report.get("phase")
        if phase in PHASES and phase not in last and ours(report, opening):
            last[str(phase)] = name, report
    return [row for phase in PHASES if phase in last for row in _left_open(*last[phase], checks)]


def earlier(opening: Opening) -> Path:
    """The folder with the folders of earlier runs."""
    return opening.environment.triage.runs or opening.folder.absolute().parent


def ours(report: dict[str, Any], opening: Opening) -> bool:
    """Whether a report is on this environment, and not from after this run's clock."""
    environment, started = report.get("environment"), report.get("started")
    named = environment.get("name") if isinstance(environment, dict) else None
    return named == opening.environment.name and isinstance(started, str) and started <= opening.clock


def reports(runs: Path, own: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The reports in the folders of `runs`, those that were written last first; but for the folder `own`."""
    for _, folder in heapq.nlargest(RUNS, _dated(runs, own)):
        report = _read(folder / "report.json")
        if report is not None:
            yield folder.name, report


def _dated(runs: Path, own: str) -> Iterator[tuple[float, Path]]:
    try:
        for folder in runs.iterdir():
            report = folder / "report.json"
            if folder.name != own and report.is_file() and not report.is_symlink():
                yield report.stat().st_mtime, folder
    except OSError:  # gone, or not to be read: nothing is known of earlier runs
        return


def _read(file: Path) -> dict[str, Any] | None:
    try:
        if file.stat().st_size > LIMIT:
            return None
        report = parsed(file.read_bytes())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


def _left_open(run: str, report: dict[str, Any], checks: Collection[str]) -> Iterator[dict[str, str]]:
    findings = report.get("findings")
    for row in findings if isinstance(findings, list) else ():
        if isinstance(row, dict) and row.get("id") in checks and row.get("status") in OPEN:
            yield {"id": str(row["id"]), "status": str(row["status"]), "says": _says(row), "run": run}


def _says(row: dict[str, Any]) -> str:
    """Why: a waiver's reason and end, else what the finding said."""
    waiver = row.get("waiver")
    if isinstance(waiver, dict):
        return f"{waiver.get('reason')} (until {waiver.get('expires')}, {waiver.get('owner')})"[:SAID]
    return str(row.get("message") or row.get("claim") or "").split("\n")[0][:SAID]
