"""The verdict of a whole run is kept for the image that it was about, for the next step of a rollout to rely on it.

Only a run that looked for itself at a real environment leaves one. A NO-GO takes the place of an earlier GO. A run that
was narrowed, mistyped or cut short says nothing of an image, for or against, unless it saw a blocker fail.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

from fixtures import clearance
from fixtures.canary.side import repository
from fixtures.clearance import Clearance
from fixtures.files import shown_path
from fixtures.observation import CannotObserve, now, read
from fixtures.workload import digest
from reports.verdict import FAILED, GO, INCOMPLETE, answered

if TYPE_CHECKING:
    from pathlib import Path

    from plugins.opening import Opening
    from reports.model import Report

Object = dict[str, Any]
Phase = Literal["preflight", "rollout"]
Answer = Literal["GO", "NO-GO"]

HINTS: dict[Phase, str] = {
    "preflight": "Set kubernetes.image to the one that is meant.",
    "rollout": "No look saw what the canary runs: let its pod template name its image by digest.",
}


def cleared(report: Report, opening: Opening) -> str:
    """Keep the verdict where there is one to keep. A sentence for the terminal; empty where nothing is to be said."""
    phase = _phase(report, opening)
    if phase is None:
        return ""
    verdict: Answer = "GO" if report.verdict == "GO" else "NO-GO"
    images = _images(opening, phase, verdict)
    if not images:
        return f"This {verdict} is kept for no image: no digest is known. {HINTS[phase]}"
    place = clearance.folder(opening.environment)
    try:
        files = [clearance.kept(place, _document(report, opening, phase, verdict, image)) for image in images]
    except OSError as error:
        return f"This {verdict} is not kept: {shown_path(place)} cannot be written ({error.strerror or error})."
    hours = f" for {opening.environment.rollout.clearance_hours:g} hours" if verdict == "GO" else ""
    return f"This {verdict} is kept{hours}: {', '.join(shown_path(file) for file in files)}"


def _phase(report: Report, opening: Opening) -> Phase | None:
    """The phase that speaks for an image; None where this run does not."""
    if opening.environment.sandbox or opening.replay is not None or not _speaks(report):
        return None
    return "preflight" if report.phase == "preflight" else "rollout" if report.phase == "rollout" else None


def _speaks(report: Report) -> bool:
    """Whether it is a verdict on an image: of a phase that was run whole, or that a blocker which failed decides."""
    if any(finding.status == "failed" and finding.severity == "blocker" for finding in report.findings):
        return report.verdict == "NO-GO"
    ended = {"GO": (GO,), "NO-GO": (FAILED, INCOMPLETE)}.get(str(report.verdict), ())
    return report.exit_code in ended and all(map(answered, report.findings))


def _document(report: Report, opening: Opening, phase: Phase, verdict: Answer, image: str) -> Object:
    environment = opening.environment
    step = opening.intent.step or environment.rollout.steps[0]
    row = Clearance(
        environment=clearance.owned_by(environment),
        phase=phase,
        step=step if phase == "rollout" else None,
        image=image,
        verdict=verdict,
        made=report.finished or now(),
        run=opening.folder.name,
        waived=tuple(finding.id for finding in report.findings if finding.status == "waived"),
    )
    return clearance.composed(row, report.suite)


def _images(opening: Opening, phase: Phase, verdict: Answer) -> list[str]:
    """The digests that the verdict is about: what the canary was seen to run, or what preflight was to let through."""
    if phase == "rollout":
        return _run(opening) if verdict == "GO" else _meant(opening)
    configured = opening.environment.kubernetes.image or ""
    if digest(configured):
        return [digest(configured)]
    images = [str(row.get("image")) for row in _seen(opening.folder, "workload").get("containers") or ()]
    own = next((image for image in images if configured and repository(image) == repository(configured)), None)
    return list(filter(None, [digest(own or next(iter(images), ""))]))


def _run(opening: Opening) -> list[str]:
    """What the canary's pods run: an image that only its template names has shown nothing."""
    container = (_seen(opening.folder, "canary").get("judged") or {}).get("container")
    rows = [row for pod in _seen(opening.folder, "canary_pods").get("items") or () for row in pod["containers"]]
    found = [str(row["digest"]) for row in rows if row["name"] == container and not row["waiting"]]
    return list(dict.fromkeys(filter(None, found)))


def _meant(opening: Opening) -> list[str]:
    """What the canary's pods run or its template names; the latter where the pods could not be looked at.

    As the newest look saw it that saw any: what was taken away in the middle of a watch is refused all the same.
    """
    from plugins.watching import looks

    for folder in looks(opening.folder):
        template = digest(str((_seen(folder, "canary").get("judged") or {}).get("image")))
        if found := list(_seen(folder, "clearances").get("images") or filter(None, [template])):
            return found
    return []


def _seen(folder: Path, name: str) -> Object:
    """The value of an observation of a run, or of one of its looks; empty where it was not made."""
    value: Object = {}
    with contextlib.suppress(CannotObserve):
        value = read(folder / "observations" / f"{name}.json").value or {}
    return value
