"""The alerts of the service after a deployment."""

from __future__ import annotations

from collections.abc import Callable

from fixtures.alerts import Alert, Alerts
from plugins.catalogue import Offender, check


@check(
    "POS-008",
    severity="blocker",
    remedy="""
    See what it is about and since when. One that began after the deployment is a reason to undo it:

        curl -sG PROMETHEUS/api/v1/alerts
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_no_urgent_alert_fires(service_alerts: Alerts) -> None:
    """No alert of the service fires for which somebody is called (P1, P2)."""
    assert _raised(service_alerts, lambda alert: alert.urgent) == []


@check(
    "POS-013",
    severity="advisory",
    remedy="""
    Wait until it is gone or fires, and look what it is about meanwhile:

        curl -sG PROMETHEUS/api/v1/alerts
    """,
)
def test_no_alert_is_about_to_fire(service_alerts: Alerts) -> None:
    """No alert of the service is pending, and none of lesser severity fires."""
    lesser = ("P3", "P4")
    assert _raised(service_alerts, lambda alert: alert.state == "pending" or alert.severity in lesser) == []


def _raised(alerts: Alerts, chosen: Callable[[Alert], bool]) -> list[Offender]:
    """The alerts that are chosen; where there is none, that there is none must be certain."""
    found = [alert for alert in alerts.items if chosen(alert)]
    if not found:
        alerts.told()
    return [_offender(alert) for alert in found]


def _offender(alert: Alert) -> Offender:
    severity = alert.severity or f"severity {alert.label}"
    return Offender(f"{alert.name} is {alert.state} ({severity})", f"since {alert.since}", alert.summary, "inactive")
