"""A service in a cluster is pointed at a fault server, drilled, and put back: real control plane, real service.

Its pods are kwok's; the process that stands for them is the node agent's, which follows the Deployment.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from fixtures.cluster import Cluster
from fixtures.drills.cluster_pointing import redirected
from fixtures.drills.fault_server import LEASE, FaultServer
from fixtures.drills.rollout import Rollout
from fixtures.drills.template_change import ANNOTATION, REVISION
from fixtures.observation import CannotObserve
from fixtures.settings import Environment, load
from tests.environments import ROOT, environments
from tests.real import twins
from tests.real.kubernetes import ControlPlane
from tests.real.node_agent import NodeAgent, needs_mounts
from tests.real.service import SOURCES

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("cluster-pointing")]

KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3"
SLACK = 3.0
"""Seconds that this machine may be late."""
LONGEST = 400.0
"""Seconds for one run, on a machine that is busy."""
RIGHTS = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]
VARIABLE = {"variable": "MISTRAL_BASE_URL"}
CHANGES = 3 + 5
"""One that points, one that puts back, one that gives the fields back; and some that came while a controller wrote."""
NOBODY = "http://127.0.0.1:9"
GROUP = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that notes who asked for what."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with ControlPlane(folder / "plane", users={"driller": []}, audit=True) as plane:
        yield plane


@contextlib.contextmanager
def fault_server(*arguments: str) -> Iterator[str]:
    """The URL of a fault server that somebody else runs, and that outlives the suite."""
    command = [sys.executable, "-m", "fixtures.sandbox.mistral", "--until-eof", "--key", KEY, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http")
        yield url
        server.communicate()


@dataclass(frozen=True, slots=True)
class Deployed:
    """A service in a namespace of its own, and what drills it."""

    plane: ControlPlane
    namespace: str
    folder: Path

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/chat"

    def now(self) -> dict[str, Any]:
        return self.plane.admin.get(self.path)

    def as_before(self, before: dict[str, Any]) -> list[str]:
        """In what the Deployment differs from what it was. The number of its rollout is its controller's to count."""
        now = kept(self.now())
        return [name for name in before if before[name] != now[name]]

    def patches(self) -> list[str]:
        """Who asked for a change of it, by the API server's own log."""
        rows = self.plane.audited()
        changes = [row for row in rows if row["requestURI"].partition("?")[0] == self.path and row["verb"] != "get"]
        return [row["user"]["username"] for row in changes if row["verb"] != "watch"]

    def config(self, url: str, tier: str = "staging", **resilience: Any) -> Path:
        """The settings, in a folder for --config."""
        settings = {
            "tier": tier,
            "service": {"name": "chat", "url": url, "fallback_texts": [twins.FALLBACK_TEXT]},
            "provider": {"model": twins.MODEL, "fallback_model": twins.FALLBACK_MODEL},
            "kubernetes": {
                "kubeconfig": str(self.plane.kubeconfig("driller", namespace=self.namespace)),
                "context": "real",
                "servers": [self.plane.server],
                "namespace": self.namespace,
                "deployment": "chat",
            },
            "repository": {"path": str(ROOT)},
            "resilience": {**twins.BUDGETS, "startup": 40.0, **resilience},
        }
        config = environments(self.folder / "environments", settings, name="staging")
        (config / "staging.toml").rename(config / f"{tier}.toml")
        return config

    def environment(self, url: str, **resilience: Any) -> Environment:
        return load("staging", self.config(url, **resilience), variables={})


def kept(document: dict[str, Any]) -> dict[str, Any]:
    """All of a Deployment that is its owner's."""
    metadata = document["metadata"]
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name != REVISION}
    return {"spec": document["spec"], "annotations": annotations, "labels": metadata.get("labels")}


Deploy = Callable[..., Deployed]


@pytest.fixture
def deploy(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Deploy:
    """Deploys the service's own manifest with one replica; the variables given go over it, None takes one out."""

    def make(**variables: str | None) -> Deployed:
        namespace = f"n{abs(hash(request.node.nodeid)) % 10**9}"
        documents = yaml.safe_load_all((SOURCES / "deploy" / "deployment.yaml").read_text())
        manifest: dict[str, Any] = next(item for item in documents if item and item["kind"] == "Deployment")
        manifest["metadata"]["namespace"] = namespace
        manifest["spec"] |= {"replicas": 1, "minReadySeconds": 0}
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        wanted = {**twins.VARIABLES, "NODE_ENV": "staging", **variables}
        rest = [entry for entry in container["env"] if entry["name"] not in wanted]
        container["env"] = rest + [{"name": name, "value": value} for name, value in wanted.items() if value]
        plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}])
        key = {"api-key": base64.b64encode(KEY.encode()).decode()}
        metadata = {"name": "mistral", "namespace": namespace}
        plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": key}])
        plane.apply([*rights(namespace), manifest])
        plane.wait_for_rollout(namespace, "chat")
        return Deployed(plane, namespace, tmp_path)

    return make


def rights(namespace: str) -> list[dict[str, Any]]:
    metadata = {"name": "driller", "namespace": namespace}
    return [
        {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": metadata, "rules": RIGHTS},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "driller"},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "driller"}],
        },
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the suite came to."""

    code: int
    printed: str
    findings: dict[str, dict[str, Any]]
    redirection: dict[str, Any]

    def ids(self, *statuses: str) -> list[str]:
        return sorted(name for name, finding in self.findings.items() if finding["status"] in statuses)


def command(config: Path, run_dir: Path, *extra: str) -> list[str]:
    given = [f"--config={config}", f"--run-dir={run_dir}", *extra]
    return [sys.executable, "-m", "pytest", "-m", "resilience", *given]


def suite(config: Path, run_dir: Path, *extra: str) -> Run:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command(config, run_dir, *extra),
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    printed = done.stdout + done.stderr
    assert "Traceback" not in printed
    report = json.loads((run_dir / "report.json").read_text())
    seen = json.loads((run_dir / "observations" / "redirection.json").read_text())
    return Run(done.returncode, printed, {row["id"]: row for row in report["findings"]}, seen["value"] or {})


OUT_OF_REACH = ["RES-009", "RES-012"]
"""What takes the log of a copy, or another key for it."""


def drilled_in_full(run: Run, method: str) -> None:
    """The service is a good one: all is told that can be told from outside, and nothing is found."""
    assert run.redirection["method"] == method, run.printed
    assert run.ids("failed") == [], run.printed
    assert set(run.ids("unverified")) <= set(OUT_OF_REACH), run.printed
    assert len(run.ids("passed")) >= 12 - len(OUT_OF_REACH), run.printed


def test_a_service_in_a_cluster_is_drilled_by_a_variable_and_put_back(deploy: Deploy, tmp_path: Path) -> None:
    """From the command line to the verdict, and the Deployment is what it was, to the last word."""
    with fault_server() as real, fault_server() as url:
        there = deploy(MISTRAL_BASE_URL=real)
        before = kept(there.now())
        with NodeAgent(there.plane, there.namespace, "chat", tmp_path / "pod") as agent:
            config = there.config(agent.url, fault_server=url, cluster=VARIABLE)
            run = suite(config, tmp_path / "run", "--env", "staging", "--allow-changes")
            agent.wait_for(3)
            drilled_in_full(run, "cluster variable MISTRAL_BASE_URL")
            assert there.as_before(before) == []
            assert 2 <= there.patches().count("driller") <= CHANGES
            assert "the Deployment is changed meanwhile (MISTRAL_BASE_URL)" in run.printed
            since = FaultServer(real).now()
            answer = httpx.post(f"{agent.url}/api/chat", json={"message": "Hello"}, timeout=10)
            assert answer.is_success
            assert FaultServer(real).asked(since, since), "it asks again whom it asked before"


def test_a_service_in_a_cluster_is_drilled_by_host_aliases_and_put_back(deploy: Deploy, tmp_path: Path) -> None:
    """The provider's name leads to the fault server, whose authority the service trusts; then it does so no more."""
    needs_mounts()
    host, authority = loopback(443), tmp_path / "tls"
    names = ("--name", "api.mistral.ai", host)
    with fault_server("--host", host, "--port", "443", "--tls", str(authority), *names) as url:
        ca = str(authority / "ca.pem")
        there = deploy(MISTRAL_BASE_URL=None, NODE_EXTRA_CA_CERTS=ca)
        before = kept(there.now())
        assert "hostAliases" not in before["spec"]["template"]["spec"]
        with NodeAgent(there.plane, there.namespace, "chat", tmp_path / "pod") as agent:
            config = there.config(agent.url, fault_server=url, cluster={"host_alias": host, "ca": ca})
            run = suite(config, tmp_path / "run", "--env", "staging", "--allow-changes")
            agent.wait_for(3)
            drilled_in_full(run, "hostAliases")
            assert agent.templates[1]["spec"]["hostAliases"] == [{"ip": host, "hostnames": ["api.mistral.ai"]}]
            assert there.as_before(before) == []


def loopback(port: int) -> str:
    """An address of loopback on which this port is free."""
    for number in range(2, 32):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((f"127.0.0.{number}", port))
            return f"127.0.0.{number}"
    raise AssertionError(f"port {port} is taken everywhere")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=lambda end: end.name)
def test_a_suite_that_is_stopped_in_mid_drill_leaves_the_deployment_as_it_was(
    deploy: Deploy, tmp_path: Path, end: signal.Signals
) -> None:
    """kill -9 while a fault is on, and Ctrl-C: within the fault's lease Deployment and provider are what they were."""
    with fault_server() as real, fault_server() as url:
        there = deploy(MISTRAL_BASE_URL=real)
        before = kept(there.now())
        with NodeAgent(there.plane, there.namespace, "chat", tmp_path / "pod") as agent:
            config = there.config(agent.url, fault_server=url, cluster=VARIABLE)
            started = command(config, tmp_path / "run", "--env", "staging", "--allow-changes")
            with subprocess.Popen(started, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                eventually(lambda: fault(url) is not None, 90)
                assert ANNOTATION in there.now()["metadata"]["annotations"]
                assert there.as_before(before) != []
                run.send_signal(end)
                run.wait(60)
            assert run.returncode == (-signal.SIGKILL if end is signal.SIGKILL else 2)
            eventually(lambda: there.as_before(before) == [], LEASE + SLACK)
            eventually(lambda: fault(url) is None, LEASE + SLACK)
            assert 2 <= there.patches().count("driller") <= CHANGES


HOLDING = """
import sys, time
from pathlib import Path
from fixtures.drills.cluster_pointing import redirected
from fixtures.settings import load

with redirected(load("staging", Path(sys.argv[1]), variables={})):
    print("on", flush=True)
    time.sleep(600)
"""
MOMENTS = 4


def test_a_run_that_is_killed_at_any_moment_leaves_the_deployment_as_it_was(deploy: Deploy) -> None:
    """In the middle of the rollout, when it is over, and anywhere between the first import and there."""
    there = deploy(MISTRAL_BASE_URL=None)
    before = kept(there.now())
    config = there.config(NOBODY, fault_server=NOBODY, cluster=VARIABLE, startup=30.0)
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    span = 0.0
    for number in range(MOMENTS):
        began = time.monotonic()
        holding = [sys.executable, "-c", HOLDING, str(config)]
        with subprocess.Popen(holding, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            if number == 0:
                assert run.stdout.readline() == "on\n"
                span = time.monotonic() - began
            elif number == 1:
                eventually(lambda: ANNOTATION in there.now()["metadata"]["annotations"], 30)
            else:
                time.sleep(random.SystemRandom().uniform(0, span))
            run.kill()
        killed = time.monotonic()
        eventually(lambda: there.as_before(before) == [], LEASE + SLACK)
        time.sleep(max(0.0, killed + LEASE + SLACK - time.monotonic()))  # what was under way has come by now
        assert there.as_before(before) == []
    assert 4 <= there.patches().count("driller") <= CHANGES * MOMENTS


def test_what_is_left_is_a_finding(deploy: Deploy, tmp_path: Path) -> None:
    """The right is taken away in mid-drill: the run says what is left in which state, and how it is put back."""
    with fault_server() as url:
        there = deploy(MISTRAL_BASE_URL=NOBODY)
        with NodeAgent(there.plane, there.namespace, "chat", tmp_path / "pod") as agent:
            config = there.config(agent.url, fault_server=url, cluster=VARIABLE)
            with ThreadPoolExecutor() as pool:
                arguments = ("--env", "staging", "--allow-changes", "checks/resilience/rotation.py")
                run = pool.submit(suite, config, tmp_path / "run", *arguments)
                eventually(lambda: ANNOTATION in there.now()["metadata"]["annotations"], 60)
                take_the_right(there)
            (finding,) = (row for row in run.result().findings.values() if row["status"] != "not_run")
    assert run.result().code != 0
    assert f"Deployment {there.namespace}/chat is still changed: MISTRAL_BASE_URL of its container chat" in json.dumps(
        finding
    )
    assert "rollout undo deployment/chat" in run.result().printed
    assert "still changed" in run.result().printed


def take_the_right(there: Deployed) -> None:
    """The driller may look on, and change nothing any more."""
    role = f"/apis/{GROUP}/v1/namespaces/{there.namespace}/roles/driller"
    there.plane.admin.patch(role, {"rules": [{**RIGHTS[0], "verbs": ["get"]}]})
    eventually(lambda: not may_patch(there), 10)


def fault(url: str) -> str | None:
    """The fault that is on."""
    found: str | None = httpx.get(f"{url}/_sandbox/fault").json()["fault"]
    return found


def eventually(true: Callable[[], bool], within: float) -> None:
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, f"not within {within:g} s"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("tier", "extra"),
    [("staging", ()), ("production", ("--allow-changes", "--confirm", "production"))],
    ids=["without-leave", "production"],
)
def test_nothing_is_changed_without_leave_or_in_production(
    deploy: Deploy, tmp_path: Path, tier: str, extra: tuple[str, ...]
) -> None:
    """The API server itself has seen no request that changes anything."""
    there = deploy(MISTRAL_BASE_URL=NOBODY)
    before, changes = kept(there.now()), there.patches()
    config = there.config(NOBODY, tier, fault_server=NOBODY, cluster=VARIABLE)
    run = suite(config, tmp_path / "run", "--env", tier, *extra)
    assert run.code == 10, run.printed
    assert there.patches() == changes
    assert "driller" not in changes
    assert there.as_before(before) == []


# By itself, without the drills


def test_a_block_that_raises_leaves_the_deployment_as_it_was(deploy: Deploy) -> None:
    """An exception or a Ctrl-C inside: the same as its end."""
    there = deploy(MISTRAL_BASE_URL=None)
    before = kept(there.now())
    environment = there.environment(NOBODY, fault_server=NOBODY, cluster=VARIABLE)
    with pytest.raises(KeyboardInterrupt), redirected(environment) as change:  # noqa: PT012 - seen from inside as well
        template = there.now()["spec"]["template"]["spec"]
        assert {"name": "MISTRAL_BASE_URL", "value": NOBODY} in template["containers"][0]["env"]
        assert change.before is None
        raise KeyboardInterrupt
    assert there.as_before(before) == []


def test_a_rollout_that_does_not_end_is_put_back(deploy: Deploy) -> None:
    """No node takes the new pod: after `startup` seconds it is told what is lacking, and all is as it was before."""
    there = deploy(MISTRAL_BASE_URL=None)
    before = kept(there.now())
    environment = there.environment(NOBODY, fault_server=NOBODY, cluster=VARIABLE, startup=2.0)
    node = "/api/v1/nodes/node-1"
    there.plane.admin.patch(node, {"spec": {"unschedulable": True}})
    try:
        with (
            pytest.raises(CannotObserve, match="rollout was not complete within 2 s") as caught,
            redirected(environment),
        ):
            pytest.fail("the block is not entered")
    finally:
        there.plane.admin.patch(node, {"spec": {"unschedulable": None}})
    assert caught.value.reason == "timeout"
    assert there.as_before(before) == []


def test_what_cannot_be_put_back_is_told_with_the_command_that_does(
    deploy: Deploy,
) -> None:
    """The right is taken away in mid-drill. The command of the remedy, typed by somebody who may, puts all back."""
    there = deploy(MISTRAL_BASE_URL="http://127.0.0.1:8")
    before = kept(there.now())
    environment = there.environment(NOBODY, fault_server=NOBODY, cluster=VARIABLE)
    with pytest.raises(CannotObserve) as caught, redirected(environment):
        take_the_right(there)
    error = caught.value
    assert error.reason == "denied"
    assert "still changed: MISTRAL_BASE_URL of its container chat is http://127.0.0.1:9" in error.message
    assert f"driller may not patch deployments.apps in namespace {there.namespace} (403)" in error.message
    assert there.as_before(before) != []
    refused = there_refused(environment)
    assert "is pointed at a fault server already, by " in refused.message
    undo = error.remedy.partition(": ")[2]
    assert undo in refused.remedy
    admin = there.plane.kubeconfig("admin", namespace=there.namespace)
    typed = undo.replace(str(environment.kubernetes.kubeconfig), str(admin))
    assert typed != undo
    subprocess.run(typed, shell=True, check=True, capture_output=True)
    assert there.as_before(before) == []


def may_patch(there: Deployed) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": "driller",
            "resourceAttributes": {
                "namespace": there.namespace,
                "verb": "patch",
                "group": "apps",
                "resource": "deployments",
            },
        },
    }
    allowed: bool = there.plane.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"][
        "allowed"
    ]
    return allowed


def there_refused(environment: Environment) -> CannotObserve:
    with pytest.raises(CannotObserve) as caught, redirected(environment):
        pytest.fail("the block is not entered")
    return caught.value


def test_an_invalid_change_is_located_and_changes_nothing(deploy: Deploy) -> None:
    """A host that no Kubernetes takes for one: what the API server says of it is told."""
    there = deploy(MISTRAL_BASE_URL=None)
    before = kept(there.now())
    environment = there.environment(NOBODY, fault_server=NOBODY, cluster={"host_alias": "127.0.0.2"})
    provider = environment.provider.model_copy(update={"base_url": "https://api_1.example"})
    error = there_refused(environment.model_copy(update={"provider": provider}))
    assert error.reason == "not_configured"
    assert f"patch deployments.apps in namespace {there.namespace}: the change is refused (422)" in error.message
    assert "hostnames" in error.message
    assert there.as_before(before) == []


def test_a_change_is_made_anew_where_others_write_at_the_same_time(deploy: Deploy) -> None:
    """Controllers do: a patch that was made of another state is refused by the API server, and made of the new one."""
    there = deploy()
    environment = there.environment(NOBODY, fault_server=NOBODY, cluster=VARIABLE)
    looks: list[str] = []

    def slow(found: dict[str, Any]) -> list[dict[str, Any]]:
        looks.append(found["metadata"]["resourceVersion"])
        if len(looks) == 1:
            there.plane.admin.patch(there.path, {"metadata": {"annotations": {"written": "meanwhile"}}})
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": looks[-1]}
        return [test, {"op": "add", "path": "/metadata/annotations/mine", "value": str(len(looks))}]

    with contextlib.closing(Cluster(environment)) as cluster:
        changed = Rollout(cluster, environment).patched(slow)
    assert changed is not None
    assert len(looks) >= 2
    assert changed["metadata"]["annotations"]["mine"] == str(len(looks))
    assert changed["metadata"]["annotations"]["written"] == "meanwhile"


def test_its_owner_applies_it_afterwards_as_ever(deploy: Deploy, tmp_path: Path) -> None:
    """Server-side: no field is left in the suite's hands, over which the next deployment would stumble."""
    there = deploy(MISTRAL_BASE_URL="http://127.0.0.1:8")
    with redirected(there.environment(NOBODY, fault_server=NOBODY, cluster=VARIABLE)):
        pass
    found = there.now()
    assert "golive" not in {row["manager"] for row in found["metadata"]["managedFields"]}
    manifest = {name: found[name] for name in ("apiVersion", "kind", "spec")}
    manifest["metadata"] = {"name": "chat", "namespace": there.namespace}
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    next(row for row in container["env"] if row["name"] == "MISTRAL_BASE_URL")["value"] = "http://127.0.0.1:7"
    (tmp_path / "deployment.json").write_text(json.dumps(manifest))
    admin = there.plane.kubeconfig("admin", namespace=there.namespace)
    apply = ["kubectl", f"--kubeconfig={admin}", "apply", "--server-side", "--field-manager=golive-tests"]
    done = subprocess.run([*apply, "-f", tmp_path / "deployment.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
