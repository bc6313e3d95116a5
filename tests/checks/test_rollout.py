"""The gate of a canary, over every world in which one of its checks must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import fixtures.observations.canary  # noqa: F401 - declares the looks that the checks name
from checks.rollout.clearance import test_the_canary_runs_the_image_that_was_cleared as image
from checks.rollout.health import test_its_logs_show_no_new_kind_of_error as logs
from checks.rollout.health import test_no_alert_of_the_service_fired_in_the_window as alerts
from checks.rollout.health import test_no_container_restarted_and_no_pod_is_pending as pods
from checks.rollout.traffic import test_its_error_rate_is_no_worse as errors
from checks.rollout.traffic import test_its_latency_is_no_worse as latency
from checks.rollout.traffic import test_the_canary_takes_its_share_of_the_traffic as share
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens import rollout, rollout_traffic
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {
    "ROL-001": image,
    "ROL-002": share,
    "ROL-003": errors,
    "ROL-004": latency,
    "ROL-005": logs,
    "ROL-006": pods,
    "ROL-007": alerts,
}
SPECIMENS = [*rollout.SPECIMENS, *rollout_traffic.SPECIMENS]


def test_a_healthy_canary_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    judged = bench.judged(CHECKS, HEALTHY)
    assert {id_: (found.status, found.message) for id_, found in judged.items()} == dict.fromkeys(
        CHECKS, ("passed", "")
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
