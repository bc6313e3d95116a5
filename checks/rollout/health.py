"""What the canary shows of itself: the kinds of errors that it logs, its pods, the alerts that it raises."""

from __future__ import annotations

from fixtures.alerts import Alerts
from fixtures.canary.logs import CanaryLogs
from fixtures.canary.pods import CanaryPods
from fixtures.canary.target import Canary
from plugins.catalogue import Offender, check


@check(
    "ROL-005",
    severity="blocker",
    remedy="""
    Read what stands around it, and take the canary out of the traffic if it comes of the new version:

        kubectl logs deployment/CANARY -n NAMESPACE --since=15m
        kubectl scale deployment/CANARY -n NAMESPACE --replicas=0
    """,
)
def test_its_logs_show_no_new_kind_of_error(canary_logs: CanaryLogs) -> None:
    """The canary logs no kind of error that the stable version does not log."""
    assert _new_errors(canary_logs) == []


@check(
    "ROL-006",
    severity="blocker",
    remedy="""
    See why, in what its last instance logged and in the events, and take the canary out of the traffic:

        kubectl rollout status deployment/CANARY -n NAMESPACE --timeout=1m
        kubectl describe pod POD -n NAMESPACE
        kubectl logs POD -n NAMESPACE --previous
        kubectl scale deployment/CANARY -n NAMESPACE --replicas=0
    """,
)
def test_no_container_restarted_and_no_pod_is_pending(canary: Canary, canary_pods: CanaryPods) -> None:
    """Every pod of the canary is of its newest version, is ready, and has run since it was started."""
    assert _faults(canary, canary_pods) == []


@check(
    "ROL-007",
    severity="blocker",
    remedy="""
    Follow the alert's runbook, and go on only once it is clear that the canary has no part in it:

        curl -s PROMETHEUS/api/v1/alerts
        pytest -m triage --env NAME
    """,
)
def test_no_alert_of_the_service_fired_in_the_window(canary_alerts: Alerts) -> None:
    """Nobody was called for the service while the canary was watched."""
    assert _urgent(canary_alerts) == []


def _new_errors(logs: CanaryLogs) -> list[Offender]:
    """Raises `CannotObserve` where what was not read could settle it."""
    logs.told()
    what = (
        "a new kind of error" if logs.stable is not None else "an error, and no stable version is left that had it too"
    )
    return [Offender(f"{what}, {row.count}x", row.where, row.sample) for row in logs.new]


def _faults(canary: Canary, pods: CanaryPods) -> list[Offender]:
    """Raises `CannotObserve` where a pod that is not ready may be in a moment, and nothing else is wrong."""
    faults = [*_unfinished(canary, pods), *_unwell(pods), *_unready(pods), *_restarted(pods)]
    if not faults:
        pods.ready()
    return faults


def _unfinished(canary: Canary, pods: CanaryPods) -> list[Offender]:
    """What is judged must be what was shipped: a template that is not rolled out is no version that users get."""
    lacks = canary.judged.lacks
    return [Offender(lack.what, pods.of, lack.found, lack.expected) for lack in lacks] or _missing(pods)


def _missing(pods: CanaryPods) -> list[Offender]:
    there = len(pods.items)
    return [Offender("pods are missing", pods.of, str(there), str(pods.wanted))] if there < pods.wanted else []


def _unwell(pods: CanaryPods) -> list[Offender]:
    """Pods that failed or are pending; and containers that wait in a pod that counts as running."""
    unwell = {row.pod for row in pods.unwell}
    waiting = [
        Offender(f"container {container.name} does not run", f"pod {pod.name}", container.waiting)
        for pod in pods.items
        for container in pod.containers
        if container.waiting and pod.name not in unwell
    ]
    states = {"Pending": "is pending", "Failed": "failed", "Unknown": "is on a node that does not answer"}
    return [Offender(states.get(row.phase, row.phase), f"pod {row.pod}", row.why) for row in pods.unwell] + waiting


def _unready(pods: CanaryPods) -> list[Offender]:
    return [Offender("is not ready", f"pod {row.pod}", row.why) for row in pods.unready if row.lasting]


def _restarted(pods: CanaryPods) -> list[Offender]:
    return [
        Offender(
            f"container {row.container} restarted", f"pod {row.pod}", f"{row.count}x ({row.why or 'no reason'})", "0"
        )
        for row in pods.restarted
    ]


def _urgent(alerts: Alerts) -> list[Offender]:
    """Raises `CannotObserve` where that there is no other cannot be told."""
    offenders = [
        Offender("an alert fired", alert.name, f"severity {alert.severity}, {alert.summary or 'no summary'}")
        for alert in alerts.items
        if alert.urgent
    ]
    if not offenders:
        alerts.told()
    return offenders
