"""What was just shipped, seen through a real API server and a real Prometheus."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

import pytest

import fixtures.observations.alerts
import fixtures.observations.metrics
import fixtures.observations.revisions
import fixtures.observations.workload  # noqa: F401 - declares the looks
from checks.postdeploy.alerts import test_no_alert_is_about_to_fire as pending
from checks.postdeploy.alerts import test_no_urgent_alert_fires as firing
from checks.postdeploy.metrics import test_the_metrics_of_the_new_pods_arrive as metrics
from checks.postdeploy.restarts import test_no_container_has_restarted as restarts
from checks.postdeploy.undo import test_the_deployment_can_be_undone as undo
from fixtures.cluster import Cluster
from fixtures.observation import OBSERVATIONS, CannotObserve
from fixtures.prometheus import Prometheus
from fixtures.settings import Environment, Kubernetes, Rollback
from fixtures.subject import spoken
from tests.real.kubernetes import ControlPlane, binaries
from tests.real.prometheus import PartMissing, PrometheusServer, program

pytestmark = pytest.mark.real

PODS = "/api/v1/namespaces/{}/pods"
RULES = """\
groups:
  - name: chat
    rules:
      - {alert: Ours, expr: 'max(mistral_up{job="chat"}) == 0', labels: {severity: critical}}
      - {alert: Fires, expr: 'mistral_up{job="chat"} == %s', labels: {severity: %s}, annotations: {summary: "It is up"}}
      - {alert: Waits, expr: 'sum(mistral_up) == %s', for: 1h, labels: {severity: warning}}
      - {alert: Theirs, expr: 'up{job="search"} == 0', labels: {severity: critical}}
"""
BROKEN = '      - {alert: Twice, expr: \'label_replace(mistral_kinds{job="chat"}, "kind", "", "", "") > 0\'}\n'
SERVED = b'mistral_up 1\nmistral_kinds{kind="a"} 1\nmistral_kinds{kind="b"} 1\n'


def present(part: Callable[[], Any]) -> None:
    try:
        part()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    present(binaries)
    with ControlPlane(tmp_path_factory.mktemp("kubernetes"), audit=True) as plane:
        yield plane


@pytest.fixture
def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, which the reader may read."""
    own = crc32(request.node.name.encode())
    name = f"{request.node.name.replace('_', '-')[:40].strip('-')}-{own}"
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    rules = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "configmaps", "secrets"], "verbs": ["get", "list"]},
    ]
    bound(plane, name, "reading", rules)
    return name


def bound(
    plane: ControlPlane, namespace: str, name: str, rules: list[dict[str, Any]], subject: dict[str, str] | None = None
) -> None:
    """Give the reader these rights, or somebody else, and wait until the API server has taken note."""
    metadata = {"name": name, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    role = {"apiGroup": group, "kind": "Role", "name": name}
    subject = subject or {"kind": "User", "name": "reader"}
    subjects = [subject if "namespace" in subject else {"apiGroup": group, **subject}]
    about = {"apiVersion": f"{group}/v1", "metadata": metadata}
    plane.apply([{**about, "kind": "Role", "rules": rules}])
    plane.apply([{**about, "kind": "RoleBinding", "roleRef": role, "subjects": subjects}])
    user, groups = subject["name"], [subject["name"]] if subject["kind"] == "Group" else []
    if subject["kind"] == "ServiceAccount":
        user = f"system:serviceaccount:{subject['namespace']}:{user}"
    plane.wait_for_rights(namespace, rules, user=user, groups=groups)


def shipped(plane: ControlPlane, namespace: str, version: str, **spec: Any) -> None:
    """Roll out a version of the Deployment that takes all of a Secret of its own."""
    container = {"name": "chat", "image": f"registry.example/chat:{version}"}
    source = {"secretRef": {"name": f"chat-{version}"}}
    template = {"metadata": {"labels": {"app": "chat"}}, "spec": {"containers": [{**container, "envFrom": [source]}]}}
    base = {"replicas": 1, "selector": {"matchLabels": {"app": "chat"}}, "template": template}
    metadata = {"name": "chat", "namespace": namespace}
    plane.apply([{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {**base, **spec}}])
    plane.wait_for_rollout(namespace, "chat")


def kept(plane: ControlPlane, namespace: str, version: str) -> None:
    """The Secret of a version."""
    metadata = {"name": f"chat-{version}", "namespace": namespace}
    data = {"KEY": base64.b64encode(b"x").decode()}
    plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}])


def looked(plane: ControlPlane, namespace: str, *names: str, user: str = "reader", who: str | None = None) -> list[Any]:
    """What these looks see, in a chain: each by name, with those that it stands on."""
    file = plane.kubeconfig(user, namespace=namespace)
    settings = Kubernetes(kubeconfig=file, namespace=namespace, deployment="chat")
    environment = Environment(name="x", tier="production", kubernetes=settings, rollback=Rollback(who=who))
    found: dict[str, Any] = {"environment": environment, "cluster": Cluster(environment)}

    def seen(name: str) -> Any:
        if name not in found:
            look = OBSERVATIONS[name]
            found[name] = look.body(**{wanted: seen(wanted) for wanted in look.inputs})
        return found[name]

    try:
        return [seen(name) for name in names]
    finally:
        found["cluster"].close()


def failed(check: Callable[..., None], *values: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check(*values)
    return str(caught.value)


def test_restarts_are_those_that_the_node_tells(plane: ControlPlane, namespace: str) -> None:
    """With the reason for which a container ended, of the newest revision only."""
    shipped(plane, namespace, "1")
    restarts(*looked(plane, namespace, "pods", "replica_sets"))
    (pod,) = plane.admin.get(PODS.format(namespace))["items"]
    status = pod["status"]["containerStatuses"][0]
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-22T10:00:00Z"}
    status |= {"restartCount": 3, "lastState": {"terminated": ended}}
    path = f"{PODS.format(namespace)}/{pod['metadata']['name']}/status"
    plane.admin.patch(path, {"status": {"containerStatuses": [status]}})
    said = failed(restarts, *looked(plane, namespace, "pods", "replica_sets"))
    assert "3 times, the last time: OOMKilled, exit code 137" in said


def test_the_way_back_is_the_revision_that_an_undo_would_bring(plane: ControlPlane, namespace: str) -> None:
    """Through two versions, a restart and a pause; its Secret must be there, and the right to patch."""
    kept(plane, namespace, "2")
    shipped(plane, namespace, "1")
    assert "there is no earlier revision" in failed(undo, *looked(plane, namespace, "way_back", user="admin"))
    shipped(plane, namespace, "2")
    (back,) = looked(plane, namespace, "way_back", user="admin")
    assert (back.earlier.number, back.earlier.images) == (1, ("registry.example/chat:1",))
    assert "the Secret chat-1 is not there" in failed(undo, back)
    kept(plane, namespace, "1")
    undo(*looked(plane, namespace, "way_back", user="admin"))
    again = {"spec": {"template": {"metadata": {"annotations": {"restartedAt": "now"}}}}}
    plane.admin.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/chat", again)
    plane.wait_for_rollout(namespace, "chat")
    (back,) = looked(plane, namespace, "way_back", user="admin")
    assert back.earlier.number == 1
    plane.admin.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/chat", {"spec": {"paused": True}})
    assert "its rollout is paused" in failed(undo, *looked(plane, namespace, "way_back", user="admin"))


def test_the_right_to_undo_is_the_server_s_own_word(plane: ControlPlane, namespace: str) -> None:
    """Read rights are not enough; a role for this one Deployment is. Nothing is changed by asking."""
    for version in ("1", "2"):
        kept(plane, namespace, version)
        shipped(plane, namespace, version)
    assert "no right to patch deployments.apps" in failed(undo, *looked(plane, namespace, "way_back"))
    one = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}
    bound(plane, namespace, "another", [{**one, "resourceNames": ["search"]}])
    assert "no right to patch deployments.apps" in failed(undo, *looked(plane, namespace, "way_back"))
    bound(plane, namespace, "undoing", [{**one, "resourceNames": ["chat"]}])
    undo(*looked(plane, namespace, "way_back"))
    events = plane.audited()
    ours = [event for event in events if event["user"]["username"] == "reader"]
    ours = [event for event in ours if event["objectRef"].get("namespace", namespace) == namespace]
    asked = {(event["verb"], event["objectRef"]["resource"]) for event in ours if event["verb"] not in ("get", "list")}
    assert asked == {("create", "selfsubjectaccessreviews")}


@pytest.mark.parametrize(
    ("who", "subject"),
    [
        ("group:on-call", {"kind": "Group", "name": "on-call"}),
        ("user:ada@example.com", {"kind": "User", "name": "ada@example.com"}),
        ("serviceaccount:ci:deployer", {"kind": "ServiceAccount", "name": "deployer", "namespace": "ci"}),
        ("serviceaccount:ci:deployer", {"kind": "Group", "name": "system:serviceaccounts:ci"}),
    ],
)
def test_the_right_of_somebody_else_is_asked_for_without_having_it(
    plane: ControlPlane, namespace: str, who: str, subject: dict[str, str]
) -> None:
    """Whoever looks needs the right to ask, and no right to undo anything."""
    for version in ("1", "2"):
        kept(plane, namespace, version)
        shipped(plane, namespace, version)
    with pytest.raises(CannotObserve, match="may not create localsubjectaccessreviews") as caught:
        looked(plane, namespace, "way_back", who=who)
    assert caught.value.reason == "denied"
    assert f"--resource=localsubjectaccessreviews.authorization.k8s.io -n {namespace}" in caught.value.remedy
    reviews = {"apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"]}
    bound(plane, namespace, "asking", [reviews])
    assert f"{spoken(who)} may not undo it" in failed(undo, *looked(plane, namespace, "way_back", who=who))
    patches = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"], "resourceNames": ["chat"]}
    bound(plane, namespace, "undoing", [patches], subject)
    undo(*looked(plane, namespace, "way_back", who=who))
    assert "who runs this may not undo it" in failed(undo, *looked(plane, namespace, "way_back"))


class Page(BaseHTTPRequestHandler):
    """A pod that exposes its metrics."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(SERVED)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def server(address: str, tmp_path: Path) -> Iterator[PrometheusServer]:
    present(program)
    targets = {"chat": [address], "search": ["127.0.0.1:1"]}
    with PrometheusServer(tmp_path, targets, RULES % (0, "critical", 0), interval=0.2) as server:
        server.wait_for('ALERTS{alertname="Theirs"}')
        yield server


def watched(name: str, server: PrometheusServer) -> Any:
    """What a look sees of this Prometheus."""
    severities = {"critical": "P1", "warning": "P2"}
    settings = {"url": server.url, "target": {"job": "chat"}, "severities": severities, "signals": {"up": "mistral_up"}}
    environment = Environment.model_validate({"name": "x", "tier": "production", "prometheus": settings})
    return OBSERVATIONS[name].body(Prometheus(environment, None), environment)  # type: ignore[arg-type] # no secret is asked for


def test_alerts_are_those_that_prometheus_raises(server: PrometheusServer) -> None:
    """Firing, pending and somebody else's; a severity that nobody knows; a rule that cannot be evaluated."""
    firing(watched("service_alerts", server))
    pending(watched("service_alerts", server))
    server.reload(RULES % (1, "critical", 1))
    server.wait_for('ALERTS{alertname="Fires",alertstate="firing"} and on() ALERTS{alertname="Waits"}')
    seen = watched("service_alerts", server)
    assert sorted((item.name, item.state) for item in seen.items) == [("Fires", "firing"), ("Waits", "pending")]
    assert "Fires is firing (P1)" in failed(firing, seen)
    assert "Waits is pending (P2)" in failed(pending, seen)
    server.reload(RULES % (1, "sev1", 0))
    server.wait_for('ALERTS{alertname="Fires",severity="sev1"}')
    with pytest.raises(CannotObserve, match="Fires fires with severity='sev1'"):
        firing(watched("service_alerts", server))
    server.reload(RULES % (0, "critical", 0) + BROKEN)
    with pytest.raises(CannotObserve, match="the rule Twice cannot be evaluated"):
        firing(watched("service_alerts", server))


def test_a_new_pod_s_metrics_arrive_or_not(
    server: PrometheusServer, address: str, plane: ControlPlane, namespace: str
) -> None:
    """A target is a pod's by the label that the cluster's discovery gives it."""
    shipped(plane, namespace, "1")
    pods, replica_sets = looked(plane, namespace, "pods", "replica_sets")
    name = pods.items[0].name
    assert "Prometheus does not scrape it" in failed(metrics, watched("scrape_targets", server), pods, replica_sets)
    server.aim({"chat": [(address, {"pod": name})]})
    server.wait_for(f'up{{instance="{address}",pod="{name}"}}')
    metrics(watched("scrape_targets", server), pods, replica_sets)
    server.aim({"chat": [(address, {}), ("127.0.0.1:1", {"pod": name})]})
    server.wait_for(f'up{{instance="127.0.0.1:1",pod="{name}"}}')
    said = failed(metrics, watched("scrape_targets", server), pods, replica_sets)
    assert "its target is down" in said
