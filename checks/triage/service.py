"""Does our service say that it is healthy?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.triage.service import OwnHealth

USERS = {
    "fallback": "a message gets the fallback in place of an answer",
    "failed": "a message gets neither an answer nor the fallback",
    "silent": "a message gets nothing in time",
    "unreached": "a message does not reach it",
}


@check(
    "TRI-002",
    severity="blocker",
    remedy="""
    See what it says, then what its pods say:

        curl -sS -i -m 10 URL/health
        kubectl get pods -n NAMESPACE
        kubectl logs deployment/NAME -n NAMESPACE --since=10m --tail=50
    """,
)
def test_our_service_says_that_it_is_healthy(own_health: OwnHealth) -> None:
    """Our service says that it is healthy, and a message to it gets a model's answer."""
    assert unwell(own_health) == []


def unwell(own: OwnHealth) -> list[Offender]:
    """What is wrong with it. Raises `CannotObserve` where it could not be asked."""
    if own.health.kind == "settings":
        raise CannotObserve("not_configured", own.health.message, remedy=own.health.remedy)
    said = f"{own.health.message}, {f'it says {own.said!r}' if own.said else 'and does not say how it is'}"
    rows = [(f"the service is {own.state}", own.health.asked, said, own.state != "healthy")]
    rows += [("its circuit is open", own.health.asked, "open", own.circuit == "open")]
    if own.users is not None and own.message is not None:
        rows += [(USERS.get(own.users, ""), own.message.asked, own.message.message, own.users != "served")]
    return [Offender(what, where, found) for what, where, found, wrong in rows if wrong]
