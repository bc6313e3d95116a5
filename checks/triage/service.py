"""Does our service say that it is healthy?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.triage.service import OwnHealth

STATES = {
    "degraded": "the service is degraded",
    "down": "the service is down",
    "page": "something else answers in the service's place",
    "name": "the service's name does not resolve from here",
}
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
    """What is wrong with it. Raises `CannotObserve` where nothing is, but not all of it could be asked."""
    wrong = [Offender(what, where, found) for what, where, found, wrong in _rows(own) if wrong]
    if not wrong:
        _all_asked(own)
    return wrong


def _rows(own: OwnHealth) -> Iterator[tuple[str, str, str, bool]]:
    """What may be wrong, where, what was found, and whether it is."""
    if own.health.tells:
        said = f"{own.health.message}, {f'it says {own.said!r}' if own.said else 'and does not say how it is'}"
        yield STATES.get(own.state or "", ""), own.health.asked, said, own.state in STATES
        yield "its circuit is open", own.health.asked, "open", own.circuit == "open"
    if own.users is not None and own.message is not None:
        yield USERS.get(own.users, ""), own.message.asked, own.message.message, own.users != "served"


def _all_asked(own: OwnHealth) -> None:
    for call in (own.health, own.message):
        if call is not None:
            call.require()
    if own.state is None:
        for row in own.unasked:
            raise CannotObserve(row.reason, row.message, remedy=row.remedy)  # type: ignore[arg-type] # one of ours
