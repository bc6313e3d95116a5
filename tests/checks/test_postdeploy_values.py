"""The checks after a deployment over values that no sandbox shows: the edges of what can be told."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from checks.postdeploy.metrics import test_the_metrics_of_the_new_pods_arrive as metrics
from checks.postdeploy.restarts import test_no_container_has_restarted as restarts
from checks.postdeploy.traffic import test_requests_are_answered_well_and_in_time as traffic
from fixtures.observation import CannotObserve
from fixtures.observations.metrics import ScrapeTargets, Target
from fixtures.observations.traffic import alone, instances
from fixtures.settings import Environment, Traffic
from fixtures.traffic import Counts, Histogram
from fixtures.workload import Pod, PodContainer, Pods, ReplicaSet, ReplicaSets

OF = "Deployment chat/chat"
BOUNDS = Environment(name="x", tier="staging", traffic=Traffic(window=300.0, max_error_rate=0.05, max_p99=10.0))


def counts(requests: float = 1000.0, errors: float = 0.0, **latency: Any) -> Counts:
    told: dict[str, Any] = {"buckets": ((1.0, requests), (10.0, requests)), "count": requests} | latency
    return Counts(requests, errors, {"server": errors}, Histogram(**told), 300.0, {}, ("sum(x)",))


INSIDE = [
    counts(),
    counts(errors=50.0),  # as much as may be
    counts(requests=0.5),  # extrapolated from one
    counts(buckets=((10.0, 880.0),), count=880.0),  # the others may be under way
    counts(buckets=((10.0, 830.0),), count=830.0, errors=50.0),  # and those that failed need no duration
    counts(buckets=((1.0, 980.0), (10.0, 990.0)), count=1000.0),
]
OUTSIDE = [
    (counts(errors=51.0), "5.1 % (51 server)"),
    (counts(errors=1000.0), "100.0 %"),
    (counts(requests=1000.0, errors=1200.0), "100.0 %"),  # extrapolation may give more errors than requests
    (counts(buckets=((10.0, 989.0), (30.0, 1000.0)), count=1000.0), "p99 11.82 s"),
    (counts(buckets=((1.0, 500.0), (10.0, 989.0)), count=1000.0), "p99 over 10 s"),
    (counts(buckets=((1.0, 500.0), (5.0, 900.0)), count=1000.0, requests=1000.0, errors=900.0), "90.0 %"),
]
UNTOLD = [
    (counts(buckets=((1.0, 500.0), (5.0, 989.0)), count=1000.0), "longer than 5 s, the last bucket"),
    (counts(buckets=(), count=1000.0), "the last bucket"),
    (counts(buckets=(), count=0.0), "no durations were counted"),
    (counts(requests=0.0), "no requests were counted"),
    (counts(count=800.0), "800 durations were counted of 1000 requests that did not fail"),
    (counts(count=800.0, errors=50.0), "800 durations were counted of 950 requests that did not fail"),
]


@pytest.mark.parametrize("seen", INSIDE)
def test_what_is_inside_its_bounds_passes(seen: Counts) -> None:
    """A bound is what may just be."""
    traffic(seen, BOUNDS)


@pytest.mark.parametrize(("seen", "said"), OUTSIDE)
def test_what_is_outside_fails_although_the_rest_cannot_be_told(seen: Counts, said: str) -> None:
    """One certain trouble is enough."""
    with pytest.raises(AssertionError) as caught:
        traffic(seen, BOUNDS)
    assert said in str(caught.value)


@pytest.mark.parametrize(("seen", "said"), UNTOLD)
def test_what_cannot_be_told_is_no_pass(seen: Counts, said: str) -> None:
    """Neither inside nor outside."""
    with pytest.raises(CannotObserve) as caught:
        traffic(seen, BOUNDS)
    assert (caught.value.reason, said in caught.value.message) == ("no_data", True), caught.value.message


def pods(*containers: PodContainer, replica_set: str = "chat-2") -> Pods:
    return Pods(OF, (Pod("chat-2-a", "Running", replica_set, containers, "10.42.0.11"),))


def container(restarts: int = 0, *, told: bool = True, ended: str = "") -> PodContainer:
    return PodContainer("chat", "chat:1", "", ready=True, restarts=restarts, waiting="", told=told, ended=ended)


REVISIONS = ReplicaSets(OF, tuple(ReplicaSet(f"chat-{number}", f"{number}", 1, (), f"{number}") for number in (2, 1)))


def test_a_restart_is_told_although_another_container_is_not_there_yet() -> None:
    """And without a reason where none is kept."""
    with pytest.raises(AssertionError, match="1 times, the last time: no reason is kept"):
        restarts(pods(container(1), container(told=False)), REVISIONS)
    with pytest.raises(CannotObserve, match="its node has not told of it yet"):
        restarts(pods(container(), container(told=False)), REVISIONS)


def test_restarts_of_earlier_revisions_are_no_news() -> None:
    """They are not what was just shipped; and where nothing else runs, nothing is known of that."""
    with pytest.raises(CannotObserve, match="no pod of its newest revision"):
        restarts(pods(container(5), replica_set="chat-1"), REVISIONS)


def target(health: str = "up", host: str = "", pod: str = "") -> Target:
    return Target("http://10.42.0.11:3000/metrics", health, "refused", host, pod)


def targets(*found: Target) -> ScrapeTargets:
    return ScrapeTargets({"job": "chat"}, found, ("chat",))


def series(pod: str, instance: str) -> Target:
    return Target(f"http://{instance}/metrics", "up", "", instance.partition(":")[0], pod, instance)


NEW = tuple(Pod(f"chat-2-{name}", "Running", "chat-2", (), "") for name in "ab")
EACH = [
    ([series("chat-2-a", "10.0.0.1:80"), series("chat-2-b", "10.0.0.2:80"), series("chat-1-a", "10.0.0.3:80")], 2),
    ([series("chat-2-a", "10.0.0.1:80")], 0),  # not all of them are scraped
    ([series("chat-2-a", "chat:80"), series("chat-2-b", "chat:80")], 0),  # two behind one address
    ([series("chat-2-a", ""), series("chat-2-b", "")], 0),  # without the label
    ([], 0),
]


@pytest.mark.parametrize(("found", "known"), EACH)
def test_the_new_pods_are_counted_alone_where_they_can_be_told(found: list[Target], known: int) -> None:
    """By the label of their own series, as a pattern that matches nothing else."""
    labels = instances(targets(*found), NEW)
    assert bool(labels) == bool(known)
    accepted = [
        one.instance for one in found if known and re.fullmatch(labels["instance"].removeprefix("=~"), one.instance)
    ]
    assert accepted == [one.instance for one in found[:known]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": {"instance": "=~x"}}, "requests to the new pods in 300 s'"),
        ({}, "requests to all pods in 300 s'"),
        ({"window": 40.25}, "requests to all pods in 40 s since the last of the new ones was started'"),
    ],
)
def test_whose_requests_were_counted_is_said(changes: dict[str, Any], said: str) -> None:
    """Those to the new pods, or to all: then since the new ones are there."""
    with pytest.raises(AssertionError, match=said):
        traffic(replace(counts(errors=900.0), **changes), BOUNDS)


def started(*written: str) -> list[Pod]:
    return [replace(NEW[0], name=f"chat-2-{at}", started=text) for at, text in enumerate(written)]


def test_counted_together_they_are_alone_since_the_last_of_them_began() -> None:
    """Before, an old one may have answered; what nobody tells, or is to come, is no beginning."""
    at = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
    assert alone(started("2026-11-22T11:00:00Z", "2026-11-22T11:59:30Z"), at) == 30.0
    for wrong in (["2026-11-22T11:00:00Z", ""], ["yesterday"], ["2026-11-22T12:00:00Z"], ["2026-11-22T12:00:05Z"]):
        with pytest.raises(CannotObserve) as caught:
            alone(started(*wrong), at)
        assert caught.value.reason == "no_data"


@pytest.mark.parametrize(
    "found",
    [
        [target(pod="chat-2-a")],
        [target(host="10.42.0.11")],  # whoever finds pods by an address knows no name
        [target(pod="chat-2-a"), target("down", pod="chat-1-a")],
    ],
)
def test_a_pod_is_known_by_its_name_or_its_address(found: list[Target]) -> None:
    """Other pods' targets are not its own."""
    metrics(targets(*found), pods(container()), REVISIONS)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "Prometheus does not scrape it"),
        ([target(host="10.42.0.99")], "Prometheus does not scrape it"),
        ([target(host="10.42.0.11", pod="chat-1-a")], "Prometheus does not scrape it"),  # its address was another's
        ([target(host="chat.example")], "Prometheus does not scrape it"),  # through a Service one pod hides another
        ([target("down", pod="chat-2-a")], "its target is down"),
        ([target(pod="chat-2-a"), target("down", pod="chat-2-a")], "its target is down"),
    ],
)
def test_a_pod_that_is_not_seen_fails(found: list[Target], said: str) -> None:
    """Whatever else is scraped."""
    with pytest.raises(AssertionError, match=said):
        metrics(targets(*found), pods(container()), REVISIONS)
