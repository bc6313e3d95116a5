"""A network of its own for one process, and a NetworkPolicy that the kernel enforces there: for tests and for people.

    with Network() as network:
        [*network.command, "python", "-m", "chat"]       runs in there, at the address network.inside
        network.enforce(policy)                          as a network plugin enforces it: what is not allowed is dropped
        network.enforce(None)

The control plane of these tests has no network plugin, and its pods run nothing: a process in a namespace stands for
the pod. It sees this machine at `network.outside` and nothing else, and needs root, ip (iproute2) and nft (nftables).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from tests.real.control_plane.programs import PartMissing

Policy = dict[str, Any]
"""A NetworkPolicy as the API server gives it."""
TABLE = "golive"
INSTALL = "apt-get install --no-install-recommends iproute2 nftables"


class Network:
    """A namespace and a cable to it, from `with` to its end. Raises PartMissing where this machine has none to give."""

    def __init__(self) -> None:
        number = os.getpid() % 16_000
        self.name = f"golive{number}"
        self._cable = f"gl{number}"
        third, fourth = divmod(4 * number, 256)  # of the addresses for tests between devices (RFC 2544): four each
        net = f"198.{18 + third // 256}.{third % 256}"
        self.outside, self.inside = f"{net}.{fourth + 1}", f"{net}.{fourth + 2}"

    @property
    def command(self) -> list[str]:
        """What to put before a command for it to run in there."""
        return [_program("ip"), "netns", "exec", self.name]

    def __enter__(self) -> Self:
        _needed()
        _run("ip", "netns", "add", self.name)
        try:
            self._lay_cable()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([_program("ip"), "link", "delete", self._cable], check=False, capture_output=True)
        _run("ip", "netns", "delete", self.name)

    def enforce(self, policy: Policy | None) -> None:
        """Let out what the policy allows, and answers; drop the rest. None lets everything out."""
        rules = f"table inet {TABLE}\ndelete table inet {TABLE}\n"  # declared first, so that there is one to delete
        if policy is not None:
            rules += "\n".join(ruleset(policy)) + "\n"
        self._ruled(rules)

    def forbid(self) -> None:
        """Refuse whatever comes in as a firewall does that says so: by ICMP."""
        chain = "type filter hook input priority 0\nreject with icmpx admin-prohibited"
        self._ruled(f"table inet {TABLE} {{\nchain ingress {{\n{chain}\n}}\n}}\n")

    def _ruled(self, rules: str) -> None:
        subprocess.run([*self.command, _program("nft"), "-f", "-"], input=rules, text=True, check=True)

    def _lay_cable(self) -> None:
        far = f"{self._cable}p"
        _run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", far, "netns", self.name)
        _run("ip", "address", "add", f"{self.outside}/30", "dev", self._cable)
        _run("ip", "link", "set", self._cable, "up")
        for arguments in (
            ["address", "add", f"{self.inside}/30", "dev", far],
            ["link", "set", far, "up"],
            ["link", "set", "lo", "up"],
        ):
            _run("ip", "-n", self.name, *arguments)


def ruleset(policy: Policy) -> Iterator[str]:
    """A policy's egress as rules of nftables. Knows peers that are an ipBlock without exceptions, and ports by number.

    https://kubernetes.io/docs/concepts/services-networking/network-policies/
    """
    assert "Egress" in policy["spec"]["policyTypes"]
    yield f"table inet {TABLE} {{"
    yield "chain egress {"
    yield "type filter hook output priority 0; policy drop;"
    yield 'oifname "lo" accept'
    yield "ct state established,related accept"
    for rule in policy["spec"].get("egress", []):
        yield from (f"{peer} {port} accept".strip() for peer in _peers(rule) for port in _ports(rule))
    yield "}\n}"


def _peers(rule: dict[str, Any]) -> list[str]:
    return [f"ip daddr {peer['ipBlock']['cidr']}" for peer in rule.get("to", [])] or [""]


def _ports(rule: dict[str, Any]) -> list[str]:
    return [f"{port.get('protocol', 'TCP').lower()} dport {port['port']}" for port in rule.get("ports", [])] or [""]


def _needed() -> None:
    """Raises PartMissing, saying what is missing."""
    for name in ("ip", "nft"):
        _program(name)
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, "--net", "true"], check=False, capture_output=True).returncode == 0
    if os.geteuid() != 0 or not tried:
        raise PartMissing("a network for one process takes root and CAP_SYS_ADMIN: sudo, or docker run --privileged")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise PartMissing(f"{name} is not installed: {INSTALL}")
    return found


def _run(name: str, *arguments: str) -> None:
    """Raises CalledProcessError, its words on standard error."""
    subprocess.run([_program(name), *arguments], check=True, stdout=subprocess.DEVNULL)
