"""report.html: the whole report in one file that needs no script, no network and no other file."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from importlib.util import cache_from_source
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from reports import evidence, remedy
from reports.diagnosis import diagnosis
from reports.inert import inert
from reports.model import STATUSES, Finding, Observed, Report, Status
from reports.wording import SANDBOX, SIGNS, WORDS, plural, reason_in_words, repeats_offenders

if TYPE_CHECKING:
    from reports.watch_chart import Watch

TEMPLATE = "report.html.j2"
CELL = 1500
"""Characters of one table cell."""
OFFENDERS = 200
EVIDENCE_EACH, EVIDENCE_WHOLE = 40_000, 1_500_000
"""Characters of evidence that are embedded: of one observation, and of all together."""

GROUPS: tuple[tuple[Status, str, str], ...] = (
    ("failed", "Failed", "The claim does not hold."),
    ("unverified", "Could not be verified", "Nobody knows whether the claim holds. This is not a pass."),
    ("waived", "Waived", "Does not hold or could not be verified; somebody answers for it until the day it names."),
    ("not_run", "Not run", "Belongs to this phase and was not asked. This is not a pass."),
)
VERDICT_CLASS = {"GO": "go", "NO-GO": "no-go", "PARTIAL": "partial", None: "no-verdict"}
_EVIDENCE_PATH = re.compile(r"observations/[A-Za-z0-9_.-]+\.json")
_DRAFT_PATH = re.compile(r"drafts/[a-z-]+\.md")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One observation in the report: its file's path and JSON, shortened where it is long."""

    anchor: str
    path: str
    observed: Observed
    source: str
    """The first thing that was asked; the JSON has them all."""
    text: str
    note: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the counts bar, in units of its view box."""

    status: Status
    x: float
    width: float


def ready() -> None:
    """Load the page's template."""
    _environment().get_template(TEMPLATE)


def text(report: Report, folder: Path) -> str:
    """The page. `folder` is the run's: the evidence below it is embedded."""
    exhibits = _exhibits(folder)
    template = _environment().get_template(TEMPLATE)
    return template.render(
        report=report,
        triage=diagnosis(report.triage),
        watch=_watch(report),
        groups=[(*group, _of(report, group[0])) for group in GROUPS],
        areas=_areas(report.findings),
        segments=_segments(report),
        exhibits=exhibits,
        anchors={exhibit.path: exhibit.anchor for exhibit in exhibits},
        facts=_facts(report),
        replay=_command(report, folder),
        verify=shlex.join(["python", "-m", "reports", "verify", f"reports/runs/{folder.name}"]),
        statuses=STATUSES,
        headline=_linked(report),
        prefix=f"{report.verdict or 'No verdict'}: ",
        verdict_class=VERDICT_CLASS[report.verdict],
        sandbox=SANDBOX,
        offenders_shown=OFFENDERS,
    )


class Compiled(FileSystemBytecodeCache):
    """The templates as Jinja compiles them, beside what Python compiles and on its terms: written where that may be."""

    def get_source_checksum(self, source: str) -> str:
        """Of all that goes into it: how `_environment` escapes is compiled in as well."""
        return super().get_source_checksum(f"{version('jinja2')}\n{_settings()}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except Exception:  # noqa: BLE001 - whatever a damaged file makes of pickle: it is compiled anew
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                super().dump_bytecode(bucket)


@cache
def _settings() -> str:
    return Path(__file__).read_text("utf-8")


@cache
def _environment() -> Environment:
    """Whatever a template prints is made inert, then escaped: by construction, not by remembering to."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        bytecode_cache=Compiled(str(Path(cache_from_source(__file__)).parent)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(WORDS=WORDS, SIGNS=SIGNS)
    environment.filters.update(
        cell=lambda value: inert(str(value), CELL),
        evidence_text=lambda value: escape(value),
        draft_path=lambda path: bool(_DRAFT_PATH.fullmatch(path)),
        evidence_path=lambda path: bool(_EVIDENCE_PATH.fullmatch(path)) and ".." not in path,
        inline=_inline,
        moment=_moment,
        parts=remedy.parts,
        plural=plural,
        slug=lambda value: re.sub(r"[^A-Za-z0-9-]", "-", value),
        reason=reason_in_words,
        repeats_offenders=repeats_offenders,
    )
    return environment


def _watch(report: Report) -> Watch | None:
    if not report.rounds:
        return None
    from reports.watch_chart import watch  # few runs watch

    return watch(report.rounds)


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return inert(str(value)) if value is not None else ""


def _inline(value: str) -> Markup:
    """Prose with `code` between backticks."""
    pieces = _CODE.split(inert(value))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces)
    )


def _moment(value: str) -> str:
    """`22 Nov 2026, 15:08:01 UTC`; a text that is no time stays as it is."""
    try:
        return f"{datetime.fromisoformat(value):%-d %b %Y, %H:%M:%S} UTC"
    except ValueError:
        return value


def _of(report: Report, status: Status) -> list[Finding]:
    rows = [finding for finding in report.findings if finding.status == status]
    return sorted(rows, key=lambda finding: finding.severity != "blocker")


def _areas(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """What holds or does not apply, by area in the order of the catalogue."""
    quiet = (finding for finding in findings if finding.status in {"passed", "not_applicable"})
    return [(area, list(group)) for area, group in groupby(quiet, key=lambda finding: finding.area)]


def _segments(report: Report) -> list[Segment]:
    """The counts as widths of a bar of 1000 units. A status that occurs is never too narrow to be seen."""
    order: tuple[Status, ...] = ("failed", "unverified", "not_run", "waived", "passed", "not_applicable")
    present = [(status, max(report.counts[status], 0.012 * len(report.findings))) for status in order]
    present = [(status, share) for status, share in present if report.counts[status]]
    whole = sum(share for _, share in present)
    segments, x = [], 0.0
    for status, share in present:
        width = 1000 * share / whole
        gap = 0 if status == present[-1][0] else 3
        segments.append(Segment(status, round(x, 2), round(max(width - gap, 3), 2)))
        x += width
    return segments


def _exhibits(folder: Path) -> list[Exhibit]:
    return list(_bounded(evidence.files(folder)))


def _bounded(files: Iterable[evidence.EvidenceFile]) -> Iterator[Exhibit]:
    left = EVIDENCE_WHOLE
    for number, file in enumerate(files, 1):
        shown = inert(file.text[: min(EVIDENCE_EACH, left)], EVIDENCE_EACH)
        left -= len(shown)
        hidden = len(file.text) - len(shown)
        note = f"{hidden:,} more characters are in {file.path}." if hidden > 0 else ""
        yield Exhibit(
            f"observation-{number}", file.path, file.observed, _source(file.observed), shown, file.problem or note
        )


def _source(observed: Observed) -> str:
    first, *others = observed.source.split("; ")
    return f"{first} and {len(others)} more" if others else first or "no source was named"


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [
        ("Service", report.service["name"]),
        ("Image", _short(report.service["image"])),
        ("Revision", _short(report.service["revision"])),
        ("Environment", report.environment["name"]),
        ("Phase", report.phase or "none was asked for"),
        ("Started", _moment(report.started)),
        ("Took", _took(report)),
        ("Exit code", str(report.exit_code)),
    ]
    return [(name, inert(str(value), 200)) for name, value in facts if value]


def _short(value: str | None) -> str:
    """A hash as people compare it, by its first twelve digits; the whole of it stands at the end of the page."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b", r"\1", value or "")


def _took(report: Report) -> str:
    if report.finished is None:
        return "cut short"
    seconds = (datetime.fromisoformat(report.finished) - datetime.fromisoformat(report.started)).total_seconds()
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _linked(report: Report) -> Markup:
    """The headline after its verdict, each id in it a link to its finding."""
    ids = {finding.id for finding in report.findings}
    said = inert(report.headline.removeprefix(f"{report.verdict or 'No verdict'}: "), CELL)
    return Markup("").join(
        Markup('<a href="#{0}">{0}</a>').format(word) if word in ids else escape(word)
        for word in re.split(r"([A-Za-z0-9-]+)", said)
    )


def _command(report: Report, folder: Path) -> str:
    """The command that judges this run's evidence again."""
    words = ["pytest", *(["-m", report.phase] if report.phase else []), "--env", str(report.environment["name"])]
    return shlex.join([*words, "--replay", f"reports/runs/{folder.name}"])
