"""The rollout: whether all of it is done, and whether what runs is what was shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.lacks import of_images, of_rollout
from fixtures.observations.workload import RunningImage, RunningImages
from fixtures.workload import Workload
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment


@check(
    "POS-001",
    severity="blocker",
    remedy="""
    See what holds it up, then go on or undo it:

        kubectl rollout status deployment/NAME -n NAMESPACE --timeout=2m
        kubectl get pods,events -n NAMESPACE
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_the_rollout_is_complete(workload: Workload) -> None:
    """Every pod is of the new revision and available, and none of the old one is left."""
    assert _unfinished(workload) == []


@check(
    "POS-002",
    severity="blocker",
    remedy="""
    Roll out the image that was meant, by its digest, or correct `kubernetes.image`:

        kubectl set image deployment/NAME CONTAINER=REPOSITORY@sha256:DIGEST -n NAMESPACE
    """,
)
def test_every_pod_runs_the_expected_image(
    running_images: RunningImages, workload: Workload, environment: Environment
) -> None:
    """What runs is exactly the image that was shipped, in every pod."""
    assert _other_images(running_images.items, _expected(workload, environment.kubernetes.image), workload) == []


def _unfinished(workload: Workload) -> list[Offender]:
    return [Offender(lack.what, workload.where, lack.found, lack.expected) for lack in of_rollout(workload)]


def _expected(workload: Workload, image: str | None) -> dict[str, str]:
    """Container to the image that it must run: the configured one for the container that runs its repository, else
    that of the Deployment's template."""
    expected = {container.name: container.image for container in workload.containers}
    if image is None:
        return expected
    same = [name for name, own in expected.items() if _repository(own) == _repository(image)]
    return expected | dict.fromkeys(same or list(expected)[:1], image)


def _other_images(running: tuple[RunningImage, ...], expected: dict[str, str], workload: Workload) -> list[Offender]:
    lacks = of_images(running, expected)
    offenders = [Offender(lack.what, lack.where, lack.found, lack.expected) for lack in lacks]
    if not any(one.container in expected for one in running):
        offenders.append(
            Offender("no pod has a container of the Deployment", workload.where, expected=", ".join(expected))
        )
    return offenders


def _tagged(image: str) -> str:
    """An image reference without its digest."""
    return image.partition("@")[0]


def _repository(image: str) -> str:
    """An image reference without digest and tag. A colon in its first part belongs to a port."""
    name = _tagged(image)
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
