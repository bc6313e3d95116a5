"""The commands of the runbook, given to a real kubectl: none has an option that it does not know."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.triage.runbook import FOLDER, page
from tests.test_runbook import NAMES

pytestmark = pytest.mark.real

NOT_TAKEN = (
    "unknown flag",
    "unknown shorthand",
    "unknown command",
    "invalid argument",
    "error parsing jsonpath",
    "usage:",
)
COMMANDS = sorted(
    {
        command
        for file in FOLDER.glob("*.md")
        for section in page(file.stem).sections.values()
        for step in section
        for command in step.commands
        if command.startswith("kubectl ")
    }
)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig whose context leads to a port that nobody listens at, and that nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{held.getsockname()[1]}"
        context = {"cluster": "c", "user": "u"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": NAMES["context"], "context": context}],
        }
        file = tmp_path_factory.mktemp("kube") / "config"
        file.write_text(json.dumps(config), "utf-8")
        yield file


def filled(command: str) -> str:
    for name, value in NAMES.items():
        command = command.replace(f"{{{name}}}", value)
    return command


def said(command: str, kubeconfig: Path) -> str:
    """What a shell complains of, with the names filled in."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(kubeconfig.parent), "KUBECONFIG": str(kubeconfig)}
    script = ["bash", "-c", filled(command)]
    return subprocess.run(script, env=variables, capture_output=True, text=True, check=False, timeout=60).stderr.lower()


needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None,
    reason="kubectl is not on PATH: install it, at https://kubernetes.io/docs/tasks/tools/",
)


@needs_kubectl
@pytest.mark.parametrize("command", COMMANDS)
def test_kubectl_takes_the_command(command: str, nowhere: Path) -> None:
    """It understands it and gets as far as the server, which is not there."""
    complaint = said(command, nowhere)
    assert "refused" in complaint
    assert [word for word in NOT_TAKEN if word in complaint] == []


@needs_kubectl
@pytest.mark.parametrize(
    "command",
    [
        "kubectl --context {context} -n {namespace} get deployment/{deployment} --no-such-option",
        "kubectl --context {context} -n {namespace} rollout renew deployment/{deployment}",
    ],
)
def test_a_command_that_kubectl_does_not_know_is_found(command: str, nowhere: Path) -> None:
    """It does not get as far as the server, or says what it does not know."""
    complaint = said(command, nowhere)
    assert "refused" not in complaint or [word for word in NOT_TAKEN if word in complaint]
