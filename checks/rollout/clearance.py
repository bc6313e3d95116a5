"""What runs as the canary: the image that earlier gates let through, and no other."""

from __future__ import annotations

from collections.abc import Iterator

from fixtures.canary.target import Canary
from fixtures.clearance import Clearances, Verdict
from fixtures.workload import digest
from plugins.catalogue import Offender, check


@check(
    "ROL-001",
    severity="blocker",
    remedy="""
    Let the earlier gates say GO of this very image first, in their order, then this one again:

        GOLIVE_KUBERNETES__IMAGE=REPOSITORY@sha256:DIGEST pytest -m preflight --env NAME
        pytest -m rollout --env NAME --step 10
    """,
)
def test_the_canary_runs_the_image_that_was_cleared(clearances: Clearances, canary: Canary) -> None:
    """What users are given is the image that preflight let through, and the steps before this one too."""
    assert [*_uncleared(clearances), *_another(canary)] == []


def _uncleared(clearances: Clearances) -> Iterator[Offender]:
    """The first thing that each image lacks: what follows from it is no news."""
    needed: list[tuple[str, int | None]] = [("preflight", None)]
    needed += [("rollout", step) for step in clearances.before[-1:]]
    for image, where in clearances.images.items():
        lacking = [*_refused(clearances, image, where)]
        lacking += filter(None, (_lacking(clearances, image, where, phase, step) for phase, step in needed))
        yield from lacking[:1]


def _refused(clearances: Clearances, image: str, where: str) -> Iterator[Offender]:
    """What the newest verdicts hold against the image: those of the steps before too, whatever a later step said."""
    for verdict in clearances.verdicts:
        if verdict.row.image == image and verdict.row.verdict != "GO":
            found = f"{verdict.row.verdict} of {verdict.row.environment} at {verdict.row.made}"
            yield Offender(f"the last {verdict.row.what} refused its image", where, found, f"GO of {image}")


def _lacking(clearances: Clearances, image: str, where: str, phase: str, step: int | None) -> Offender | None:
    """Why the verdicts of one phase do not clear the image, of which none refused it; None where they do."""
    verdicts = clearances.of(image, phase, step)
    fresh = [verdict for verdict in verdicts if verdict.hours <= clearances.holds]
    if fresh:
        return None
    if verdicts:
        newest = min(verdicts, key=lambda verdict: verdict.hours)
        what = f"the GO of {newest.row.what} for its image is too old"
        return Offender(what, where, f"{newest.hours:.1f} hours", f"at most {clearances.holds:g} hours")
    if step is not None:
        what = f"its image was not cleared by rollout at {step} %"
        return Offender(what, where, _lower(clearances, image) or "no step before it", f"GO of {image} at {step} %")
    return Offender("its image was not cleared by preflight", where, _others(clearances), f"GO of {image}")


def _lower(clearances: Clearances, image: str) -> str:
    """The steps below that were GO."""
    verdicts = [verdict for step in clearances.before for verdict in clearances.of(image, "rollout", step)]
    return ", ".join(_said(verdict) for verdict in verdicts if verdict.row.verdict == "GO")


def _said(verdict: Verdict) -> str:
    return f"{verdict.row.verdict} at {verdict.row.step} %"


def _others(clearances: Clearances) -> str:
    known = ", ".join(image[:19] for image in clearances.others)
    return f"verdicts on {known} in {clearances.folder}" if known else f"no verdict in {clearances.folder}"


def _another(canary: Canary) -> list[Offender]:
    """At the last step, what was judged as the canary until then must be what everybody gets."""
    now, before = canary.judged.image, canary.promoted
    if not before or (digest(now) or now) == (digest(before) or before):
        return []
    return [Offender("it runs another image than the canary", canary.judged.where, now, before)]
