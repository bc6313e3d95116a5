"""What the canary's users get: their share of the requests, and answers as good as those of the stable version."""

from __future__ import annotations

from fixtures.canary.share import CanaryTraffic
from fixtures.canary.statistics import Judgement
from fixtures.canary.target import Canary
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

HALF = 0.5
"""By so much of itself may the share be off."""
LEFT = 0.05
"""By so much at 100 %, where no other version is to have any: requests of just before count too."""
_WAIT = """Wait for more requests, or judge the step over longer:

    [rollout]
    windows = [1200.0, 600.0, 600.0]"""


@check(
    "ROL-002",
    severity="blocker",
    remedy="""
    Give the canary its share, by its weight or by the number of its pods, and see that its pods are ready:

        kubectl get pods -n NAMESPACE -l track=canary
        kubectl scale deployment/CANARY -n NAMESPACE --replicas=N
    """,
)
def test_the_canary_takes_its_share_of_the_traffic(canary: Canary, canary_traffic: CanaryTraffic) -> None:
    """The canary meets as many users as this step means it to, so that what it shows counts."""
    assert _off(canary, canary_traffic) == []


@check(
    "ROL-003",
    severity="blocker",
    remedy="""
    Take the canary out of the traffic, then read what its pods say about the errors:

        kubectl scale deployment/CANARY -n NAMESPACE --replicas=0
        kubectl logs deployment/CANARY -n NAMESPACE --since=15m
    """,
)
def test_its_error_rate_is_no_worse(canary_traffic: CanaryTraffic) -> None:
    """Users of the canary meet no more errors than they may, and no more than those of the stable version."""
    assert _worse(canary_traffic.errors, "too many of its requests fail", canary_traffic) == []


@check(
    "ROL-004",
    severity="blocker",
    remedy="""
    Take the canary out of the traffic, then see what takes the time, in its traces or its own durations:

        kubectl scale deployment/CANARY -n NAMESPACE --replicas=0
        kubectl logs deployment/CANARY -n NAMESPACE --since=15m
    """,
)
def test_its_latency_is_no_worse(canary_traffic: CanaryTraffic) -> None:
    """Users of the canary wait no longer than they may, and no longer than those of the stable version."""
    assert _worse(canary_traffic.latency, "its requests take too long", canary_traffic) == []


def _off(canary: Canary, traffic: CanaryTraffic) -> list[Offender]:
    """The share that its controller gives it, and the one that it takes, each off by more than it may be."""
    expected, where = canary.step / 100, canary.judged.where
    offenders = []
    if canary.weight is not None and _far(canary.weight / 100, expected):
        offenders.append(
            Offender("its controller gives it another share", where, f"{canary.weight:g} %", f"{canary.step} %")
        )
    if not offenders or traffic.share.told:
        found = traffic.share.found
        if _far(found, expected):
            counted = f"{found:.1%} of {traffic.share.total:.0f} requests in {traffic.share.window:g} s"
            offenders.append(Offender("it takes another share of the traffic", where, counted, f"{canary.step} %"))
    return offenders


def _far(found: float, expected: float) -> bool:
    return abs(found - expected) > (HALF * expected if expected < 1 else LEFT)


def _worse(judgement: Judgement, what: str, traffic: CanaryTraffic) -> list[Offender]:
    """Raises `CannotObserve`: no_data where the requests do not tell, with how many more would."""
    if judgement.worse is None:
        raise CannotObserve(
            "no_data",
            judgement.says + traffic.part,
            remedy=judgement.remedy or _WAIT,
        )
    alone = "" if traffic.stable else " (by the bound alone: no stable version is left to compare it with)"
    return [Offender(f"{what}{alone}", traffic.of, judgement.says + traffic.part)] if judgement.worse else []
