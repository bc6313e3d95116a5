"""A canary beside the stable version of the real world: its Deployment, the process behind it, its share of the users.

    with Shipping(world) as shipping:
        shipping.ship(DIGEST)       the canary runs a new image
        shipping.share(10)          and is given 10 % of the messages
        shipping.serve("one-in-33") the new image turns out to have a flaw
        shipping.promote(DIGEST)    everybody gets the new image, and the canary goes

The pods are kwok's and run nothing; behind the pods of one version stands one process of the service, whose log is
theirs and whose metrics Prometheus finds at each of them.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.real.container_log import ContainerLog
from tests.real.control_plane.processes import free_port
from tests.real.kubernetes import ControlPlane, PodLog
from tests.real.service import ServiceProcess
from tests.real.world import World

CANARY = "chat-canary"

WINDOW = 20.0
"""Seconds that a step is judged over: as short as a test may be. A watch may make it longer."""

SETTINGS = f"""
[traffic]
requests = 'http_request_duration_seconds_count{{route="/api/chat"}}'
errors = 'http_request_duration_seconds_count{{route="/api/chat",status=~"5.."}}'
# How fast is not compared below half a second, for all of this runs on one busy machine.
latency = 'http_request_duration_seconds_bucket{{route="/api/chat",le=~"0.5|1|2.5|5|10|[+]Inf"}}'
window = {WINDOW}

[rollout]
canary = "chat-canary"
canary_labels = {{ track = "canary" }}
stable_labels = {{ track = "stable" }}
windows = [{WINDOW}, {WINDOW}, {WINDOW}]
interval = 10.0
"""
"""What production says of its users and its canary."""


class Shipping:
    """The canary of a world, from `with` to its end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._port = free_port()
        self._processes = 0
        self._stack = ExitStack()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        settings = self.world.config / "production.toml"
        settings.write_text(settings.read_text() + SETTINGS)
        self.plane.apply([self._manifest()])
        self.plane.wait_for_rollout("chat", CANARY, deadline=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        self._stack.close()

    @property
    def plane(self) -> ControlPlane:
        return self.world.plane

    def image(self, digest: str) -> str:
        """The image of this digest, as a manifest names it."""
        return f"{self.world.image.partition('@')[0]}@{digest}"

    def ship(self, digest: str) -> None:
        """Let the canary run another image."""
        self._roll_out(CANARY, digest)
        self.serve()

    def promote(self, digest: str) -> None:
        """Give an image to everybody, at the address that they know, and take the canary away."""
        self.share(100)  # nobody asks the stable version while its process is another one
        self._roll_out("chat", digest)
        self._replace()
        self.share(0)
        self.plane.admin.patch(_path(CANARY), {"spec": {"replicas": 0}})
        self._found()

    def share(self, percent: int) -> None:
        """The canary's share of the messages."""
        self.world.users.shares({self.world.service.url: 100 - percent, self.canary.url: percent})

    def serve(self, flaw: str = "") -> None:
        """Put a new process behind the canary's pods, with a flaw or with none; at the same address, for its users."""
        self._running.close()
        self.canary = self._process(self._running, self._port, {"FLAW": flaw} if flaw else {})
        self.world.serving[CANARY] = self.canary
        self._found()

    def _replace(self) -> None:
        """Put a new process behind the stable version's pods, at the address of the one before."""
        before = self.world.service
        before.stop()
        port = int(before.url.rpartition(":")[2])
        self.world.service = self.world.serving["chat"] = self._process(self._stack, port, {})
        self.world.log = _log(self.world.service)

    def _process(self, stack: ExitStack, port: int, more: dict[str, str]) -> ServiceProcess:
        self._processes += 1
        folder = self.world.folder / f"shipped {self._processes}"
        process = stack.enter_context(ServiceProcess(port, self.world.variables() | more, folder))
        stack.enter_context(ContainerLog(process.log, _log(process)))
        return process

    def _roll_out(self, name: str, digest: str) -> None:
        containers = self.plane.admin.get(_path(name))["spec"]["template"]["spec"]["containers"]
        containers[0]["image"] = self.image(digest)
        self.plane.admin.patch(_path(name), {"spec": {"template": {"spec": {"containers": containers}}}})

    def _found(self) -> None:
        """Wait for the pods, let Prometheus and the node know which there are now."""
        for name in ("chat", CANARY):
            self.plane.wait_for_rollout("chat", name, deadline=60)
        logs = [PodLog(self.world.log)]
        if canaries := self.world.pods(CANARY):  # a log without names would be that of all pods
            logs.insert(0, PodLog(_log(self.canary), pods=canaries))
        self.plane.serve_logs(logs)
        self.world.aim()

    def _manifest(self) -> dict[str, Any]:
        """The stable Deployment under another name, with one pod."""
        manifest = copy.deepcopy(self.world.manifest())
        manifest["metadata"] = {"name": CANARY, "namespace": "chat"}
        labels = {"app.kubernetes.io/name": CANARY}
        manifest["spec"] |= {"replicas": 1, "selector": {"matchLabels": labels}}
        manifest["spec"]["template"]["metadata"]["labels"] = labels
        return manifest


def _path(name: str) -> str:
    return f"/apis/apps/v1/namespaces/chat/deployments/{name}"


def _log(process: ServiceProcess) -> Path:
    """Its log as the node keeps it."""
    return process.folder / "pods.log"
