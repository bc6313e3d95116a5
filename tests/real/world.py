"""The whole real world at once: a cluster, Prometheus, the service and its repository, and the Mistral API beside them.

    make world                         starts all of it, prints the command lines to verify it, ends on Ctrl-C
    with World(folder) as world: ...   the same for tests

It has two environments. In staging faults are injected into copies of the service, which leaves a record; production
reads that. Only the Mistral API is the sandbox's; everything else is the program that it is in production.
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import string
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

from tests.real import staging
from tests.real.container_log import ContainerLog
from tests.real.kubernetes import ControlPlane, PodLog
from tests.real.prometheus import ELSEWHERE, PrometheusServer, Target
from tests.real.service import ServiceProcess, prepared
from tests.real.staging import FALLBACK_MODEL, FALLBACK_TEXT, KEPT, MODEL, PROMISES
from tests.real.users import Users

DEPLOYMENT = "/apis/apps/v1/namespaces/chat/deployments/chat"
CONTEXT = "production"
ON_CALL = "on-call"
"""The user who acts on what the checks say, and the group that gives the rights to it."""
SEEN = [
    "deployments",
    "replicasets",
    "pods",
    "pods/log",
    "configmaps",
    "events",
    "services",
    "endpointslices",
    "ingresses",
    "networkpolicies",
    "jobs",
    "cronjobs",
]
"""What the runbook looks at."""
RATE = 5.0
"""Messages a second that users write, if nothing else is said."""
EARLIER = "sha256:" + "1f" * 32
"""The digest of the image that ran before."""

SETTINGS = """\
tier = "production"

[service]
name = "chat"
url = "{service}"
fallback_texts = {texts}

[service.stream]
path = "/api/chat/stream"

[provider]
base_url = "{provider}"
api_key = "k8s://vault/mistral#api-key"
model = "{model}"
fallback_model = "{fallback_model}"

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

[rollback]
who = "group:{on_call}"

[resilience]
{promises}"""


class World:
    """Everything that is looked at, running.

    `folder` must be new or empty; users write `rate` messages a second; with `audit` the API server keeps a log of who
    asked it for what.
    """

    plane: ControlPlane
    prometheus: PrometheusServer
    service: ServiceProcess
    users: Users
    revision: str
    """The commit that is checked out in the repository, and deployed."""

    def __init__(self, folder: Path, rate: float = RATE, *, audit: bool = False) -> None:
        self.folder = folder
        self._audit = audit
        self._rate = rate
        self.key = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
        self.repository = folder / "repository"
        self.config = folder / "environments"
        self.log = folder / "pods.log"
        self.serving: dict[str, ServiceProcess] = {}
        """The Deployments, each with the process behind its pods."""
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
        """What to give to pytest to look at production."""
        return ["--env", "production", f"--config={self.config}"]

    @property
    def on_call(self) -> Path:
        """The kubeconfig of whoever is on call."""
        return self.plane.kubeconfig(ON_CALL, context=CONTEXT, namespace="chat")

    @property
    def as_on_call(self) -> dict[str, str]:
        """The variable that has the suite run as whoever is on call, who may undo what was rolled out."""
        return {"GOLIVE_KUBERNETES__KUBECONFIG": str(self.on_call)}

    @property
    def drilling(self) -> list[str]:
        """What to give to pytest to inject faults in staging, which leaves the record of this revision."""
        return staging.arguments(self.config)

    @property
    def record(self) -> Path:
        """The record of the revision that is deployed, once there was a drill of it."""
        return self.config / "records" / f"{self.revision}.json"

    def fault(self, name: str | None) -> None:
        """Let the Mistral API answer with a fault, or be well again (None)."""
        httpx.post(f"{self.provider}/_sandbox/fault", json={"fault": name}).raise_for_status()

    def manifest(self) -> dict[str, Any]:
        """The Deployment as the repository holds it, of the revision that is checked out there."""
        documents = yaml.safe_load_all((self.repository / "deploy" / "deployment.yaml").read_text())
        deployment: dict[str, Any] = next(item for item in documents if item and item["kind"] == "Deployment")
        template = deployment["spec"]["template"]["metadata"]
        template.setdefault("annotations", {})["org.opencontainers.image.revision"] = self.revision
        for variable in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
            if variable["name"] in KEPT:
                variable["value"] = KEPT[variable["name"]]  # what is drilled runs here too
        return deployment

    @property
    def image(self) -> str:
        """The image of the manifest."""
        found: str = self.manifest()["spec"]["template"]["spec"]["containers"][0]["image"]
        return found

    def variables(self) -> dict[str, str]:
        """What the service is started with."""
        return {
            "NODE_ENV": "production",
            "MISTRAL_API_KEY": self.key,
            "MISTRAL_BASE_URL": self.provider,
            "MISTRAL_MODEL": MODEL,
            "MISTRAL_FALLBACK_MODEL": FALLBACK_MODEL,
            "GIT_REVISION": self.revision,
            **KEPT,
        }

    def deploy(self) -> None:
        """Make the Deployment what its manifest says, and wait until it is."""
        self.plane.admin.patch(DEPLOYMENT, self.manifest())  # a merge patch puts whole lists back
        self.rolled_out()

    def rolled_out(self) -> None:
        """Wait until the rollout is complete, and have Prometheus find the pods that there are now."""
        self.plane.wait_for_rollout("chat", "chat", deadline=60)
        self.aim()

    def aim(self) -> None:
        """Have Prometheus find the pods that there are now; behind those of a Deployment is one process."""
        self.prometheus.aim({"chat": [target for name in self.serving for target in self._targets(name)]})

    def pods(self, name: str) -> list[str]:
        """The names of the pods that carry this one, those about to go aside."""
        found = self.plane.admin.get("/api/v1/namespaces/chat/pods", labelSelector=f"app.kubernetes.io/name={name}")
        there = [pod["metadata"] for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]
        return sorted(metadata["name"] for metadata in there)

    def _targets(self, name: str) -> list[Target]:
        address = self.serving[name].url.removeprefix("http://")
        track = "stable" if name == "chat" else "canary"
        own = {"namespace": "chat", "track": track}
        # The one process behind them is to be counted once.
        return [
            (address, {**own, "pod": pod} | ({ELSEWHERE: "yes"} if number else {}))
            for number, pod in enumerate(self.pods(name))
        ]

    def keep(self, namespace: str, key: str) -> None:
        """Put a key into the Secret `mistral` of a namespace."""
        data = {"api-key": base64.b64encode(key.encode()).decode()}
        metadata = {"name": "mistral", "namespace": namespace}
        self.plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}])

    def bind(self) -> None:
        """Give the reader and whoever is on call what they need, and no more."""
        self.plane.apply(_rights())

    def _start(self) -> None:
        program = staging.typescript(self.repository)
        self.revision = program.revision
        self.provider = self._stack.enter_context(staging.mistral_api(self.folder, self.key))
        plane = ControlPlane(
            self.folder / "plane", users={ON_CALL: [ON_CALL]}, logs=[PodLog(self.log)], audit=self._audit
        )
        self.plane = self._stack.enter_context(plane)
        self.plane.apply([_namespace("chat"), _namespace("vault")])
        for namespace in ("chat", "vault"):
            self.keep(namespace, self.key)
        self.bind()
        self.plane.apply([self._earlier()])
        self._start_service()
        self._stack.enter_context(ContainerLog(self.service.log, self.log))
        self.users = self._stack.enter_context(Users({self.service.url: 1}, self._rate))
        self.plane.wait_for_rollout("chat", "chat", deadline=60)
        self.plane.apply([self.manifest()])
        self._start_prometheus()
        self.rolled_out()
        staging.written(self.config / "staging.toml", program)
        self._configure()

    def _earlier(self) -> dict[str, Any]:
        """The Deployment as it was before: the way back."""
        manifest = self.manifest()
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["image"] = f"{container['image'].partition('@')[0]}@{EARLIER}"
        return manifest

    def _start_service(self) -> None:
        self.service = self._stack.enter_context(ServiceProcess(None, self.variables(), self.folder / "service"))
        self.serving["chat"] = self.service

    def _start_prometheus(self) -> None:
        target = self.service.url.removeprefix("http://")
        rules = self.repository / "deploy" / "alerts.yaml"
        server = PrometheusServer(self.folder / "prometheus", targets={"chat": [target]}, rules=rules.read_text())
        self.prometheus = self._stack.enter_context(server)

    def _configure(self) -> None:
        text = SETTINGS.format(
            service=self.service.url,
            texts=json.dumps([FALLBACK_TEXT]),
            provider=self.provider,
            model=MODEL,
            fallback_model=FALLBACK_MODEL,
            kubeconfig=self.plane.kubeconfig("reader", context=CONTEXT, namespace="chat"),
            context=CONTEXT,
            server=self.plane.server,
            prometheus=self.prometheus.url,
            repository=self.repository,
            on_call=ON_CALL,
            promises=staging.lines(PROMISES),
        )
        (self.config / "production.toml").write_text(text)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _rights() -> list[dict[str, Any]]:
    """What each may: the reader what the checks look at, and whoever is on call what the runbook says to do."""
    watched = [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods", "pods/log", "configmaps", "events"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mistral", "notifications"], "verbs": ["get"]},
    ]
    namespaces = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    review = {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["localsubjectaccessreviews"],
        "verbs": ["create"],  # of which nothing is stored
    }
    return [
        *_bound("User", "reader", "chat", [*watched, review]),
        *_bound("User", "reader", "vault", watched[1:]),
        *_bound("User", "reader", None, namespaces),
        *_bound("Group", ON_CALL, "chat", _acting()),
        *_bound("Group", ON_CALL, "vault", watched[1:]),
        *_bound("Group", ON_CALL, "kube-system", _acting()),
    ]


def _acting() -> list[dict[str, Any]]:
    """The commands of runbook/: to see what is there, to change the Deployment, to give the pods another key."""
    groups = ["", "apps", "batch", "networking.k8s.io", "discovery.k8s.io"]
    names = ["deployments", "deployments/scale"]
    return [
        {"apiGroups": groups, "resources": SEEN, "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["apps"], "resources": names, "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mistral"], "verbs": ["get", "patch"]},
    ]


def _bound(kind: str, name: str, namespace: str | None, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    prefix = "" if namespace else "Cluster"
    role = "golive" if kind == "User" else name
    metadata = {"name": role} | ({"namespace": namespace} if namespace else {})
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": f"{prefix}Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{prefix}RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": f"{prefix}Role", "name": role},
            "subjects": [{"apiGroup": group, "kind": kind, "name": name}],
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
        say("The world is up: Kubernetes, Prometheus, the service, its repository, the Mistral API.\n\n")
        say("Drill it in staging, once for each revision, which leaves the record that production reads:\n\n")
        say(f"  .venv/bin/python -m pytest {' '.join(world.drilling)}\n\nVerify production:\n\n")
        say(f"  .venv/bin/python -m pytest -m preflight {' '.join(world.arguments)}\n\nBreak it, for instance:\n\n")
        probe = json.dumps([{"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"}])
        say(f"  export KUBECONFIG={admin}\n")
        say(f"  kubectl patch deployment chat --type json -p '{probe}'\n")
        say(f"  curl -X POST {world.provider}/_sandbox/fault -d '{json.dumps({'fault': '401'})}'\n")
        say(f"  touch {world.repository}/dirty\n  rm {world.record}\n\nCtrl-C ends it and leaves nothing behind.\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            say("\nending\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
