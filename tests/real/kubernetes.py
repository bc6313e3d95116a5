"""A real Kubernetes control plane on loopback, with one simulated node: for tests and for people.

API server, controller manager and scheduler are Kubernetes' own, over an etcd of their own. The node and what runs on
it are kwok's: pods become ready and run nothing; their logs are the files that `PodLog` names.

    with ControlPlane(tmp_path) as plane:
        plane.apply([deployment])
        plane.wait_for_rollout("default", "chat")

`python -m tests.real.kubernetes build` builds the programs where they are not there yet, and prints their folder.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.real.control_plane import commands
from tests.real.control_plane.client import ApiError, Client, Manifest, Object
from tests.real.control_plane.credentials import Credentials
from tests.real.control_plane.processes import Process, ProcessGroup, StartError, free_port
from tests.real.control_plane.programs import Binaries, BuildError, PartMissing, binaries
from tests.real.control_plane.simulated_node import PodLog, configuration

__all__ = [
    "ApiError",
    "Binaries",
    "BuildError",
    "Client",
    "ControlPlane",
    "PartMissing",
    "PodLog",
    "RolloutError",
    "StartError",
    "binaries",
]

NODE = "node-1"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],  # no bodies: they hold Secrets
}

logger = logging.getLogger(__name__)


class RolloutError(RuntimeError):
    """A Deployment's rollout is not complete; the message says what it lacks."""


class ControlPlane:
    """A control plane, from `with` to its end. Nothing of it outlives this process, whatever ends that.

    `folder` must be empty or new: it holds certificates, tokens, logs and the store.
    `users` names further users and their groups, beside `admin` (of system:masters) and `reader` (who may do nothing
    before a RoleBinding says so). `logs` are the pods' logs; the first that matches a pod is its log.
    With `audit`, each request is a line of JSON in the file `audit_log`.
    Not ready after `ready_within` seconds, it ends with StartError.
    """

    server: str
    admin: Client

    def __init__(
        self,
        folder: Path,
        *,
        users: Mapping[str, Sequence[str]] | None = None,
        logs: Sequence[PodLog] = (),
        audit: bool = False,
        ready_within: float = 60.0,
    ) -> None:
        self.folder = folder.absolute()
        self.audit_log = self.folder / "audit.log" if audit else None
        self.ports: dict[str, int] = {}
        self._processes: dict[str, Process] = {}
        self._credentials = Credentials(self.folder, users or {})
        self._clients: dict[str, Client] = {}
        self._logs = logs
        self._ready_within = ready_within

    def __enter__(self) -> Self:
        self._programs = binaries()
        self._prepare_folder()
        self._group = ProcessGroup()
        try:
            self._start(time.monotonic() + self._ready_within)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def ca(self) -> Path:
        """The certificate authority of all servers, as PEM."""
        return self._credentials.ca

    @property
    def process_group(self) -> int:
        """The id of the process group that all parts are in."""
        return self._group.id

    def client(self, user: str) -> Client:
        """A client with the rights of a user; it is closed with the control plane."""
        if user not in self._clients:
            self._clients[user] = Client(self.server, self.ca, self._credentials.token(user))
        return self._clients[user]

    def kubeconfig(self, user: str, *, context: str = "real", namespace: str = "default") -> Path:
        """Write a kubeconfig file of a user with one context, and return its path."""
        return self._credentials.kubeconfig(self.server, user, context, namespace)

    def apply(self, manifests: Iterable[Manifest]) -> list[Object]:
        """Create each object, or make it what its manifest says, as the admin and in order. Raises ApiError."""
        return [self.admin.apply(manifest) for manifest in manifests]

    def wait_for_rollout(self, namespace: str, deployment: str, deadline: float = 30.0) -> Object:
        """Return the Deployment once all its pods are of its newest template and available.

        Raises RolloutError after `deadline` seconds.
        """
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        end = time.monotonic() + deadline
        while lacks := _what_a_rollout_lacks(found := self.admin.get(path)):
            if time.monotonic() > end:
                raise RolloutError(f"{namespace}/{deployment} after {deadline:g} s: {lacks}")
            time.sleep(0.05)
        return found

    def audited(self) -> list[dict[str, Any]]:
        """The requests that the API server has noted so far; the one it is just writing is left out."""
        assert self.audit_log is not None, "ask for it: audit=True"
        lines = self.audit_log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def allows(self, namespace: str, rules: Iterable[Manifest], *, user: str, groups: Sequence[str] = ()) -> bool:
        """Whether the API server lets them do all that the rules of a Role say."""
        for rule in rules:
            for group, resource, verb in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"]):
                about = {"namespace": namespace, "group": group, "resource": resource, "verb": verb}
                about["name"] = next(iter(rule.get("resourceNames", [""])))
                review = {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SubjectAccessReview",
                    "spec": {"user": user, "groups": list(groups), "resourceAttributes": about},
                }
                found = self.admin.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
                if not found["status"]["allowed"]:
                    return False
        return True

    def wait_for_rights(
        self, namespace: str, rules: Sequence[Manifest], *, user: str, groups: Sequence[str] = ()
    ) -> None:
        """Return once these rights count, which takes a moment after a RoleBinding. Raises TimeoutError after 30 s."""
        end = time.monotonic() + 30
        while not self.allows(namespace, rules, user=user, groups=groups):
            if time.monotonic() > end:
                raise TimeoutError(f"{user} still has not all of these rights in {namespace}: {rules}")
            time.sleep(0.01)

    def serve_logs(self, logs: Sequence[PodLog]) -> None:
        """Serve these logs in place of those before; the node's server starts again, the pods stay."""
        self._logs = logs
        self._group.end(self._processes.pop("kwok"))
        self._start_kwok()
        self._wait("kwok", "https", time.monotonic() + self._ready_within)

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(self.folder.iterdir()):
            raise FileExistsError(f"{self.folder} is not empty: a control plane starts in a folder of its own")
        self._credentials.write()
        (self.folder / "audit-policy.yaml").write_text(json.dumps(AUDIT_POLICY))

    def _start(self, deadline: float) -> None:
        self._start_api(deadline)
        for name, command in commands.CONTROLLERS.items():
            self._run(name, command(self._programs, self._port(name), self.kubeconfig(f"system:{name}")))
        self._port("kwok")
        self._start_kwok()
        for name in (*commands.CONTROLLERS, "kwok"):
            self._wait(name, "https", deadline)
        self._processes["kube-controller-manager"].wait_until(self._schedulable, deadline)

    def _start_api(self, deadline: float) -> None:
        store = self._port("etcd")
        self._run("etcd", commands.etcd(self._programs, store, self._port("etcd-peer")))
        self._wait("etcd", "http", deadline, path="/readyz")
        port = self._port("kube-apiserver")
        self._run("kube-apiserver", commands.api_server(self._programs, port, store, audit=self.audit_log))
        self._wait("kube-apiserver", "https", deadline, path="/readyz")
        self.server = f"https://127.0.0.1:{port}"
        self.admin = self.client("admin")
        self.apply([{"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}])

    def _start_kwok(self) -> None:
        (self.folder / "kwok.yaml").write_text(configuration(self._programs.stages, self._logs))
        self._run("kwok", commands.kwok(self._programs, self.ports["kwok"], self.kubeconfig("admin")))

    def _run(self, name: str, command: commands.Command) -> None:
        logger.info("starting %s", name)
        self._processes[name] = self._group.start(name, command, self.folder)

    def _port(self, name: str) -> int:
        self.ports[name] = free_port()
        return self.ports[name]

    def _wait(self, name: str, scheme: str, deadline: float, *, path: str = "/healthz") -> None:
        probe = Client(f"{scheme}://127.0.0.1:{self.ports[name]}", self.ca)

        def healthy() -> bool:
            try:
                probe.text(path)
            except (ApiError, httpx.TransportError):
                return False
            return True

        try:
            self._processes[name].wait_until(healthy, deadline)
        finally:
            probe.close()

    def _schedulable(self) -> bool:
        """Whether pods can be created (the default service account is there) and placed (the node has no taint)."""
        node = self.admin.get(f"/api/v1/nodes/{NODE}")
        conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", [])}
        accounts = self.admin.get("/api/v1/namespaces/default/serviceaccounts")["items"]
        return conditions.get("Ready") == "True" and not node["spec"].get("taints") and bool(accounts)

    def _stop(self) -> None:
        try:
            for client in self._clients.values():
                client.close()
        finally:
            self._group.stop()


def _what_a_rollout_lacks(deployment: Manifest) -> str:
    """What keeps a rollout from being complete, by the rules of `kubectl rollout status`; empty where nothing does."""
    status = deployment.get("status", {})
    wanted = deployment["spec"]["replicas"]
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "the controller has not seen its newest generation"
    if updated < wanted:
        return f"{updated} of {wanted} pods are of its newest template"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} old pods are left"
    return "" if available >= updated else f"{available} of {updated} pods are available"


def main() -> int:
    """`build`: see the module's description."""
    parser = argparse.ArgumentParser(prog="python -m tests.real.kubernetes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("command", choices=["build"], help="build its programs if need be, and print their folder")
    parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        folder = binaries().kube_apiserver.parent
    except (PartMissing, BuildError) as error:
        parser.exit(1, f"{error}\n")
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
