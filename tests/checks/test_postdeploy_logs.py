"""The checks of the logs, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.postdeploy.logs import test_the_logs_hold_no_error as errors
from checks.postdeploy.logs import test_the_logs_hold_no_key_and_no_prompt as leaks
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.postdeploy import SPECIMENS as OTHERS
from fixtures.sandbox.specimens.postdeploy_logs import SPECIMENS
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {"POS-006": errors, "POS-007": leaks}
ALLOWED = {"pattern": "ECONNRESET", "reason": "the ingress closes idle connections and nobody notices"}
TOUCHED = [row for row in OTHERS if {"POS-006", "POS-007"} & set(row.breaks)]


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong, and a message was sent for it."""
    found = bench.judged(CHECKS, HEALTHY)
    assert {id_: row.status for id_, row in found.items()} == dict.fromkeys(CHECKS, "passed")


@pytest.mark.parametrize("specimen", [*SPECIMENS, *TOUCHED], ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other one passes."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


def test_an_error_that_is_allowed_is_no_error(bench: Bench) -> None:
    """A pattern of the settings covers it, its trace included; that it was there stays in the evidence."""
    world = World(settings={"logs": {"allowed": [ALLOWED]}})
    world.log("error", "connection lost", cause="read ECONNRESET")
    found = bench.over(CHECKS, world)["POS-006"]
    assert found.status == "passed"
    assert "allowed=1" in found.evidence


def test_what_is_found_counts_though_not_all_was_read(bench: Bench) -> None:
    """An error and a key in the log of one pod are answers, whatever the other pod's log may hold."""
    world = World()
    status = world.cluster.pods[1]["status"]["containerStatuses"][0]
    status |= {"ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
    world.log("error", "no answer from the cache", key=world.provider.key)
    assert {id_: row.status for id_, row in bench.over(CHECKS, world).items()} == dict.fromkeys(CHECKS, "failed")


def test_no_evidence_holds_a_key(bench: Bench) -> None:
    """Neither the key that was found nor the message that was sought stand in what is written down."""
    world = World()
    world.log("info", "asking", key=f"Bearer {world.provider.key}", text="Reply with one word.")
    found = bench.over(CHECKS, world)["POS-007"]
    assert found.status == "failed"
    assert world.provider.key not in found.evidence + found.message
    assert "Reply with one word." not in found.message
