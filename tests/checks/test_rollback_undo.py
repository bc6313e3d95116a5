"""The checks of an undo, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import fixtures.observations.rollback  # noqa: F401 - declares the looks that the checks name
from checks.rollback.undo import test_the_earlier_revision_runs as earlier
from checks.rollback.undo import test_the_rollback_is_complete as complete
from checks.rollback.undo import test_the_service_is_healthy_again as healthy
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.rollback import SPECIMENS
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {"RBK-001": earlier, "RBK-002": complete, "RBK-003": healthy}


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where the run goes back to the earlier revision and all is well."""
    assert {id_: found.status for id_, found in bench.judged(CHECKS, HEALTHY).items()} == dict.fromkeys(
        CHECKS, "passed"
    )


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), (id_, found.message)
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


@pytest.mark.parametrize(
    ("name", "id_", "says"),
    [
        ("nobody-undid-it", "RBK-001", "nobody has undone the newest deployment: found revision 2"),
        ("nobody-undid-it", "RBK-002", "there is no rollback that could be complete"),
        ("undo-to-no-revision", "RBK-001", "rollout history deployment/chat"),
        ("undo-while-paused", "RBK-001", "the next command: kubectl"),
        ("rollback-not-acted-on", "RBK-001", "container chat runs another image: found sha256:5f1c9d0e"),
        ("rollback-not-acted-on", "RBK-002", "its controller has not seen the newest change"),
        ("rollback-scaled-down", "RBK-001", "no pod runs the image: found no pod"),
        ("rollback-scaled-down", "RBK-002", "is scaled to no pod at all: found 0 replicas"),
        ("rollback-superseded", "RBK-001", "another revision than the one asked for is rolled out"),
        ("rollback-superseded", "RBK-001", "found revision 4, expected revision 1"),
        ("rollback-late", "RBK-002", "the next command: kubectl"),
    ],
)
def test_a_finding_tells_each_of_its_own(bench: Bench, name: str, id_: str, says: str) -> None:
    """Where one cause breaks two checks, each says what it means for its own claim; and what to type next."""
    (specimen,) = (specimen for specimen in SPECIMENS if specimen.name == name)
    assert says in bench.judged({id_: CHECKS[id_]}, specimen)[id_].message
