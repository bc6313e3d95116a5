"""Whether people know that a deployment was undone."""

from __future__ import annotations

from fixtures.notifications.telling import Delivery, Told
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check


def _was_one(rollback_told: Told) -> str | None:
    """There is something to tell only where somebody has gone back."""
    return rollback_told.nothing or None


@check(
    "RBK-004",
    severity="blocker",
    remedy="""
    Name who is to be told in environments/NAME.toml, by references to the addresses, then send what was drafted:

        [notifications]
        slack_webhook = "k8s://vault/notifications#slack"
        pagerduty_key = "k8s://vault/notifications#pagerduty"

        pytest -m rollback --env NAME --allow-changes --notify
    """,
    applies=_was_one,
)
def test_the_team_was_told(rollback_told: Told) -> None:
    """Everybody who is to know of the rollback has been told, and each receiver has taken the message."""
    assert _untold(rollback_told) == []


def _untold(told: Told) -> list[Offender]:
    """The channels by which nobody was told. Raises `CannotObserve` where of those left it cannot be said."""
    offenders = [_offender(told, one) for one in told.deliveries if one.state in ("draft", "refused")]
    if not offenders:
        for one in told.deliveries:
            _refuse_unclear(one)
    return offenders


def _offender(told: Told, delivery: Delivery) -> Offender:
    if delivery.state == "refused":
        where = f"{delivery.channel} at {delivery.host}"
        return Offender("the receiver refused the notification", where, delivery.says, "that it is taken")
    if told.another:
        what = "no notification went out of this rollback"
        return Offender(what, delivery.channel, f"a receipt of {told.another}", f"one of {told.event}")
    return Offender("no notification went out", delivery.channel, "a draft", f"a receipt of {told.event}")


def _refuse_unclear(delivery: Delivery) -> None:
    if delivery.state == "accepted":
        return
    gap = delivery.gap
    if gap is None:
        raise CannotObserve(
            "no_data",
            f"{delivery.channel}: nothing tells whether the notification arrived ({delivery.state})",
            remedy="Ask there whether it has arrived.",
        )
    raise CannotObserve(gap.reason, gap.message, remedy=gap.remedy)
