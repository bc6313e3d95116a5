"""Who is who in the control plane: certificates, users with their tokens, kubeconfig files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import trustme

# User -> groups.
USERS: Mapping[str, Sequence[str]] = {
    "admin": ["system:masters"],
    "reader": [],
    # The names to which Kubernetes' own bootstrap policy gives these two their rights.
    "system:kube-controller-manager": [],
    "system:kube-scheduler": [],
}


class Credentials:
    """The credentials in a control plane's folder; the files are for their owner's eyes only."""

    def __init__(self, folder: Path, users: Mapping[str, Sequence[str]]) -> None:
        self.ca = folder / "ca.crt"
        self._folder = folder
        self._users = {**USERS, **users}
        self._tokens = {user: secrets.token_hex(16) for user in self._users}

    def write(self) -> None:
        """Write what the servers need: ca.crt, tls.crt, tls.key, service-accounts.key, tokens.csv."""
        authority = trustme.CA()
        serving = authority.issue_cert("127.0.0.1", "localhost", "kubernetes.default.svc")
        authority.cert_pem.write_to_path(self.ca)
        serving.cert_chain_pems[0].write_to_path(self._folder / "tls.crt")
        _write_private(self._folder / "tls.key", serving.private_key_pem.bytes())
        # Only the key signs, the tokens of service accounts; its certificate is of no use.
        _write_private(self._folder / "service-accounts.key", authority.issue_cert("localhost").private_key_pem.bytes())
        lines = [f'{self._tokens[user]},{user},{user},"{",".join(groups)}"\n' for user, groups in self._users.items()]
        _write_private(self._folder / "tokens.csv", "".join(lines).encode())

    def token(self, user: str) -> str:
        """The bearer token of a user. Raises KeyError with the known users."""
        if user not in self._tokens:
            raise KeyError(f"no user {user!r}; there are {', '.join(self._tokens)}")
        return self._tokens[user]

    def kubeconfig(self, server: str, user: str, context: str, namespace: str) -> Path:
        """Write a kubeconfig file with one context, and return its path."""
        path = self._folder / f"{user.replace(':', '-')}-{context}-{namespace}.kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": context, "user": user, "namespace": namespace}}],
            "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority": str(self.ca)}}],
            "users": [{"name": user, "user": {"token": self.token(user)}}],
        }
        _write_private(path, json.dumps(config, indent=2).encode())  # JSON is YAML
        return path


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
