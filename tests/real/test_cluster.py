"""The cluster client and its looks against a real API server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import Cluster
from fixtures.observation import OBSERVATIONS, CannotObserve
from fixtures.observations import workload as looks
from fixtures.settings import Environment, Kubernetes
from fixtures.workload import Pods, Probe, ReplicaSets, Workload, digest
from tests.real.kubernetes import ControlPlane, PartMissing, binaries

pytestmark = pytest.mark.real

IMAGE = "registry.example/chat:1.4.2@sha256:" + "5f" * 32
NEWER = "registry.example/chat:1.4.3@sha256:" + "60" * 32
DEPLOYMENT = "/apis/apps/v1/namespaces/chat/deployments/chat"
BODIES = {name: OBSERVATIONS[name].body for name in ("workload", "replica_sets", "pods", "running_images")}
Make = Callable[..., tuple[Cluster, Environment]]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with two namespaces and nothing in them: the tests come in any order."""
    try:
        binaries()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        plane.apply(
            [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("chat", "rights")]
        )
        yield plane


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[Make]:
    """Makes clients of the plane's users, and closes them."""
    made: list[Cluster] = []

    def make(user: str = "admin", namespace: str = "chat", page: int = 500) -> tuple[Cluster, Environment]:
        file = plane.kubeconfig(user, namespace=namespace)
        environment = Environment(
            name="x", tier="production", kubernetes=Kubernetes(kubeconfig=file, deployment="chat")
        )
        made.append(Cluster(environment, page=page))
        return made[-1], environment

    yield make
    for cluster in made:
        cluster.close()


def deployed(image: str, namespace: str = "chat") -> dict[str, Any]:
    labels = {"app": "chat"}
    get = {"path": "/ready", "port": "http"}
    container = {
        "name": "chat",
        "image": image,
        "ports": [{"name": "http", "containerPort": 3000}],
        "readinessProbe": {"httpGet": get},
        "livenessProbe": {"exec": {"command": ["curl", "-f", "http://localhost:3000/health"]}},
    }
    expressions = [
        {"key": "app", "operator": "In", "values": ["chat", "other"]},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels, "matchExpressions": expressions},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def seen(made: tuple[Cluster, Environment]) -> tuple[Workload, ReplicaSets, Pods]:
    """The Deployment, its revisions and its pods."""
    cluster, environment = made
    workload = BODIES["workload"](cluster, environment)
    replica_sets = BODIES["replica_sets"](cluster, workload)
    return workload, replica_sets, BODIES["pods"](cluster, workload, replica_sets)


def cannot(look: Callable[[], Any]) -> CannotObserve:
    with pytest.raises(CannotObserve) as caught:
        look()
    return caught.value


def test_a_deployment_is_followed_through_a_rollout(plane: ControlPlane, client: Make) -> None:
    """What the controllers write is what the looks read, page by page, and the newest revision comes first."""
    assert looks.__doc__
    cluster, environment = client(page=1)
    error = cannot(lambda: BODIES["workload"](cluster, environment))
    assert (error.reason, "there is no Deployment chat in namespace chat" in error.message) == ("no_data", True)
    for image in (IMAGE, NEWER):
        plane.apply([deployed(image)])
        plane.wait_for_rollout("chat", "chat")
    workload, replica_sets, pods = seen((cluster, environment))
    assert (workload.replicas, workload.updated, workload.available, workload.total) == (2, 2, 2, 2)
    assert workload.generation == workload.observed_generation == 2
    assert workload.containers[0].readiness_probe == Probe("http", "/ready", "http")
    assert workload.containers[0].liveness_probe == Probe("exec", "/health")
    assert [(row.rollout, row.replicas, row.images) for row in replica_sets.items] == [
        ("2", 2, (NEWER,)),
        ("1", 0, (IMAGE,)),
    ]
    assert [pod.replica_set for pod in pods.items] == [replica_sets.items[0].name] * 2
    assert {image.digest for image in BODIES["running_images"](pods).items} == {digest(NEWER)}


def test_a_missing_right_is_told_and_the_remedy_gives_it(plane: ControlPlane, client: Make) -> None:
    """The commands of the remedy are run as they stand, as an administrator."""
    import subprocess

    plane.apply([deployed(IMAGE, "rights")])
    made = client("reader", "rights")
    error = cannot(lambda: BODIES["workload"](*made))
    assert error.reason == "denied"
    assert "reader may not get deployments.apps in namespace rights (403)" in error.message
    commands = error.remedy.partition(": ")[2]
    admin = {**os.environ, "KUBECONFIG": str(plane.kubeconfig("admin"))}
    done = subprocess.run(commands, shell=True, env=admin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    right = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
    plane.wait_for_rights("rights", [right], user="reader")
    assert BODIES["workload"](*made).name == "chat"
    assert "may not list replicasets.apps" in cannot(lambda: seen(made)).message


def test_what_does_not_exist_is_told_from_what_is_not_served(client: Make) -> None:
    """A missing object is an answer, a resource that the server does not know is none."""
    cluster, _ = client()
    assert cluster.read(f"{DEPLOYMENT}-2", resource="deployments.apps") is None
    assert cluster.read("/api/v1/namespaces/nowhere", resource="namespaces") is None
    assert cluster.list("/api/v1/namespaces/nowhere/pods", resource="pods") == []
    for path in ("/apis/apps/v9/namespaces/chat/deployments/x", "/apis/nowhere.example/v1/namespaces/chat/things/x"):
        error = cannot(lambda: cluster.read(path, resource="things"))  # noqa: B023 - called in this turn of the loop
        assert (error.reason, "does not serve things" in error.message) == ("no_data", True)
    error = cannot(lambda: cluster.list("/api/v1/namespaces/chat/pods", resource="pods", selector="a=b=c"))
    assert (error.reason, "answered 400: " in error.message) == ("malformed", True)


def test_credentials_and_certificates_that_do_not_hold_are_told(
    plane: ControlPlane, client: Make, tmp_path: Path
) -> None:
    """A token that the server does not know, and a server that the kubeconfig's authority does not know."""
    document = json.loads(plane.kubeconfig("reader").read_text())
    file = tmp_path / "kubeconfig"

    def asked() -> CannotObserve:
        file.write_text(json.dumps(document))
        cluster = Cluster(Environment(name="x", tier="production", kubernetes=Kubernetes(kubeconfig=file)))
        error = cannot(lambda: cluster.read(DEPLOYMENT, resource="deployments.apps"))
        cluster.close()
        return error

    document["users"][0]["user"] = {"token": "nonsense"}
    assert asked().reason == "unauthenticated"
    document["clusters"][0]["cluster"] = {"server": plane.server}
    error = asked()
    assert (error.reason, "TLS: " in error.message) == ("unreachable", True)
