"""The checks after a deployment, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.postdeploy.rollout import test_every_pod_runs_the_expected_image as images
from checks.postdeploy.rollout import test_the_rollout_is_complete as rollout
from checks.postdeploy.service import test_the_chat_endpoint_answers as chat
from checks.postdeploy.service import test_the_service_says_that_it_is_healthy as health
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.postdeploy import SPECIMENS
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {"POS-001": rollout, "POS-002": images, "POS-003": health, "POS-004": chat}


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert {id_: found.status for id_, found in bench.judged(CHECKS, HEALTHY).items()} == dict.fromkeys(
        CHECKS, "passed"
    )


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    asked = CHECKS if specimen.scenario else {id_: CHECKS[id_] for id_ in specimen.breaks}
    for id_, found in bench.judged(asked, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)
