"""Whether what was just shipped can be seen."""

from __future__ import annotations

from fixtures.observation import CannotObserve
from fixtures.observations.metrics import ScrapeTargets, Target
from fixtures.workload import Pod, Pods, ReplicaSets
from plugins.catalogue import Offender, check


@check(
    "POS-012",
    severity="advisory",
    remedy="""
    See how Prometheus finds the pods, and what it says of those that it cannot scrape:

        kubectl get servicemonitors,podmonitors -n NAMESPACE
        curl -sG PROMETHEUS/api/v1/targets --data-urlencode state=active
    """,
)
def test_the_metrics_of_the_new_pods_arrive(
    scrape_targets: ScrapeTargets, pods: Pods, replica_sets: ReplicaSets
) -> None:
    """Prometheus scrapes each pod of the new revision: what it does is seen, and can raise an alert."""
    assert _unseen(scrape_targets, pods, replica_sets) == []


def _unseen(seen: ScrapeTargets, pods: Pods, replica_sets: ReplicaSets) -> list[Offender]:
    newest = pods.newest(replica_sets)
    found = [(pod, [target for target in seen.targets if target.of(pod)]) for pod in newest]
    offenders = [offender for pod, targets in found for offender in _amiss(pod, targets)]
    waiting = [pod.name for pod, targets in found if any(target.health == "unknown" for target in targets)]
    if waiting and not offenders:
        raise CannotObserve(
            "no_data",
            f"Prometheus has not scraped pod {waiting[0]} yet",
            remedy="Wait for two scrape intervals, then run again.",
        )
    return offenders


def _amiss(pod: Pod, targets: list[Target]) -> list[Offender]:
    if not targets:
        return [Offender("Prometheus does not scrape it", f"pod {pod.name}", "no target", "a target that is up")]
    down = [target for target in targets if target.health == "down"]
    return [Offender("its target is down", f"pod {pod.name}, {one.address}", one.error, "up") for one in down]
