"""The logs of pods through a real API server: what its node gives is what the look reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.cluster import Cluster
from fixtures.logs.digest import digested
from fixtures.observation import OBSERVATIONS, CannotObserve
from fixtures.observations import logs as looks
from fixtures.sandbox.specimens.postdeploy_logs import PYTHON
from fixtures.sandbox.world import World, started
from fixtures.secrets import Secrets
from fixtures.settings import Environment, Kubernetes, Provider, Service
from plugins.redaction import Redactor
from tests.real.kubernetes import ControlPlane, PartMissing, PodLog, binaries
from tests.real.test_cluster import IMAGE, deployed, seen

pytestmark = pytest.mark.real

KEY = "k7Qm2ZxR9tLw4VbN8sYc1HdJ5gFp3AeU"
LINES = [
    ("2020-01-01T00:00:00.000000001Z", '{"level":"error","message":"long before the deployment"}'),
    *[("2037-11-22T13:53:04.040454Z", '{"level":"info","message":"answered"}')] * 500,
    ("2037-11-22T13:53:05.040454Z", '{"level":"error","message":"no answer after 1200 ms","status":503}'),
    *[("2037-11-22T13:53:06.040454Z", line) for line in PYTHON],
    ("2037-11-22T13:53:07.040454Z", f"using {KEY}"),
]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with the service deployed, and a log for each of its pods."""
    try:
        binaries()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("kubernetes")
    (folder / "pod.log").write_text("".join(f"{at} stdout F {line}\n" for at, line in LINES))
    with ControlPlane(folder / "plane", logs=[PodLog(folder / "pod.log", namespaces=["chat"])]) as plane:
        plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chat"}}, deployed(IMAGE)])
        plane.wait_for_rollout("chat", "chat")
        yield plane


@pytest.fixture
def world(plane: ControlPlane, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the look stands on: the real cluster, a key in a file, and a service that answers messages."""
    (tmp_path / "key.env").write_text(f"MISTRAL_API_KEY={KEY}\n")
    with started(World(), tmp_path / "world") as running:
        environment = Environment(
            name="x",
            tier="production",
            config=(str(tmp_path / "x.toml"),),
            kubernetes=Kubernetes(kubeconfig=plane.kubeconfig("admin", namespace="chat"), deployment="chat"),
            service=Service(url=running.settings["service"]["url"]),
            provider=Provider(api_key="dotenv://key.env#MISTRAL_API_KEY"),
        )
        cluster = Cluster(environment)
        yield {"cluster": cluster, "environment": environment, "secrets": Secrets(environment, cluster, Redactor())}
        cluster.close()


def test_the_look_reads_what_the_pods_have_logged_since_the_deployment(world: dict[str, Any]) -> None:
    """Errors by kind, the key, and nothing from before; each pod for itself."""
    assert looks.__doc__
    workload, replica_sets, pods = seen((world["cluster"], world["environment"]))
    sent = OBSERVATIONS["sent_message"].body(world["environment"])
    body = OBSERVATIONS["service_logs"].body
    found = body(**world, workload=workload, replica_sets=replica_sets, pods=pods, sent_message=sent)
    assert (len(found.digests), found.unread, found.unsought) == (2, (), ())
    for digest in found.digests:
        assert [(row.text, row.count) for row in digest.errors] == [
            ("no answer after <n> ms (status=503)", 1),
            ("KeyError: <text>", 1),
        ]
        assert [(hit.kind, hit.what) for hit in digest.hits] == [("key", "the service's key")]
        assert digest.errors[0].first == "2037-11-22T13:53:05.040454000Z"
    assert found.since == replica_sets.items[0].created != ""


def test_an_error_of_the_real_api_server_is_told(plane: ControlPlane, world: dict[str, Any]) -> None:
    """No right to read, no such container, nothing before a restart that was none."""
    _, _, pods = seen((world["cluster"], world["environment"]))
    name = pods.items[0].name
    reader = Cluster(
        Environment(name="x", tier="production", kubernetes=Kubernetes(kubeconfig=plane.kubeconfig("reader")))
    )
    questions = [
        (reader, "chat", {}, "denied", "reader may not get pods/log in namespace chat (403)"),
        (world["cluster"], "proxy", {}, "no_data", "container proxy is not valid for pod"),
        (world["cluster"], "chat", {"since": "yesterday"}, "no_data", "there is no such log (400)"),
    ]
    for cluster, container, options, reason, message in questions:
        with pytest.raises(CannotObserve) as caught:
            digested(cluster.log("chat", name, container, **options))
        assert (caught.value.reason, message in caught.value.message) == (reason, True), caught.value.message
    reader.close()


def test_the_end_of_a_log_is_enough_where_it_is_asked_for(world: dict[str, Any]) -> None:
    """So many lines, from a time on."""
    _, _, pods = seen((world["cluster"], world["environment"]))
    log = b"".join(world["cluster"].log("chat", pods.items[0].name, "chat", tail=1))
    assert log == f"2037-11-22T13:53:07.040454000Z using {KEY}\n".encode()
    since = b"".join(world["cluster"].log("chat", pods.items[0].name, "chat", since="2037-11-22T13:53:06Z"))
    assert since.count(b"\n") == len(PYTHON) + 1
