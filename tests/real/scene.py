"""What incidents befall: a Mistral API of its own, a control plane, a Prometheus, a service for each kind of trouble.

    with Scene(folder) as scene:
        scene.looked(folder / "run", "well")                                   the looks of triage, and their evidence
        scene.looked(folder / "run", "well", {"provider": {"base_url": ...}})  with some settings changed for this once

Every service has a namespace with a Deployment, whose pods' log is the service's, and is a job of Prometheus.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from fixtures.settings import load
from tests.checks.judging import ENVIRONMENTS
from tests.fixtures.sandbox.test_mistral_serving import KEY, program
from tests.plugins.triage.nights import Night, looked
from tests.real.container_log import ContainerLog
from tests.real.kubernetes import ControlPlane, PodLog
from tests.real.prometheus import PrometheusServer
from tests.real.python_service import PythonServiceProcess

MODEL = "mistral-small-2603"
CONTEXT = "production"
MESSAGES = 40
"""That each service is sent before anybody looks: so many that a call that a busy machine delays is within bounds."""
GOOD = 300
"""Those that are answered before a circuit is opened: so many that the few that open it are within bounds."""
THRESHOLD = 3
SIDE_BY_SIDE = 12

Sections = Mapping[str, Mapping[str, Any]]
"""Settings by section."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A service: what its Mistral does (a fault of it, a Mistral of its own, nothing at all), and its own variables."""

    fault: str = ""
    variables: tuple[tuple[str, str], ...] = ()
    own: bool = False
    elsewhere: bool = False
    """It is started by the incident, on a network of its own."""


KINDS: dict[str, Kind] = {
    "well": Kind(),
    "stopped": Kind(),
    "refused": Kind(fault="401"),
    "disorderly": Kind(fault="400"),
    "throttled": Kind(fault="429"),
    "bare": Kind(fault="503", variables=(("FLAW", "stack-trace"),)),
    "tripped": Kind(own=True, variables=(("BREAKER_THRESHOLD", str(THRESHOLD)), ("BREAKER_RESET_MS", "3600000"))),
    "confined": Kind(elsewhere=True),
}
"""By name, which is that of the namespace and of the job too."""


class Scene:
    """All of it, from `with` to its end. `mistral`: the URL of one that is well. Raises PartMissing, StartError."""

    plane: ControlPlane
    prometheus: PrometheusServer
    mistral: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services: dict[str, PythonServiceProcess] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def looked(self, folder: Path, name: str, changes: Sections | None = None) -> Night:
        """Look as triage does at the service of this name, with some settings changed."""
        settings, changed = self.settings(name), changes or {}
        overlay = {key: {**settings.get(key, {}), **changed.get(key, {})} for key in settings.keys() | changed.keys()}
        return looked(folder, load("sandbox", ENVIRONMENTS, overlay=overlay, variables={}))

    def settings(self, name: str) -> dict[str, dict[str, Any]]:
        """What leads to a service and its surroundings."""
        failing = KINDS[name].fault or KINDS[name].elsewhere
        levels = ["warning", "error", "fatal"] if failing else ["error", "fatal"]  # it logs no failure as an error
        return {
            "service": {"url": self.services[name].url},
            "provider": {"base_url": self.mistral, "model": MODEL},
            "kubernetes": {"namespace": name, "deployment": "chat", **self.cluster(name, "reader")},
            "prometheus": {"url": self.prometheus.url, "target": {"job": name}},
            "logs": {"levels": levels},
        }

    def cluster(self, name: str, user: str) -> dict[str, Any]:
        """The cluster as a user sees it."""
        file = self.plane.kubeconfig(user, context=CONTEXT, namespace=name)
        return {"kubeconfig": str(file), "context": CONTEXT, "servers": [self.plane.server]}

    def joined(self, name: str, service: PythonServiceProcess, stack: ExitStack) -> None:
        """Take a service in: its log is the pods', and Prometheus scrapes it from its first message on."""
        self.services[name] = service
        stack.enter_context(ContainerLog(service.log, self._log(name)))

    def aim(self, *names: str) -> None:
        """Let Prometheus scrape the services that there are now, and wait until it has read those of these names.

        A busy machine may miss the first scrape, and what was counted before the first that is read is nobody's.
        """
        self.prometheus.aim(
            {name: [(service.url.removeprefix("http://"), {})] for name, service in self.services.items()}
        )
        for name in names:
            self.prometheus.wait_for(f'up{{job="{name}"}} == 1')

    def counted(self, *names: str) -> None:
        """Wait until Prometheus has counted the messages of these services, and that twice: an increase takes two."""
        for name in names:
            self.prometheus.wait_for(f'sum(mistral_requests_total{{job="{name}"}}) >= {MESSAGES}')
        time.sleep(1.2)

    def variables(self, url: str, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Those of a service whose Mistral is at `url`."""
        return {
            "NODE_ENV": "production",
            "MISTRAL_API_KEY": KEY,
            "MISTRAL_BASE_URL": url,
            "MISTRAL_MODEL": MODEL,
            "RETRY_MAX": "0",
            "BREAKER_THRESHOLD": "1000",
            "REQUEST_DEADLINE_MS": "20000",
        } | dict(more or {})

    def _start(self) -> None:
        self.mistral, self._own = self._stack.enter_context(program(2, "--port", "0", "0")).lines
        logs = [PodLog(self._log(name), namespaces=[name]) for name in KINDS]
        plane = ControlPlane(self.folder / "plane", users={"stranger": [], "nobody": []}, logs=logs)
        with ThreadPoolExecutor(2) as pool:
            starting = [pool.submit(self._started, name) for name, kind in KINDS.items() if not kind.elsewhere]
            self.plane = self._stack.enter_context(plane)
            for name, service in (one.result() for one in starting):
                self.joined(name, service, self._stack)
        self.plane.apply(objects())
        self.prometheus = self._stack.enter_context(PrometheusServer(self.folder / "prometheus", {}, interval=0.5))
        self.aim(*self.services)
        self._befall()
        for name in KINDS:
            self.plane.wait_for_rollout(name, "chat", deadline=60)

    def _started(self, name: str) -> tuple[str, PythonServiceProcess]:
        kind = KINDS[name]
        url = self._own if kind.own else f"{self.mistral}/fault-{kind.fault}" if kind.fault else self.mistral
        service = PythonServiceProcess(None, self.variables(url, dict(kind.variables)), self.folder / name)
        return name, self._stack.enter_context(service)

    def _befall(self) -> None:
        """Send the messages; in the midst of those to the service with a circuit its Mistral fails for a moment."""
        for name in self.services:
            write(self.services[name].url, GOOD if KINDS[name].own else MESSAGES)
        httpx.post(f"{self._own}/_sandbox/fault", json={"fault": "503"}).raise_for_status()
        write(self.services["tripped"].url, THRESHOLD)
        httpx.delete(f"{self._own}/_sandbox/fault").raise_for_status()
        self.counted(*self.services)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.pods.log"


def write(url: str, messages: int) -> None:
    """Write so many messages to a service, some side by side, whatever becomes of them."""
    with httpx.Client(verify=False, timeout=20) as client, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(lambda _: client.post(f"{url}/api/chat", json={"message": "Hello"}), range(messages)))


def objects() -> list[dict[str, Any]]:
    """What is in the cluster: a Deployment a namespace, the key's Secret, and who may read what."""
    secret = {"metadata": {"name": "mistral", "namespace": "vault"}, "data": {"api-key": _base64(KEY)}}
    watched = [
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
    ]
    key = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mistral"], "verbs": ["get"]}
    return [
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("vault", *KINDS)),
        {"apiVersion": "v1", "kind": "Secret"} | secret,
        *_allowed("watcher", "reader", watched),
        *_allowed("key-reader", "reader", [key]),
        *_allowed("key-stranger", "stranger", [key]),
        *map(_deployment, KINDS),
    ]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _allowed(name: str, user: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    metadata = {"name": name}
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": "chat"}
    containers = [{"name": "chat", "image": "registry.example/chat:1.4.0"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }
