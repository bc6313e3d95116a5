"""The checks of streams, alerts, traffic, restarts, metrics and the way back, over every world in which one speaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.postdeploy.alerts import test_no_alert_is_about_to_fire as pending
from checks.postdeploy.alerts import test_no_urgent_alert_fires as firing
from checks.postdeploy.metrics import test_the_metrics_of_the_new_pods_arrive as metrics
from checks.postdeploy.restarts import test_no_container_has_restarted as restarts
from checks.postdeploy.stream import test_the_stream_comes_to_its_end as stream
from checks.postdeploy.traffic import test_requests_are_answered_well_and_in_time as traffic
from checks.postdeploy.undo import test_the_deployment_can_be_undone as undo
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens import postdeploy, postdeploy_pods, postdeploy_prometheus, postdeploy_stream
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {
    "POS-005": stream,
    "POS-008": firing,
    "POS-009": traffic,
    "POS-010": restarts,
    "POS-011": undo,
    "POS-012": metrics,
    "POS-013": pending,
}
MODULES = (postdeploy, postdeploy_stream, postdeploy_prometheus, postdeploy_pods)
SPECIMENS = [  # one made of values tells only of the checks it names: there is no world to look at
    specimen
    for module in MODULES
    for specimen in module.SPECIMENS
    if specimen.values is None or CHECKS.keys() & set(specimen.breaks)
]


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    judged = bench.judged(CHECKS, HEALTHY)
    assert {id_: (found.status, found.message) for id_, found in judged.items()} == dict.fromkeys(
        CHECKS, ("passed", "")
    )


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    for status in ("failed", "unverified"):
        named = {id_ for specimen in SPECIMENS if specimen.status == status for id_ in specimen.breaks}
        assert CHECKS.keys() <= named


def test_a_service_that_does_not_stream_says_so(bench: Bench) -> None:
    """The settings' own reason is the finding's."""
    world = World()
    world.settings = {"service": {"stream": {"path": None, "none": "it answers in one piece"}}}
    found = bench.over({"POS-005": stream}, world)["POS-005"]
    assert (found.status, found.message) == ("not_applicable", "it answers in one piece")


@pytest.mark.parametrize("fault", ["hang", "reset", "closed", "404", "429", "500", "html", "half-json", "huge"])
def test_a_prometheus_that_does_not_answer_well_is_no_answer(bench: Bench, fault: str) -> None:
    """Whatever is wrong with it, nothing passes and nothing fails."""
    world = World()
    world.prometheus.fault = fault
    asked = {id_: CHECKS[id_] for id_ in ("POS-008", "POS-009", "POS-012", "POS-013")}
    assert {found.status for found in bench.over(asked, world).values()} == {"unverified"}


@pytest.mark.parametrize("fault", ["reset", "404", "429", "500", "html", "half-json"])
def test_an_api_server_that_does_not_answer_well_is_no_answer(bench: Bench, fault: str) -> None:
    """Whatever is wrong with it, nothing passes and nothing fails."""
    world = World()
    world.cluster.fault = fault
    asked = {id_: CHECKS[id_] for id_ in ("POS-010", "POS-011", "POS-012")}
    assert {found.status for found in bench.over(asked, world).values()} == {"unverified"}
