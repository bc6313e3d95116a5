"""The command lines of the parts. Each runs in the control plane's folder, and files are named relative to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.real.control_plane.programs import Binaries

Command = list[str | Path]

SERVING = ["--tls-cert-file=tls.crt", "--tls-private-key-file=tls.key"]
LOOPBACK = "--bind-address=127.0.0.1"


def etcd(programs: Binaries, port: int, peer_port: int) -> Command:
    """The store; it may forget all on a power cut, which makes it faster."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        programs.etcd,
        "--name=store",
        "--data-dir=etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=store={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(programs: Binaries, port: int, etcd_port: int, *, audit: Path | None) -> Command:
    """The API server: users by token, rights by RBAC, the node's server verified as in a real cluster."""
    command: Command = [
        programs.kube_apiserver,
        f"--secure-port={port}",
        LOOPBACK,
        *SERVING,
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--cert-dir=.",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC,Node",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=service-accounts.key",
        "--service-account-signing-key-file=service-accounts.key",
        "--service-cluster-ip-range=10.0.0.0/24",
        # The Service `kubernetes` refuses an endpoint on loopback, and no pod runs that would call it.
        "--endpoint-reconciler-type=none",
        "--kubelet-certificate-authority=ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
    ]
    return command + (["--audit-policy-file=audit-policy.yaml", f"--audit-log-path={audit}"] if audit else [])


def controller_manager(programs: Binaries, port: int, kubeconfig: Path) -> Command:
    """The controllers, each with the rights of its own service account."""
    return [
        programs.kube_controller_manager,
        *_controller(port, kubeconfig),
        "--use-service-account-credentials",
        # With the default of 20 requests a second, the accounts of all controllers take 5 s to make.
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        # The simulated node sends no heartbeats; without them its pods would count as not ready after 50 s.
        "--node-monitor-grace-period=24h",
        "--service-account-private-key-file=service-accounts.key",
        "--root-ca-file=ca.crt",
    ]


def scheduler(programs: Binaries, port: int, kubeconfig: Path) -> Command:
    """The scheduler."""
    return [programs.kube_scheduler, *_controller(port, kubeconfig)]


def _controller(port: int, kubeconfig: Path) -> Command:
    # There is one of each, so that an election would only delay the start.
    return [f"--secure-port={port}", LOOPBACK, *SERVING, f"--kubeconfig={kubeconfig}", "--leader-elect=false"]


def kwok(programs: Binaries, port: int, kubeconfig: Path) -> Command:
    """The simulated kubelet of all nodes; it serves the pods' logs."""
    return [
        programs.kwok,
        "--manage-all-nodes",
        "--node-ip=127.0.0.1",
        f"--node-port={port}",
        f"--server-address=127.0.0.1:{port}",
        *SERVING,
        f"--kubeconfig={kubeconfig}",
        "--config=kwok.yaml",
    ]


CONTROLLERS: Mapping[str, Callable[[Binaries, int, Path], Command]] = {
    "kube-controller-manager": controller_manager,
    "kube-scheduler": scheduler,
}
