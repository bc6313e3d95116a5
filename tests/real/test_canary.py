"""Canaries of each kind against a real API server: its Deployments, and the objects of Argo Rollouts and Flagger.

The two controllers do not run here: their objects are real custom resources, whose status the tests write. What they
own is run by Kubernetes' own controllers.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from fixtures.bundle.logs import streams
from fixtures.bundle.workloads import workloads
from fixtures.canary.pods import CanaryPods, canary_pods
from fixtures.canary.target import Canary, target
from fixtures.cluster import Cluster
from fixtures.observation import CannotObserve
from fixtures.settings import Environment
from tests.real.kubernetes import ApiError, ControlPlane, PartMissing, binaries

pytestmark = pytest.mark.real

IMAGE, NEXT = (
    f"registry.example/chat:{tag}@sha256:{digest * 32}" for tag, digest in (("1.4.2", "5f"), ("1.5.0", "c3"))
)
KINDS = {("argoproj.io", "v1alpha1"): ("Rollout", "rollouts"), ("flagger.app", "v1beta1"): ("Canary", "canaries")}
Look = Callable[..., tuple[Canary, CanaryPods]]


def definition(group: str, version: str, kind: str, plural: str) -> dict[str, Any]:
    """A custom resource with a status of its own, and any content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    row = {"name": version, "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [row],
        },
    }


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that serves the objects of both controllers."""
    try:
        binaries()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        plane.apply([definition(*key, *names) for key, names in KINDS.items()])
        for (group, version), (_, plural) in KINDS.items():
            eventually(lambda path=f"/apis/{group}/{version}/{plural}": plane.admin.get(path))  # type: ignore[misc] # the loop's own
        yield plane


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    """One of its own for each test: they come in any order."""
    name = f"t{uuid.uuid4().hex[:8]}"
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    eventually(lambda: plane.admin.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    return name


@pytest.fixture
def look(plane: ControlPlane, namespace: str) -> Iterator[Look]:
    """What is judged at a step, and its pods; as one of the plane's users."""
    with ExitStack() as made:

        def seen(step: int, user: str = "admin", **rollout: Any) -> tuple[Canary, CanaryPods]:
            cluster, environment = made.enter_context(reading(plane, namespace, user, rollout))
            found = target(cluster, environment, step)
            return found, canary_pods(cluster, found.judged, found.stable)

        yield seen


@contextmanager
def reading(
    plane: ControlPlane, namespace: str, user: str, rollout: dict[str, Any]
) -> Iterator[tuple[Cluster, Environment]]:
    """The cluster as one of the plane's users reads it, and the settings that name the canary."""
    kubernetes = {"kubeconfig": plane.kubeconfig(user, namespace=namespace), "deployment": "chat"}
    values = {"name": "x", "tier": "production", "kubernetes": kubernetes, "rollout": rollout}
    environment = Environment.model_validate(values)
    with closing(Cluster(environment)) as cluster:
        yield cluster, environment


def packed(plane: ControlPlane, namespace: str, objects: list[str], logs: int, **rollout: Any) -> None:
    """An incident pack asks about these objects, and takes so many logs. Raises `ApiError` as long as it does not."""
    with reading(plane, namespace, "admin", rollout) as (cluster, environment):
        had = workloads(cluster, environment)
        found = {stream for row in had.rows for stream in streams(cluster, row)}
    if ([row.document for row in had.rows], len(found), had.unasked) != (objects, logs, []):
        raise ApiError(0, f"{had}: {found}")


def eventually(ask: Callable[[], Any]) -> Any:
    """What it gives once it is there; the last refusal after 20 seconds."""
    end = time.monotonic() + 20
    while True:
        try:
            return ask()
        except (ApiError, CannotObserve):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def workload(name: str, image: str, replicas: int, **labels: str) -> dict[str, Any]:
    """The spec that Deployments, ReplicaSets and Rollouts share."""
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "chat", "image": image}]}}
    return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}


def deployment(namespace: str, name: str, image: str, replicas: int, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": workload(name, image, replicas, app="chat", **labels),
    }


def shipped(plane: ControlPlane, *manifests: dict[str, Any]) -> None:
    """Applied, and rolled out."""
    for manifest in plane.apply(manifests):
        plane.wait_for_rollout(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def cannot(ask: Callable[[], Any]) -> CannotObserve:
    with pytest.raises(CannotObserve) as caught:
        ask()
    return caught.value


def test_two_deployments_are_told_apart_by_what_owns_their_pods(
    plane: ControlPlane, namespace: str, look: Look
) -> None:
    """Each with its own pods only, and the image by its digest."""
    pair = [
        deployment(namespace, "chat", IMAGE, 2, track="stable"),
        deployment(namespace, "next", NEXT, 1, track="canary"),
    ]
    shipped(plane, *pair)
    found, pods = look(10, canary="next", canary_labels={"pod_hash": "{hash}"})
    assert (found.judged.image, found.stable is not None and found.stable.image) == (NEXT, IMAGE)
    assert (len(pods.items), len(pods.stable), pods.unwell, pods.restarted) == (1, 2, (), ())
    assert pods.images("chat") == {pods.items[0].name: NEXT.partition("@")[2]}
    assert pods.items[0].name.startswith(f"next-{found.judged.series['pod_hash']}-")
    assert pods.began
    assert (found.judged.lacks, [row for row in pods.unready if row.lasting]) == ((), [])


def test_a_template_that_is_not_rolled_out_is_told(plane: ControlPlane, namespace: str, look: Look) -> None:
    """As the real controller counts: a paused Deployment goes on with the pods of the template before."""
    canary = deployment(namespace, "next", NEXT, 1, track="canary")
    shipped(plane, deployment(namespace, "chat", IMAGE, 1, track="stable"), canary)
    paused = {"spec": {**canary["spec"], "paused": True}}
    paused["spec"]["template"]["spec"]["containers"][0]["image"] = NEXT.replace("c3", "d4")
    plane.admin.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/next", paused)

    def told() -> set[str]:
        found, pods = look(10, canary="next")
        if "its newest generation has not been acted on" in (whats := {lack.what for lack in found.judged.lacks}):
            raise ApiError(0, "the controller has not seen it yet")
        assert set(pods.images("chat").values()) == {NEXT.partition("@")[2]}
        return whats

    assert eventually(told) >= {"its rollout is paused", "pods of the new revision are missing"}


def test_a_deployment_that_was_promoted_is_judged_by_itself(plane: ControlPlane, namespace: str, look: Look) -> None:
    """Through a real rollout: what is left of the old image is no pod of it any more."""
    shipped(plane, deployment(namespace, "chat", IMAGE, 2), deployment(namespace, "next", NEXT, 1, track="canary"))
    shipped(plane, deployment(namespace, "chat", NEXT, 2))
    found, pods = look(100, canary="next")
    assert (found.judged.image, found.stable, found.promoted) == (NEXT, None, NEXT)
    assert set(pods.images("chat").values()) == {NEXT.partition("@")[2]}


def test_a_pod_that_finds_no_node_is_pending(plane: ControlPlane, namespace: str, look: Look) -> None:
    """As the real scheduler says it."""
    lost = deployment(namespace, "next", NEXT, 1, track="canary")
    lost["spec"]["template"]["spec"]["nodeSelector"] = {"nowhere": "true"}
    shipped(plane, deployment(namespace, "chat", IMAGE, 1, track="stable"))
    plane.apply([lost])

    def scheduled() -> tuple[str, ...]:
        found = tuple(f"{row.phase} {row.why}" for row in look(10, canary="next")[1].unwell)
        if "Unschedulable" not in " ".join(found):
            raise ApiError(0, "the scheduler has not seen it yet")
        return found

    assert eventually(scheduled) == ("Pending Unschedulable",)


def rollout(plane: ControlPlane, namespace: str) -> dict[str, Any]:
    """An Argo Rollout with two versions, each a ReplicaSet that it owns; the newest is the canary."""
    custom = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    metadata = {"name": "chat", "namespace": namespace}
    spec = workload("chat", NEXT, 2, app="chat") | {"strategy": {"canary": {"steps": [{"setWeight": 10}]}}}
    (made,) = plane.apply([{**custom, "metadata": metadata, "spec": spec}])
    owner = {**custom, "name": "chat", "uid": made["metadata"]["uid"], "controller": True}
    for number, (pods, image) in enumerate((("aaaa", IMAGE), ("bbbb", NEXT)), 1):
        labels = {"app": "chat", "rollouts-pod-template-hash": pods}
        plane.apply(
            [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "metadata": {
                        "name": f"chat-{pods}",
                        "namespace": namespace,
                        "labels": labels,
                        "annotations": {"rollout.argoproj.io/revision": str(number)},
                        "ownerReferences": [owner],
                    },
                    "spec": workload("chat", image, number, **labels),
                }
            ]
        )
    return made


def test_a_rollout_of_argo_is_read(plane: ControlPlane, namespace: str, look: Look) -> None:
    """Which of its ReplicaSets is the canary, its weight, and that it was aborted."""
    made = rollout(plane, namespace)
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/chat"
    assert cannot(lambda: look(10, kind="argo")).reason == "malformed"
    status = {"currentPodHash": "bbbb", "stableRS": "aaaa", "observedGeneration": str(made["metadata"]["generation"])}
    weights = {"canary": {"podTemplateHash": "bbbb", "weight": 10}, "stable": {"podTemplateHash": "aaaa", "weight": 90}}
    plane.admin.patch(f"{path}/status", {"status": {**status, "canary": {"weights": weights}}})

    def running() -> tuple[Canary, CanaryPods]:
        found, pods = look(10, kind="argo")
        if (len(pods.items), len(pods.stable)) != (2, 1):
            raise ApiError(0, "its pods are not there yet")
        return found, pods

    found, pods = eventually(running)
    assert (found.judged.image, found.stable.image, found.weight) == (NEXT, IMAGE, 10.0)
    assert {pod.replica_set for pod in pods.items} == {"chat-bbbb"}
    eventually(lambda: packed(plane, namespace, [f"Rollout {namespace}/chat"], 3, kind="argo"))
    plane.admin.patch(f"{path}/status", {"status": {"abort": True}})
    assert "was aborted" in cannot(lambda: look(10, kind="argo")).message
    plane.admin.patch(f"{path}/status", {"status": {"abort": None, "stableRS": "bbbb"}})
    assert look(100, kind="argo")[0].judged.image == NEXT
    plane.admin.patch(path, {"spec": {"replicas": 3}})
    assert "has not acted on its newest generation" in cannot(lambda: look(100, kind="argo")).message


def test_a_canary_of_flagger_is_read(plane: ControlPlane, namespace: str, look: Look) -> None:
    """The target beside its primary while it progresses; then the primary alone."""
    shipped(
        plane,
        deployment(namespace, "chat", NEXT, 1),
        deployment(namespace, "chat-primary", IMAGE, 2, role="primary"),
    )
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    custom = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}
    metadata = {"name": "chat", "namespace": namespace}
    plane.apply([{**custom, "metadata": metadata, "spec": {"targetRef": reference}}])
    path = f"/apis/flagger.app/v1beta1/namespaces/{namespace}/canaries/chat/status"
    assert "no canary is under way" in cannot(lambda: look(10, kind="flagger")).message
    plane.admin.patch(path, {"status": {"phase": "Progressing", "canaryWeight": 10}})
    found, pods = look(10, kind="flagger")
    assert (found.judged.image, found.stable is not None and found.stable.image) == (NEXT, IMAGE)
    assert (found.weight, len(pods.items), len(pods.stable)) == (10.0, 1, 2)
    both = [f"Deployment {namespace}/{name}" for name in ("chat", "chat-primary")]
    eventually(lambda: packed(plane, namespace, both, 3, kind="flagger"))
    plane.admin.patch(path, {"status": {"phase": "Failed"}})
    assert "gave the canary up" in cannot(lambda: look(10, kind="flagger")).message
    plane.admin.patch(path, {"status": {"phase": "Succeeded"}})
    found, _ = look(100, kind="flagger")
    assert (found.judged.image, found.promoted) == (IMAGE, NEXT)


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("deployment", "get deployments.apps"),
        ("argo", "get rollouts.argoproj.io"),
        ("flagger", "get canaries.flagger.app"),
    ],
)
def test_a_right_that_is_missing_is_named(namespace: str, look: Look, kind: str, right: str) -> None:
    """With the resource, as a role would name it."""
    error = cannot(lambda: look(10, "reader", kind=kind, canary="next"))
    assert (error.reason, f"may not {right} in namespace {namespace}" in error.message) == ("denied", True)
