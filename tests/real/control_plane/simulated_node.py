"""What kwok does for the node and its pods: by its stages they become ready; a pod's log is a file.

What `kubectl exec` runs in a container runs on this machine, in its network.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PodLog:
    """The file that is the log of the pods that match (all where nothing is named); `previous`: of containers before.

    Its lines are those of a container runtime: `2026-11-22T13:53:04.040454Z stdout F text`.
    It may be written while it is served.
    """

    file: Path
    namespaces: Sequence[str] = ()
    pods: Sequence[str] = ()
    previous: Path | None = None


def configuration(stages: Path, logs: Sequence[PodLog]) -> str:
    """kwok's configuration file: the stages of a folder, and the logs, of which the first that matches a pod is its."""
    documents = [path.read_text() for path in sorted(stages.glob("*.yaml"))]
    kinds = [_cluster_exec(), *(_cluster_logs(number, log) for number, log in enumerate(logs))]
    documents += [json.dumps(kind) for kind in kinds]  # JSON is YAML
    return "\n---\n".join(documents)


def _cluster_exec() -> dict[str, object]:
    """A `ClusterExec` for all containers, https://kwok.sigs.k8s.io/docs/user/exec-configuration/."""
    here = {"envs": [{"name": "PATH", "value": os.environ["PATH"]}]}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterExec",
        "metadata": {"name": "exec"},
        "spec": {"execs": [{"local": here}]},
    }


def _cluster_logs(number: int, log: PodLog) -> dict[str, object]:
    """A `ClusterLogs`, https://kwok.sigs.k8s.io/docs/user/logs-configuration/."""
    selector = {"matchNamespaces": list(log.namespaces), "matchNames": list(log.pods)}
    files = {"logsFile": log.file, "previousLogsFile": log.previous}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": f"log-{number}"},
        "spec": {
            "selector": {key: names for key, names in selector.items() if names},
            "logs": [{key: str(path.absolute()) for key, path in files.items() if path}],
        },
    }
