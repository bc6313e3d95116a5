"""A canary beside the stable version of the real world: its Deployment, the process behind it, its share of the users.

    with Shipping(world) as shipping:
        shipping.ship(IMAGE)        the canary runs a new image
        shipping.share(10)          and is given 10 % of the messages
        shipping.serve("one-in-33") the new image turns out to have a flaw
        shipping.promote()          everybody gets the new image

The pods are kwok's and run nothing; behind the pods of one version stands one process of the service, whose log is
theirs and whose metrics Prometheus finds at each of them.
"""

from __future__ import annotations

import copy
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from tests.real.container_log import ContainerLog
from tests.real.control_plane.processes import free_port
from tests.real.kubernetes import ControlPlane, PodLog
from tests.real.service import ServiceProcess
from tests.real.world import World

CANARY = "chat-canary"
NEW = "sha256:" + "c4" * 32
"""The digest of the image that is shipped."""

SETTINGS = """
[traffic]
requests = 'http_request_duration_seconds_count{route="/api/chat"}'
errors = 'http_request_duration_seconds_count{route="/api/chat",status=~"5.."}'
latency = 'http_request_duration_seconds_bucket{route="/api/chat"}'
window = 40.0

[rollout]
canary = "chat-canary"
canary_labels = { track = "canary" }
stable_labels = { track = "stable" }
windows = [80.0, 40.0, 40.0]
interval = 10.0
"""
"""What production says of its users and its canary: windows as short as a test."""


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
        try:
            self.plane.apply([self._manifest()])
            self.serve()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        self._stack.close()

    @property
    def plane(self) -> ControlPlane:
        return self.world.plane

    @property
    def image(self) -> str:
        """The new image, as a manifest names it."""
        return f"{self.world.image.partition('@')[0]}@{NEW}"

    def ship(self) -> None:
        """Let the canary run the new image."""
        self._run(CANARY, self.image)

    def promote(self) -> None:
        """Give the new image to everybody; the canary's pods stay, without users."""
        self._run("chat", self.image)
        self.world.serving["chat"] = self.canary
        self.world.users.shares({self.canary.url: 1})
        self._found()

    def share(self, percent: int) -> None:
        """The canary's share of the messages."""
        self.world.users.shares({self.world.service.url: 100 - percent, self.canary.url: percent})

    def serve(self, flaw: str = "") -> None:
        """Put a new process behind the canary's pods, with a flaw or with none; at the same address, for its users."""
        self._running.close()
        self._processes += 1
        folder = self.world.folder / f"canary {self._processes}"
        variables = self.world.variables() | ({"FLAW": flaw} if flaw else {})
        self.canary = self._running.enter_context(ServiceProcess(self._port, variables, folder))
        self._running.enter_context(ContainerLog(self.canary.log, folder / "pods.log"))
        self.world.serving[CANARY] = self.canary
        self._found()

    def _run(self, name: str, image: str) -> None:
        path = f"/apis/apps/v1/namespaces/chat/deployments/{name}"
        containers = self.plane.admin.get(path)["spec"]["template"]["spec"]["containers"]
        containers[0]["image"] = image
        self.plane.admin.patch(path, {"spec": {"template": {"spec": {"containers": containers}}}})
        self._found()

    def _found(self) -> None:
        """Wait for the pods, let Prometheus and the node know which there are now."""
        for name in ("chat", CANARY):
            self.plane.wait_for_rollout("chat", name, deadline=60)
        pods = self.world.pods(CANARY)
        kept = self.canary.folder / "pods.log"
        self.plane.serve_logs([PodLog(kept, pods=pods), PodLog(self.world.log)])
        self.world.aim()

    def _manifest(self) -> dict[str, Any]:
        """The stable Deployment under another name, with one pod."""
        manifest = copy.deepcopy(self.world.manifest())
        manifest["metadata"] = {"name": CANARY, "namespace": "chat"}
        labels = {"app.kubernetes.io/name": CANARY}
        manifest["spec"] |= {"replicas": 1, "selector": {"matchLabels": labels}}
        manifest["spec"]["template"]["metadata"]["labels"] = labels
        return manifest
