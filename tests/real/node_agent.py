"""A small kubelet: runs the real service as the Deployment's pod template says, and anew whenever the template changes.

kwok lets pods become ready and runs nothing in them; this runs one process that stands for the pod. Its variables are
the template's, with Secrets read by the API; its hostAliases are in an /etc/hosts of its own (which takes root).

    with NodeAgent(plane, "chat", "chat", tmp_path) as agent:
        agent.url
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.real.control_plane.processes import free_port
from tests.real.control_plane.programs import PartMissing
from tests.real.kubernetes import ControlPlane
from tests.real.service import READY_WITHIN, ServiceProcess

POLL = 0.1
"""Seconds between two looks at the template."""
ENTER = 'mount --bind "$0" /etc/hosts && exec "$@"'


def needs_mounts() -> None:
    """Raises PartMissing where no process here may have an /etc/hosts of its own."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0 or subprocess.run([unshare, "--mount", "true"], check=False).returncode:
        raise PartMissing("an /etc/hosts for one process takes root, unshare (util-linux) and CAP_SYS_ADMIN")


class _Pod(ServiceProcess):
    """The service with an /etc/hosts of its own, where there is one."""

    hosts: Path | None = None

    def _program(self) -> tuple[list[str], dict[str, str]]:
        command, needed = super()._program()
        if self.hosts is None:
            return command, needed
        enter = ["/usr/bin/env", f"PATH={os.environ['PATH']}", "unshare", "--mount", "sh", "-c", ENTER, str(self.hosts)]
        return [*enter, *command], needed


class NodeAgent:
    """Runs from `with` to its end, on one port of loopback, which goes over HOST and PORT of the template."""

    def __init__(self, plane: ControlPlane, namespace: str, deployment: str, folder: Path) -> None:
        self._plane = plane
        self._path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._namespace = namespace
        self._folder = folder
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.templates: list[dict[str, Any]] = []
        """The pod templates that were run, in order."""
        self._failed: BaseException | None = None
        self._up, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="node agent", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait(2 * READY_WITHIN)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failed is not None and error is None:
            raise self._failed

    def wait_for(self, count: int, within: float = 30.0) -> None:
        """Wait until so many templates have been run, and the last one's process is ready."""
        until = time.monotonic() + within
        while len(self.templates) < count or not self._up.is_set():
            assert time.monotonic() < until, f"{len(self.templates)} templates after {within:g} s"
            time.sleep(POLL)

    def _template(self) -> dict[str, Any]:
        template: dict[str, Any] = self._plane.admin.get(self._path)["spec"]["template"]
        return template

    def _run(self) -> None:
        try:
            template = self._template()
            while not self._over.is_set():
                with self._pod(template):
                    self.templates.append(template)
                    self._up.set()
                    while (now := self._template()) == template and not self._over.wait(POLL):
                        pass
                    self._up.clear()
                template = now
        except BaseException as error:  # noqa: BLE001 - raised again where the agent is waited for
            self._failed = error
            self._up.set()

    def _pod(self, template: dict[str, Any]) -> _Pod:
        (container,) = template["spec"]["containers"]
        variables = {entry["name"]: self._value(entry, template) for entry in container.get("env") or []}
        pod = _Pod(self._port, variables | {"HOST": "127.0.0.1", "PORT": str(self._port)}, self._folder)
        if aliases := template["spec"].get("hostAliases"):
            self._folder.mkdir(parents=True, exist_ok=True)
            lines = [f"{alias['ip']} {' '.join(alias['hostnames'])}\n" for alias in aliases]
            pod.hosts = self._folder / "hosts"
            pod.hosts.write_text("127.0.0.1 localhost\n" + "".join(lines))
        return pod

    def _value(self, entry: dict[str, Any], template: dict[str, Any]) -> str:
        source = entry.get("valueFrom") or {}
        if "secretKeyRef" in source:
            secret = source["secretKeyRef"]
            data = self._plane.admin.get(f"/api/v1/namespaces/{self._namespace}/secrets/{secret['name']}")["data"]
            return base64.b64decode(data[secret["key"]]).decode()
        if "fieldRef" in source:
            found = re.fullmatch(r"metadata\.annotations\['(.+)'\]", source["fieldRef"]["fieldPath"])
            assert found, "other fields are not in this template"
            return str(template["metadata"]["annotations"][found[1]])
        return str(entry.get("value", ""))
