"""What was just undone: whether the earlier revision runs, in every pod, and the service is healthy again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.lacks import of_health, of_images, of_rollout
from fixtures.observations.service import ServiceHealth
from fixtures.observations.workload import RunningImages
from fixtures.undo.evidence import Attempt, Undo
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment


@check(
    "RBK-001",
    severity="blocker",
    remedy="""
    See which revisions there are, and go back to the one that ran well; or let this run do it:

        kubectl rollout history deployment/NAME -n NAMESPACE
        kubectl rollout undo deployment/NAME -n NAMESPACE --to-revision=N
        pytest -m rollback --env ENVIRONMENT --allow-changes --to-revision N
    """,
)
def test_the_earlier_revision_runs(undo: Undo, undo_attempt: Attempt, images_after_undo: RunningImages) -> None:
    """What runs is exactly the image of the earlier revision, in every pod."""
    assert _not_gone_back(undo, undo_attempt) + _other_images(undo, images_after_undo) == []


@check(
    "RBK-002",
    severity="blocker",
    remedy="""
    See what holds it up, then go on or go back to another revision:

        kubectl rollout status deployment/NAME -n NAMESPACE --timeout=2m
        kubectl get pods,events -n NAMESPACE
        kubectl rollout undo deployment/NAME -n NAMESPACE --to-revision=N
    """,
)
def test_the_rollback_is_complete(undo: Undo, undo_attempt: Attempt) -> None:
    """Every pod is of the revision that was gone back to and available, and none of the one before is left."""
    assert _unfinished(undo, undo_attempt) == []


@check(
    "RBK-003",
    severity="blocker",
    remedy="""
    See what it says, then what its pods say; where it was no better before, it was not the deployment:

        curl -i URL/health
        kubectl logs deployment/NAME -n NAMESPACE --since=10m
        pytest -m triage --env ENVIRONMENT
    """,
)
def test_the_service_is_healthy_again(health_after_undo: ServiceHealth, environment: Environment) -> None:
    """After the rollback the service says that it is healthy and that Mistral answers it, and says so quickly."""
    assert [
        Offender(lack.what, health_after_undo.url, lack.found, lack.expected)
        for lack in of_health(health_after_undo, environment.service.health)
    ] == []


def _not_gone_back(undo: Undo, attempt: Attempt) -> list[Offender]:
    """The first thing that is wrong: what follows from it is no news."""
    where, runs = undo.workload.where, f"revision {undo.current.number}"
    if attempt.outcome == "refused":
        refused = Offender(f"the rollback was refused: {attempt.why}", where, runs, f"revision {attempt.asked}")
        return [refused, *_next(attempt, where)]
    if undo.asked is not None and not undo.current.known_as(undo.asked):
        why = f": {attempt.why}" if attempt.why else ""
        what = f"another revision than the one asked for is rolled out{why}"
        return [Offender(what, where, runs, f"revision {undo.asked}"), *_next(attempt, where)]
    if undo.by == "nobody":
        return [Offender("nobody has undone the newest deployment", where, runs, "an earlier revision")]
    return []


def _next(attempt: Attempt, where: str) -> list[Offender]:
    return [Offender(f"the next command: {attempt.onward}", where)] if attempt.onward else []


def _other_images(undo: Undo, images: RunningImages) -> list[Offender]:
    expected = {container.name: container.image for container in undo.workload.containers}
    if not any(row.container in expected for row in images.items):
        return [Offender("no pod runs the image", undo.workload.where, "no pod", ", ".join(expected.values()))]
    lacks = of_images(images.items, expected)
    return [Offender(lack.what, lack.where, lack.found, lack.expected) for lack in lacks]


def _unfinished(undo: Undo, attempt: Attempt) -> list[Offender]:
    where = undo.workload.where
    if undo.by == "nobody":
        why = f": {attempt.why}" if attempt.why else ""
        return [Offender(f"there is no rollback that could be complete{why}", where, f"revision {undo.current.number}")]
    lacks = [Offender(lack.what, where, lack.found, lack.expected) for lack in of_rollout(undo.workload)]
    if lacks and attempt.why:
        return [Offender(attempt.why, where), *lacks, *_next(attempt, where)]
    return lacks
