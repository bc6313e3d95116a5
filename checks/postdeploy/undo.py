"""The way back, looked at before it is needed."""

from __future__ import annotations

from fixtures.observations.revisions import WayBack
from fixtures.revisions import Revision
from plugins.catalogue import Offender, check


@check(
    "POS-011",
    severity="blocker",
    remedy="""
    See what is kept, make what is missing, and give whoever is on call the right to undo; rollback.who says who that
    is. A Deployment keeps as many earlier revisions as its `revisionHistoryLimit` says (10 where it says nothing):

        kubectl rollout history deployment/NAME -n NAMESPACE
        kubectl auth can-i patch deployments/NAME -n NAMESPACE --as=anybody --as-group=GROUP
        kubectl patch deployment NAME -n NAMESPACE -p '{"spec": {"revisionHistoryLimit": 10}}'
    """,
)
def test_the_deployment_can_be_undone(way_back: WayBack) -> None:
    """It can be rolled back right now: to an earlier revision that can still run, by whoever would do it."""
    assert [*_held_up(way_back), *_unrunnable(way_back)] == []


def _held_up(way_back: WayBack) -> list[Offender]:
    rows = [
        (way_back.paused, "its rollout is paused", "nothing can be undone before it is resumed"),
        (not way_back.allowed, f"{way_back.who} may not undo it", "no right to patch deployments.apps"),
        (way_back.earlier is None, "there is no earlier revision to go back to", "no ReplicaSet of another template"),
    ]
    return [Offender(what, way_back.of, found) for wrong, what, found in rows if wrong]


def _unrunnable(way_back: WayBack) -> list[Offender]:
    earlier = way_back.earlier
    if earlier is None:
        return []
    where = f"{way_back.of}, revision {earlier.number}"
    return [
        *([Offender("the earlier revision has no image to run", where)] if _imageless(earlier) else []),
        *(
            Offender("the earlier revision lacks what it needs", f"{where}, {one.where}", f"{one} is not there")
            for one in way_back.missing
        ),
    ]


def _imageless(revision: Revision) -> bool:
    return not revision.images or not all(image.strip() for image in revision.images)
