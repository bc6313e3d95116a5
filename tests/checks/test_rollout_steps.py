"""The gate of a canary at its later steps: half of the traffic, and all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fixtures.observations.canary  # noqa: F401 - declares the looks that the checks name
from fixtures.intent import Intent
from fixtures.sandbox import growth
from fixtures.sandbox.healthy.canary import IMAGE
from fixtures.sandbox.world import World, started
from fixtures.settings import load
from tests.checks.judging import ENVIRONMENTS, Bench, Judged, bench, clients
from tests.checks.test_rollout import CHECKS

__all__ = ["bench"]

Judge = Callable[[World, int], dict[str, Judged]]


@pytest.fixture
def judge(bench: Bench, tmp_path: Path) -> Judge:
    """Every check of the phase over a world, at a step."""

    def judged(world: World, step: int) -> dict[str, Judged]:
        with started(world, tmp_path / "world") as running:
            environment = load("sandbox", ENVIRONMENTS, overlay=running.settings)
            found: dict[str, Any] = clients(environment) | {"intent": Intent(step=step)}
            return {id_: bench._verdict(check, found) for id_, check in CHECKS.items()}

    return judged


def statuses(judged: dict[str, Judged]) -> dict[str, str]:
    return {id_: found.status for id_, found in judged.items() if found.status != "passed"}


def scaled(world: World, factor: float, **labels: str) -> World:
    """So many times the requests of the series with these labels."""
    for name, rows in world.prometheus.series.items():
        if name.endswith(growth.COUNTERS):
            world.prometheus.series[name] = [
                (found, value * factor if labels.items() <= found.items() else value) for found, value in rows
            ]
    return world


def whole() -> World:
    """The canary was promoted: the Deployment runs its image, and takes all of the traffic."""
    world = World()
    cluster = world.cluster
    for spec in [cluster.template["spec"], *(pod["spec"] for pod in cluster.pods)]:
        spec["containers"][0]["image"] = IMAGE
    for pod in cluster.pods:
        pod["status"]["containerStatuses"][0]["imageID"] = IMAGE.replace(":1.5.0@", "@")
    for name, rows in world.prometheus.series.items():
        world.prometheus.series[name] = [row for row in rows if row[0].get("track") != "canary"]
    return world


def test_half_of_the_traffic_is_judged_as_a_tenth_was(judge: Judge) -> None:
    """With the GO of the step before."""
    assert statuses(judge(scaled(World(), 9.0, track="canary"), 50)) == {}


def test_a_canary_that_was_given_up_meanwhile_takes_too_little(judge: Judge) -> None:
    """A tenth, where half is meant."""
    found = judge(World(), 50)
    assert statuses(found) == {"ROL-002": "failed"}
    assert "found 10.0% of" in found["ROL-002"].message


def test_a_step_is_not_skipped(judge: Judge) -> None:
    """Without the GO of a tenth, half is refused, however well it looks."""
    world = scaled(World(), 9.0, track="canary")
    world.verdicts = [row for row in world.verdicts if row["step"] != 10]
    found = judge(world, 50)
    assert statuses(found) == {"ROL-001": "failed"}
    assert "was not cleared by rollout at 10 %: found no step before it" in found["ROL-001"].message


def test_all_of_the_traffic_is_judged_by_the_bounds_alone(judge: Judge) -> None:
    """No stable version is left; the canary's own Deployment may be."""
    assert statuses(judge(whole(), 100)) == {}


def test_all_of_the_traffic_is_no_less_than_that(judge: Judge) -> None:
    """A tenth still goes to the canary's Deployment, which everybody was to have left."""
    world, series = whole(), World().prometheus.series
    world.prometheus.series = series
    found = judge(world, 100)
    assert statuses(found) == {"ROL-002": "failed"}
    assert "it takes another share of the traffic: found 90.0% of" in found["ROL-002"].message


def test_all_of_the_traffic_must_keep_to_the_bounds(judge: Judge) -> None:
    """And says that they are what was broken."""
    world = whole()
    growth.failing(world.prometheus, 0.2, track="stable")
    growth.slow(world.prometheus, 10.0, share=0.1, track="stable")
    found = judge(world, 100)
    assert statuses(found) == {"ROL-003": "failed", "ROL-004": "failed"}
    assert "too many of its requests fail (by the bound alone" in found["ROL-003"].message
    assert "its requests take too long (by the bound alone" in found["ROL-004"].message


def test_at_the_end_every_error_in_the_logs_is_one_too_many(judge: Judge) -> None:
    """There is no stable version whose errors would be no news."""
    world = whole()
    line = '{"timestamp":"2026-11-22T09:41:12.001Z","level":"error","message":"cannot parse the reply"}'
    world.cluster.logs[f"{world.cluster.pods[0]['metadata']['name']}/chat"] = [line]
    found = judge(world, 100)
    assert statuses(found) == {"ROL-005": "failed"}
    assert "no stable version is left that had it too" in found["ROL-005"].message


def test_the_old_image_is_not_taken_for_the_whole(judge: Judge) -> None:
    """Everybody still has the stable version, which nobody cleared as the canary."""
    found = judge(World(), 100)
    assert found["ROL-001"].status == "failed"
    assert "it runs another image than the canary" in found["ROL-001"].message


def test_an_error_that_the_stable_version_has_too_is_no_news(judge: Judge) -> None:
    """Whatever numbers and names stand in it."""
    world = World()
    names = [world.cluster.canary_pods[0]["metadata"]["name"], world.cluster.pods[1]["metadata"]["name"]]
    for number, name in enumerate(names):
        message = f"request {number}f2c9a51-0b7e-4c2d-9d53-6f1f2f6e1a1{number} failed after {number + 3} tries"
        line = f'{{"timestamp":"2026-11-22T09:41:12.001Z","level":"error","message":"{message}"}}'
        world.cluster.logs[f"{name}/chat"] = [line]
    assert statuses(judge(world, 10)) == {}


@pytest.mark.parametrize("labels", [{}, {"canary_labels": {"track": "nobody"}}])
def test_a_canary_without_series_is_not_judged(judge: Judge, labels: dict[str, Any]) -> None:
    """Whether its pods are not scraped or its labels are wrong: nothing is known of its users."""
    world = World()
    world.settings = {"rollout": labels}
    if not labels:
        for name, rows in world.prometheus.series.items():
            world.prometheus.series[name] = [row for row in rows if row[0].get("track") != "canary"]
    found = statuses(judge(world, 10))
    assert found == dict.fromkeys(("ROL-002", "ROL-003", "ROL-004"), "unverified")


def test_a_stable_version_without_requests_is_nothing_to_compare_with(judge: Judge) -> None:
    """Then the canary takes all of the traffic, and whether it is worse cannot be told."""
    world = World()
    growth.idle(world.prometheus, track="stable")
    assert statuses(judge(world, 10)) == {"ROL-002": "failed", "ROL-003": "unverified", "ROL-004": "unverified"}


def test_a_canary_that_nobody_reaches_is_told_twice(judge: Judge) -> None:
    """It takes no share, and how its answers are is not known."""
    world = World()
    growth.idle(world.prometheus, track="canary")
    found = judge(world, 10)
    assert statuses(found) == {"ROL-002": "failed", "ROL-003": "unverified", "ROL-004": "unverified"}
    assert "more requests are needed to tell" in found["ROL-003"].message
