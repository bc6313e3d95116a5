"""Whoever is on call, at a shell beside the real world, with a page of the runbook before them.

    shell = opened(world, folder)
    shell.typed("kubectl get pods -o wide")

A command is named as `COMMANDS` has it: on one line, without what each command of kubectl has.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.settings import load
from plugins.triage.runbook import FOLDER, Step, filled, names, page
from tests.real.control_plane.programs import PartMissing
from tests.real.staging import ROOT
from tests.real.world import World

KUBECTL = "kubectl --context {context} -n {namespace}"


def short(command: str) -> str:
    """A command on one line, without what each command of kubectl has."""
    return re.sub(r"\s*\\\n\s*", " ", command).replace(KUBECTL, "kubectl")


COMMANDS = {
    short(command): command
    for file in FOLDER.glob("*.md")
    for section in page(file.stem).sections.values()
    for step in section
    for command in step.commands
}


def minor() -> int:
    """The N of kubectl 1.N."""
    told = subprocess.check_output(["kubectl", "version", "--client", "-o", "json"], text=True)
    return int(re.sub(r"\D", "", json.loads(told)["clientVersion"]["minor"]))


@dataclass(frozen=True)
class Shell:
    """That of whoever is on call, in the project's folder: in it each command is typed."""

    world: World
    folder: Path
    names: dict[str, str | None]

    def typed(self, command: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        """Do it with the names in; where it uses the key, what the page says first: read it, from what is pasted."""
        row = filled(Step("", (COMMANDS[command],)), self.names)
        assert row["says"] == "", "a name is not told by the settings"
        wants = "$MISTRAL_API_KEY" in row["command"]
        script = ("read -rs MISTRAL_API_KEY\n" if wants else "") + row["command"]
        return subprocess.run(
            ["bash", "-c", script],
            input=f"{key or self.world.key}\n",
            cwd=self.folder,
            env=self._variables(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTEST_ADDOPTS": f"--run-dir={self.folder / 'run'}",
            "no_proxy": "127.0.0.1",
        }


def opened(world: World, folder: Path) -> Shell:
    """A shell in `folder`, the names in it as triage fills them in. Raises PartMissing.

    Its `.venv/bin/python` runs this interpreter in the project's folder.
    """
    if shutil.which("kubectl") is None:
        raise PartMissing("install kubectl: https://kubernetes.io/docs/tasks/tools/")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    settings = load(
        "production", world.config, overlay={"kubernetes": {"kubeconfig": str(world.on_call)}}, variables={}
    )
    return Shell(world, folder, names(settings))


def deployment(world: World) -> dict[str, Any]:
    """The Deployment with a proxy and a host in it, for the pages that look for them; its pods are ready at once."""
    manifest = world.manifest()
    manifest["spec"]["minReadySeconds"] = 0
    pod = manifest["spec"]["template"]["spec"]
    pod["hostAliases"] = [{"ip": "10.1.2.3", "hostnames": ["api.mistral.ai"]}]
    pod["containers"][0]["env"].append({"name": "NO_PROXY", "value": ".svc"})
    return manifest


def around(world: World) -> list[dict[str, Any]]:
    """What a cluster has beside the Deployment."""
    labels = {"k8s-app": "kube-dns"}
    pod = {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.12.0"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    job = {"template": {"spec": {"containers": [{"name": "import", "image": "x"}], "restartPolicy": "Never"}}}
    service = {"selector": {"app.kubernetes.io/name": "chat"}, "ports": [{"port": 80}]}
    rows = [
        ("v1", "Service", "chat", "chat", service),
        ("batch/v1", "CronJob", "chat", "import", {"schedule": "0 3 1 1 *", "jobTemplate": {"spec": job}}),
        ("networking.k8s.io/v1", "NetworkPolicy", "chat", "egress", {"podSelector": {}, "policyTypes": ["Egress"]}),
        (
            "apps/v1",
            "Deployment",
            "kube-system",
            "coredns",
            {"selector": {"matchLabels": labels}, "template": template},
        ),
    ]
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
        for version, kind, namespace, name, spec in rows
    ]
