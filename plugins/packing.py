"""The incident pack of --bundle: asked for once the report is written, so that it delays no answer.

Every source is asked at once, and what one of them does not give stands in the pack's manifest with its reason. The
pack is written whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from fixtures.answers import moment
from fixtures.attempt import Attempt
from fixtures.files import shown_path
from fixtures.observation import CannotObserve, now
from plugins.triage.before import earlier, ours, reports
from reports.diagnosis import Change

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.bundle.logs import OpenLog
    from fixtures.bundle.metrics import Metric
    from fixtures.bundle.sources import Sources
    from plugins.opening import Opening
    from plugins.redaction import Redactor
    from reports.bundle.archive import Archive
    from reports.bundle.chart import Chart
    from reports.diagnosis import Unasked
    from reports.model import Report

T = TypeVar("T")

RUNS = 20
"""Earlier runs of this suite that the timeline names."""
CRASH = "This is a defect of the suite: report it with the run's folder."


def packed(
    report: Report, opening: Opening, redactor: Redactor, tell: Callable[[str], object], width: int = 80
) -> Report:
    """Write the pack, and tell line by line where it lies and what is not in it.

    Returns the report, worsened where there is no pack though it was asked for.
    """
    from reports.bundle.archive import NAME

    file = opening.folder / NAME
    tell(f"making the incident pack, which takes at most about {opening.environment.bundle.deadline:g} s")
    try:
        missing = _Packing(report, opening, redactor).written(file)
        _listed(opening.folder)
    except KeyboardInterrupt:
        tell("The incident pack was not made: it was stopped.")
        return report
    except Exception as error:  # noqa: BLE001 - a pack that cannot be made takes no answer with it
        said = f"{NAME} could not be written ({_cause(error)})"
        tell(f"error: {said}")
        return _without(report, opening, said)
    tell(f"Incident pack: {shown_path(file)} ({_size(file)})")
    for line in _lacking(missing, width):
        tell(line)
    return report


class _Packing:
    """One pack in the making."""

    def __init__(self, report: Report, opening: Opening, redactor: Redactor) -> None:
        from fixtures.cluster import Cluster
        from fixtures.prometheus import Prometheus
        from fixtures.secrets import Secrets

        self._report, self._opening, self._redactor = report, opening, redactor
        self._notes: list[str] = []
        self._environment = opening.environment
        self._cluster = Cluster(self._environment)
        self._secrets = Secrets(self._environment, self._cluster, redactor)
        self._prometheus = Prometheus(self._environment, self._secrets)

    def written(self, file: Path) -> list[Unasked]:
        """Write all of it to `file`. Returns what could not be had. Raises OSError."""
        from fixtures.bundle.sources import Sources
        from reports.bundle.archive import Archive

        sources = Sources(self._cluster, self._prometheus, self._secrets, self._environment)
        masked = self._redactor.ledger["total"]
        try:
            with Archive(file, self._redactor) as archive:
                self._fill(archive, sources)
                header = self._header(self._redactor.ledger["total"] - masked)
                archive.finish(header)
        finally:
            self._cluster.close()
        return archive.missing

    def _fill(self, archive: Archive, sources: Sources) -> None:
        from fixtures.settings import dumped
        from reports.bundle import page

        self._unmasked(archive, sources)
        self._run(archive)
        archive.tree("configuration.json", dumped(self._environment), "the settings in effect, references for secrets")
        charts = [text for name in sources.metrics if (text := self._metric(archive, sources, name))]
        events = _had(archive, "the events of the namespace", sources.events, sources.until)
        if events is not None:
            archive.tree("events.json", events, "events of the namespace, oldest first")
        timeline = self._timeline(archive, sources)
        self._drafts(archive, timeline)
        own = _told(self._report.phase, self._report.headline, "this run")
        timeline = sorted([*timeline, Change(at=self._report.started, what=own)], key=_moment)
        archive.tree("timeline.json", [asdict(row) for row in timeline], "what changed, oldest first")
        self._logs(archive, sources)
        archive.text(page.NAME, page.text(archive, self._header(0), charts, timeline), "all of this at a glance")

    def _unmasked(self, archive: Archive, sources: Sources) -> None:
        """Say of which secrets the value is not known: they are masked only where they look like one."""
        unknown = _had(archive, "the values of secrets, to mask them", sources.unknown, sources.until)
        for row in unknown or ():
            message = f"its value is not known, so it is masked by its looks alone: {row.message}"
            archive.lack(f"the value of {row.what}, to mask it", row.reason, message, row.remedy)

    def _run(self, archive: Archive) -> None:
        """The run's own folder, as it is."""
        from reports import manifest

        for path in (*manifest.files(self._opening.folder), manifest.NAME):
            try:
                archive.copy(f"run/{path}", self._opening.folder / path, "of the run")
            except OSError as error:
                archive.lack(f"run/{path}", "unreachable", f"cannot be read: {error.strerror or error}")

    def _metric(self, archive: Archive, sources: Sources, name: str) -> str:
        """The chart of one metric; empty where it could not be had."""
        from reports.bundle import chart

        metric = _had(archive, f"the metric {name}", sources.metrics[name], sources.until)
        if metric is None:
            return ""
        drawn = _chart(metric)
        svg = self._redactor.text(chart.svg(drawn))
        archive.text(f"metrics/{name}.csv", chart.table(drawn), f"{metric.says}: {' ; '.join(metric.asked)}")
        archive.text(f"metrics/{name}.svg", svg, metric.says)
        return svg

    def _timeline(self, archive: Archive, sources: Sources) -> list[Change]:
        rows = [Change(at=row["at"], what=row["what"]) for row in (self._report.triage or {}).get("changed") or ()]
        for what, attempt in sources.changes.items():
            found = _had(archive, f"what changed: {what}", attempt, sources.until)
            if found is not None:
                rows += [Change(at=row.at, what=row.what) for row in found.rows]
                for lack in found.unasked:
                    archive.lack(lack.what, lack.reason, lack.message, lack.remedy)
        for alert in _had(archive, "the alerts", sources.alerts, sources.until) or ():
            still = "" if alert.until else ", and still does"
            rows.append(Change(at=alert.since, what=f"alert {alert.name} fires{still}"))
            rows += [Change(at=alert.until, what=f"alert {alert.name} is over")] if alert.until else []
        rows += self._runs()
        masked = [Change(**self._redactor.tree(asdict(row))) for row in dict.fromkeys(rows)]
        return sorted(masked, key=_moment)

    def _runs(self) -> list[Change]:
        """The last runs before this one of this environment."""
        before = [
            Change(at=str(row.get("started")), what=_told(row.get("phase"), row.get("headline"), name))
            for name, row in reports(earlier(self._opening), self._opening.folder.name)
            if ours(row, self._opening)
        ]
        return before[:RUNS]

    def _drafts(self, archive: Archive, timeline: list[Change]) -> None:
        from reports import drafts
        from reports.bundle.incident import incident

        found = incident(self._report, timeline)
        if found is None:
            self._notes.append("No drafts were made: the run found nothing that people must be told of.")
            return
        for path, text in drafts.composed(self._report, found).items():
            archive.text(path, text, "a draft: nothing of it was sent")

    def _logs(self, archive: Archive, sources: Sources) -> None:
        """Each log in its turn, as it comes."""
        found = _had(archive, "the logs", sources.streams, sources.until)
        if found is None:
            return
        opened, more = found
        for log in opened:
            self._log(archive, log)
        if more:
            message = f"{len(opened)} were read, those of containers that are not ready first"
            archive.lack(f"{more} more logs", "quota", message, "Read them by hand: kubectl logs")
        if not opened:
            archive.lack("the logs", "no_data", "the Deployment has no pod that writes any", "kubectl get pods")

    def _log(self, archive: Archive, log: OpenLog) -> None:
        from reports.bundle.archive import name

        stream, by_hand = log.stream, "Read it by hand: kubectl logs"
        path = f"logs/{name(stream.pod)}/{name(stream.container)}{'.previous' if stream.previous else ''}.log"
        if _had(archive, f"the {stream.where}", log.opening, log.until) is None:
            return
        with archive.log(path, stream.where) as out:
            cut = log.read(out.write, self._environment.logs.limit)
        if cut:
            archive.lack(f"the rest of the {stream.where}", "timeout", f"{cut} ({out.bytes:,} bytes were)", by_hand)

    def _header(self, masked: int) -> dict[str, Any]:
        report, window = self._report, self._environment.bundle.window
        name = report.service["name"] or "the service"
        return {
            "made": now(),
            "subject": f"{name} in {report.environment['name']}",
            "run": self._opening.folder.name,
            "phase": report.phase,
            "verdict": report.verdict,
            "headline": report.headline,
            "suite": report.suite,
            "window": {"seconds": window},
            "masked": masked,
            "notes": self._notes,
        }


def _had(archive: Archive, what: str, attempt: Attempt[T], until: float) -> T | None:
    """What an attempt came to by `until`; None where nothing, which the manifest then says."""
    try:
        return attempt.result(max(until, time.monotonic()))
    except CannotObserve as error:
        archive.lack(what, error.reason, error.message, error.remedy)
    except Exception as error:  # noqa: BLE001 - a defect of one source takes no other with it, and is said
        archive.lack(what, "crashed", f"{type(error).__name__}: {error}"[:300], CRASH)
    return None


def _moment(row: Change) -> datetime:
    """When it was; what has no time, or none that can be read, comes first."""
    return moment(row.at) or datetime.min.replace(tzinfo=UTC)


def _told(phase: Any, headline: Any, run: str) -> str:
    return f"this suite, {phase or 'checks'}: {headline} ({run})"


def _lacking(missing: list[Unasked], width: int) -> Iterator[str]:
    """What is not in the pack, a row for each reason."""
    from reports.diagnosis import merged
    from reports.prose import prose
    from reports.wording import reason_in_words

    for row in merged(tuple(missing)):
        said = f"without {row.what}: {reason_in_words(row.reason)}: {row.message}"
        yield from (line for line, _ in prose(said, width, "  ", "- "))


def _chart(metric: Metric) -> Chart:
    from reports.bundle.chart import Chart

    span = metric.span
    return Chart(metric.says, metric.unit, metric.bound, span.start, span.end, span.step, metric.courses)


def _listed(folder: Path) -> None:
    """Write the run's manifest anew: the pack is one of its files now."""
    from reports import build

    build.listed(folder)


def _without(report: Report, opening: Opening, said: str) -> Report:
    """The report of a run that was to leave a pack and leaves none."""
    from reports import build, verdict

    worse = verdict.worsened(report, [said])
    build.write(worse, opening.folder)
    return worse


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or f"{type(error).__name__}: {error}")[:300]


def _size(file: Path) -> str:
    size = file.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"
