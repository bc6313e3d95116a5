"""Whether what was just shipped keeps running."""

from __future__ import annotations

from fixtures.observation import CannotObserve
from fixtures.workload import Pods, ReplicaSets
from plugins.catalogue import Offender, check


@check(
    "POS-010",
    severity="advisory",
    remedy="""
    Read what the container said last, and why it ended; OOMKilled asks for more memory or less use of it:

        kubectl logs POD -c CONTAINER --previous -n NAMESPACE
        kubectl describe pod POD -n NAMESPACE
    """,
)
def test_no_container_has_restarted(pods: Pods, replica_sets: ReplicaSets) -> None:
    """No container of the new revision has ended and been started again since it was deployed."""
    assert _restarted(pods, replica_sets) == []


def _restarted(pods: Pods, replica_sets: ReplicaSets) -> list[Offender]:
    containers = [(pod, container) for pod in pods.newest(replica_sets) for container in pod.containers]
    offenders = [
        Offender(
            f"container {container.name} has restarted",
            f"pod {pod.name}",
            f"{container.restarts} times, the last time: {container.ended or 'no reason is kept'}",
            "0",
        )
        for pod, container in containers
        if container.restarts
    ]
    unknown = [f"pod {pod.name}: container {container.name}" for pod, container in containers if not container.told]
    if unknown and not offenders:
        raise CannotObserve(
            "no_data",
            f"{unknown[0]}: its node has not told of it yet",
            remedy="Wait until it runs, or see why it does not: kubectl get pods,events --namespace NAMESPACE",
        )
    return offenders
