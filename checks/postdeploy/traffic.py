"""The users' requests after a deployment, against the bounds of the alert table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from fixtures.traffic import Counts
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment, Traffic


@check(
    "POS-009",
    severity="blocker",
    remedy="""
    See by kind what fails, then undo the deployment if it came with it:

        promtool query instant PROMETHEUS 'sum by (type) (increase(mistral_errors_total[5m]))'
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_requests_are_answered_well_and_in_time(service_traffic: Counts, environment: Environment) -> None:
    """Few enough requests fail, and nearly all are answered in time."""
    assert _outside(service_traffic, environment.traffic) == []


def _outside(counts: Counts, bounds: Traffic) -> list[Offender]:
    rate, p99 = counts.error_rate, counts.quantile(0.99)
    whose = "to the new pods" if counts.labels else "to all pods"
    since = "" if counts.window >= bounds.window else " since the last of the new ones was started"
    where = f"{counts.requests:.0f} requests {whose} in {counts.window:.0f} s{since}"
    rows = [
        (
            rate is not None and rate > bounds.max_error_rate,
            "too many requests fail",
            f"{100 * (rate or 0.0):.1f} % ({_kinds(counts)})",
            f"at most {100 * bounds.max_error_rate:g} %",
        ),
        (
            _slow(counts, p99, bounds.max_p99),
            "requests take too long",
            f"p99 {_seconds(counts, p99)}",
            f"at most {bounds.max_p99:g} s",
        ),
    ]
    offenders = [Offender(what, where, found, wanted) for wrong, what, found, wanted in rows if wrong]
    if not offenders:
        _told(counts, rate, p99, bounds.max_p99)
    return offenders


def _kinds(counts: Counts) -> str:
    """The kinds of errors, the most frequent first."""
    most = sorted(counts.kinds.items(), key=lambda item: item[1], reverse=True)
    return ", ".join(f"{count:.0f} {kind}" for kind, count in most if count > 0) or f"{counts.errors:.0f} errors"


def _longest(counts: Counts) -> float:
    """The last bound of the histogram, in seconds: beyond it nothing is told apart."""
    return counts.latency.buckets[-1][0] if counts.latency.buckets else 0.0


def _slow(counts: Counts, p99: float | None, bound: float) -> bool:
    if p99 is None:
        return False
    return _longest(counts) >= bound if math.isinf(p99) else p99 > bound


def _seconds(counts: Counts, p99: float | None) -> str:
    if p99 is None or math.isinf(p99):
        return f"over {_longest(counts):g} s"
    return f"{p99:.2f} s"


def _told(counts: Counts, rate: float | None, p99: float | None, bound: float) -> None:
    """That both are inside is certain. Raises `CannotObserve`: no_data."""
    if rate is None or p99 is None:
        raise CannotObserve(
            "no_data",
            f"{'no requests' if rate is None else 'no durations'} were counted in {counts.window:g} s",
            remedy="See what there is: promtool query instant PROMETHEUS '{}'".format(counts.asked[-1:] or ""),
        )
    if untimed := counts.untimed(bound):
        raise CannotObserve(
            "no_data",
            f"{untimed} ({counts.window:g} s)",
            remedy="See whether requests hang, and that traffic.requests and traffic.latency count the same ones:\n\n"
            "    kubectl logs deployment/NAME -n NAMESPACE --since=15m",
        )
    if math.isinf(p99):
        raise CannotObserve(
            "no_data",
            f"one in a hundred requests takes longer than {_longest(counts):g} s, the last bucket of the histogram: "
            f"whether it takes longer than {bound:g} s cannot be told",
            remedy=f"Give the histogram a bucket at the bound, in the service:\n\n    buckets: [..., {bound:g}]",
        )
