"""What do our pods and their logs say?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.triage.log import ErrorLog


@check(
    "TRI-004",
    severity="blocker",
    remedy="""
    See how the pods are, and read what stands around the errors:

        kubectl get deployment,pods -n NAMESPACE -o wide
        kubectl logs deployment/NAME -n NAMESPACE --all-containers --since=10m --tail=200
    """,
)
def test_the_latest_logs_hold_no_error(error_log: ErrorLog) -> None:
    """All pods are available and wrote no error of late."""
    assert written(error_log) == []


def written(log: ErrorLog) -> list[Offender]:
    """Pods that are missing, and the kinds of errors.

    Raises `CannotObserve` where there is neither, but not all of the logs were read.
    """
    found = list(_missing(log))
    if not log.errors and not found:
        for row in log.unasked:
            raise CannotObserve(row.reason, row.message, remedy=row.remedy)  # type: ignore[arg-type] # one of ours
        if not log.logs:
            raise CannotObserve(
                "no_data",
                f"{log.of} has no pod that writes a log",
                remedy="See why: kubectl get pods,events -n NAMESPACE",
            )
    return [*found, *(Offender(f"{row.count} x {row.level}", row.where, row.text) for row in log.errors)]


def _missing(log: ErrorLog) -> Iterator[Offender]:
    if not log.wanted:
        yield Offender("the Deployment is scaled to 0", log.of, "no pod", "one at least")
    elif log.available < log.wanted:
        yield Offender("pods are not available", log.of, f"{log.available} of {log.wanted}", "all of them")
