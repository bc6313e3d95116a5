"""The whole real world at once: a cluster, Prometheus, the service and its repository, and the Mistral API beside them.

    make world                         starts all of it, prints the command line to verify it, ends on Ctrl-C
    with World(folder) as world: ...   the same for tests

Only the Mistral API is the sandbox's; everything else is the program that it is in production.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import signal
import string
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from tests.real.control_plane.processes import ProcessGroup, free_port
from tests.real.kubernetes import ControlPlane
from tests.real.prometheus import PrometheusServer
from tests.real.service import ServiceProcess, prepared, repository

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENT = "/apis/apps/v1/namespaces/chat/deployments/chat"
CONTEXT = "production"

SETTINGS = """\
tier = "production"

[service]
name = "chat"
url = "{service}"

[provider]
base_url = "{provider}"
api_key = "k8s://vault/mistral#api-key"
model = "mistral-small-2603"

[kubernetes]
kubeconfig = "{kubeconfig}"
context = "{context}"
namespace = "chat"
deployment = "chat"
servers = ["{server}"]

[prometheus]
url = "{prometheus}"
target = {{ job = "chat" }}

[repository]
path = "{repository}"

[runbook]
incident = "RUNBOOK.md"
"""


class World:
    """Everything that preflight looks at, running. `folder` must be new or empty."""

    plane: ControlPlane
    prometheus: PrometheusServer
    service: ServiceProcess

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
        self.repository = folder / "repository"
        self.config = folder / "environments"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
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

    @property
    def arguments(self) -> list[str]:
        """What to give to pytest."""
        return ["--env", "production", f"--config={self.config}"]

    def fault(self, name: str | None) -> None:
        """Let the Mistral API answer with a fault, or be well again (None)."""
        httpx.post(f"{self.provider}/_sandbox/fault", json={"fault": name}).raise_for_status()

    def manifest(self) -> dict[str, Any]:
        """The Deployment as the repository holds it, of the revision that is checked out there."""
        documents = yaml.safe_load_all((self.repository / "deploy" / "deployment.yaml").read_text())
        deployment: dict[str, Any] = next(item for item in documents if item and item["kind"] == "Deployment")
        template = deployment["spec"]["template"]["metadata"]
        template.setdefault("annotations", {})["org.opencontainers.image.revision"] = self.revision
        return deployment

    def deploy(self) -> None:
        """Make the Deployment what its manifest says, and wait until it is."""
        self.plane.admin.patch(DEPLOYMENT, self.manifest())  # a merge patch puts whole lists back
        self.plane.wait_for_rollout("chat", "chat", deadline=60)

    def keep(self, namespace: str, key: str) -> None:
        """Put a key into the Secret `mistral` of a namespace."""
        data = {"api-key": base64.b64encode(key.encode()).decode()}
        metadata = {"name": "mistral", "namespace": namespace}
        self.plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}])

    def bind(self) -> None:
        """Give the reader what it needs, and no more."""
        self.plane.apply(_rights())

    def _start(self) -> None:
        self.revision = repository(self.repository)
        self._start_provider()
        self.plane = self._stack.enter_context(ControlPlane(self.folder / "plane"))
        self.plane.apply([_namespace("chat"), _namespace("vault")])
        for namespace in ("chat", "vault"):
            self.keep(namespace, self.key)
        self.bind()
        self.plane.apply([self.manifest()])
        self._start_service()
        self._start_prometheus()
        self.plane.wait_for_rollout("chat", "chat", deadline=60)
        self._configure()

    def _start_provider(self) -> None:
        group = ProcessGroup()
        self._stack.callback(group.stop)
        port = free_port()
        self.provider = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "fixtures.sandbox.mistral", "--port", str(port), "--key", self.key]
        shim = ["/usr/bin/env", f"PYTHONPATH={ROOT}", *command]
        group.start("mistral", shim, self.folder).wait_until(self._provider_answers, time.monotonic() + 20)

    def _provider_answers(self) -> bool:
        try:
            return httpx.get(f"{self.provider}/_sandbox/fault").is_success
        except httpx.TransportError:
            return False

    def _start_service(self) -> None:
        variables = {
            "NODE_ENV": "production",
            "MISTRAL_API_KEY": self.key,
            "MISTRAL_BASE_URL": self.provider,
            "MISTRAL_MODEL": "mistral-small-2603",
            "MISTRAL_FALLBACK_MODEL": "ministral-8b-2512",
            "GIT_REVISION": self.revision,
        }
        self.service = self._stack.enter_context(ServiceProcess(None, variables, self.folder / "service"))

    def _start_prometheus(self) -> None:
        target = self.service.url.removeprefix("http://")
        rules = self.repository / "deploy" / "alerts.yaml"
        server = PrometheusServer(self.folder / "prometheus", targets={"chat": [target]}, rules=rules.read_text())
        self.prometheus = self._stack.enter_context(server)

    def _configure(self) -> None:
        self.config.mkdir()
        shutil.copy(ROOT / "environments" / "base.toml", self.config)
        text = SETTINGS.format(
            service=self.service.url,
            provider=self.provider,
            kubeconfig=self.plane.kubeconfig("reader", context=CONTEXT, namespace="chat"),
            context=CONTEXT,
            server=self.plane.server,
            prometheus=self.prometheus.url,
            repository=self.repository,
        )
        (self.config / "production.toml").write_text(text)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _rights() -> list[dict[str, Any]]:
    """The reader's roles: what the checks look at in the service's namespace, and the key's Secret in the store."""
    watched = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mistral"], "verbs": ["get"]},
    ]
    namespaces = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    return [
        *_bound("chat", watched),
        *_bound("vault", watched[2:]),
        *_bound(None, namespaces),
    ]


def _bound(namespace: str | None, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    prefix = "" if namespace else "Cluster"
    metadata = {"name": "golive"} | ({"namespace": namespace} if namespace else {})
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": f"{prefix}Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{prefix}RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": f"{prefix}Role", "name": "golive"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "reader"}],
        },
    ]


def main() -> int:
    """Bring all up, say how to verify it and how to break it, and stay until Ctrl-C."""
    prepared()
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job ignores Ctrl-C until it is told
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="golive-world-") as folder, World(Path(folder)) as world:
        admin = world.plane.kubeconfig("admin", context="admin", namespace="chat")
        say = sys.stdout.write
        say("The world is up: Kubernetes, Prometheus, the service, its repository, the Mistral API.\n\nVerify it:\n\n")
        say(f"  .venv/bin/python -m pytest -m preflight {' '.join(world.arguments)}\n\nBreak it, for instance:\n\n")
        probe = json.dumps([{"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"}])
        say(f"  export KUBECONFIG={admin}\n")
        say(f"  kubectl patch deployment chat --type json -p '{probe}'\n")
        say(f"  curl -X POST {world.provider}/_sandbox/fault -d '{json.dumps({'fault': '401'})}'\n")
        say(f"  touch {world.repository}/dirty\n\nCtrl-C ends it and leaves nothing behind.\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            say("\nending\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
