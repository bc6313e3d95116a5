"""What the pods say in their logs right after a deployment, and what they must not say there."""

from __future__ import annotations

from fixtures.observations.logs import ServiceLogs
from plugins.catalogue import Offender, check


@check(
    "POS-006",
    severity="blocker",
    remedy="""
    Read the errors, correct what makes them, or undo the deployment if users are affected. One that is known and does
    no harm is allowed, with its reason, in `logs.allowed`:

        kubectl logs deployment/NAME -n NAMESPACE --all-containers --since=15m
        kubectl rollout undo deployment/NAME -n NAMESPACE
    """,
)
def test_the_logs_hold_no_error(service_logs: ServiceLogs) -> None:
    """Since the deployment no pod has logged an error that is not known to be harmless."""
    errors = [
        Offender(f"{row.count} x {row.level}: {row.text}", row.where, row.sample, "no error")
        for row in sorted(service_logs.errors, key=lambda row: row.count, reverse=True)
    ]
    if not errors:
        service_logs.told()
        service_logs.levelled()
    assert errors == []


@check(
    "POS-007",
    severity="blocker",
    remedy="""
    Rotate a key that stands in a log, then delete what was collected of it. Log ids, lengths and counts in place of
    what users write:

        kubectl logs POD -c CONTAINER -n NAMESPACE --timestamps
    """,
)
def test_the_logs_hold_no_key_and_no_prompt(service_logs: ServiceLogs) -> None:
    """Since the deployment no pod has logged a key, or what a user wrote."""
    hits = [
        Offender(f"a {hit.kind} is logged: {hit.what}", hit.where, f"{hit.count} in this log", f"no {hit.kind}")
        for digest in service_logs.digests
        for hit in digest.hits
    ]
    if not hits:
        service_logs.told()
        service_logs.sought()
    assert hits == []
