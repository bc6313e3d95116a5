"""The incidents: each a real fault, and what triage must make of it.

`made` brings the fault about, takes it away again by its stack, and says which settings lead there.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import trustme

from fixtures import http
from tests.fixtures.misbehaving import misbehaving, page
from tests.fixtures.sandbox.test_mistral_serving import program
from tests.real import scene as scenes
from tests.real.egress import Network
from tests.real.python_service import PythonServiceProcess
from tests.real.scene import Scene, Sections

Made = Callable[[Scene, ExitStack], Sections]


@dataclass(frozen=True, slots=True)
class Incident:
    """A fault, in words for people, the service that is looked at, and the diagnosis."""

    name: str
    fault: str
    diagnosis: str
    sure: str
    made: Made
    service: str = "well"
    still: frozenset[str] = frozenset()
    """The answers without which it is as sure: another answer says so by itself."""


def _nothing(_: Scene, __: ExitStack) -> Sections:
    return {}


def _mistral(fault: str) -> Made:
    return lambda scene, _: {"provider": {"base_url": f"{scene.mistral}/fault-{fault}"}}


def _at(url: str) -> Made:
    return lambda *_: {"provider": {"base_url": url}}


def closed(stack: ExitStack) -> str:
    """An address of loopback whose port is taken, and refuses connections."""
    held = stack.enter_context(socket.socket())
    held.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{held.getsockname()[1]}"


def _port_closed(_: Scene, stack: ExitStack) -> Sections:
    return {"provider": {"base_url": f"http://{closed(stack)}"}}


def _certificate_of_another(scene: Scene, stack: ExitStack) -> Sections:
    """The authority is trusted; the name is not the one that was asked for."""
    authority, ca = trustme.CA(), scene.folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.other.example").configure_cert(context)
    port = stack.enter_context(misbehaving(page("200 OK"), context))
    stack.callback(http._context.cache_clear)
    stack.enter_context(mock.patch.dict(os.environ, {"SSL_CERT_FILE": str(ca)}))
    http._context.cache_clear()
    return {"provider": {"base_url": f"https://127.0.0.1:{port}"}}


def _proxy_gone(_: Scene, stack: ExitStack) -> Sections:
    variables = {"HTTPS_PROXY": f"http://{closed(stack)}", "NO_PROXY": "127.0.0.1,localhost"}
    stack.enter_context(mock.patch.dict(os.environ, variables))
    return {"provider": {"base_url": "https://api.mistral.example"}}


def _firewall(_: Scene, stack: ExitStack) -> Sections:
    network = stack.enter_context(Network())
    network.forbid()
    return {"provider": {"base_url": f"http://{network.inside}"}}


DNS = {"ports": [{"protocol": "UDP", "port": 53}]}
"""Where it is all that is allowed, names may be asked for, and nothing called by them: what is forgotten most."""


def restricted(scene: Scene, *more: dict[str, Any]) -> dict[str, Any]:
    """The NetworkPolicy of the confined service, with `more` rules, as the API server holds it."""
    spec = {"podSelector": {"matchLabels": {"app": "chat"}}, "policyTypes": ["Egress"], "egress": [DNS, *more]}
    metadata = {"name": "chat", "namespace": "confined"}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    (policy,) = scene.plane.apply([{**kind, "metadata": metadata, "spec": spec}])
    return policy


class Confined(PythonServiceProcess):
    """The service on a network of its own."""

    network: Network

    def _program(self) -> tuple[list[str], dict[str, str]]:
        command, needed = super()._program()
        return [*self.network.command, *command], needed


def _policy(scene: Scene, stack: ExitStack) -> Sections:
    """A NetworkPolicy as the API server holds it, enforced by the kernel around the service's process."""
    network = stack.enter_context(Network())
    confine(scene, stack, network)
    network.enforce(restricted(scene))
    scenes.write(scene.services["confined"].url, scenes.MESSAGES)
    scene.counted("confined")
    return {}


def confine(scene: Scene, stack: ExitStack, network: Network) -> None:
    """Start the service on this network, with a Mistral that it can reach there."""
    (mistral,) = stack.enter_context(program(1, "--host", network.outside, "--port", "0")).lines
    service = Confined(None, scene.variables(mistral, {"REQUEST_DEADLINE_MS": "2000"}), scene.folder / "confined")
    service.network, service.host = network, network.inside
    scene.joined("confined", stack.enter_context(service), stack)
    scene.aim("confined")


def _prometheus_stopped(scene: Scene, stack: ExitStack) -> Sections:
    stack.callback(scene.prometheus.start)
    scene.prometheus.stop()
    return {}


def _process_stopped(scene: Scene, _: ExitStack) -> Sections:
    scene.services["stopped"].stop()
    return {}


def _stranger(scene: Scene, _: ExitStack) -> Sections:
    return {"kubernetes": scene.cluster("well", "stranger")}


def _stranger_too(fault: str) -> Made:
    return lambda scene, stack: {**_mistral(fault)(scene, stack), **_stranger(scene, stack)}


def _no_such_path(_: Scene, __: ExitStack) -> Sections:
    return {"service": {"chat": {"path": "/api/talk"}}}


def _all_closed(scene: Scene, stack: ExitStack) -> Sections:
    """As it looks from a machine that has lost its network."""
    here = closed(stack)
    file = Path(scene.cluster("well", "reader")["kubeconfig"])
    lost = scene.folder / "lost.kubeconfig"
    lost.write_text(file.read_text().replace(scene.plane.server, f"https://{here}"))
    return {
        "provider": {"base_url": f"http://{here}"},
        "service": {"url": f"http://{here}"},
        "prometheus": {"url": f"http://{here}"},
        "kubernetes": {"kubeconfig": str(lost), "servers": [f"https://{here}"]},
    }


INCIDENTS: tuple[Incident, ...] = (
    Incident("well", "none", "nothing-wrong", "confirmed", _nothing),
    Incident("key", "Mistral answers 401", "key-rejected", "confirmed", _mistral("401"), service="refused"),
    Incident(
        "key-of-the-service",
        "Mistral answers 401 to the service, and not to us",
        "key-rejected",
        "likely",
        _nothing,
        service="refused",
        still=frozenset({"rate"}),
    ),
    Incident("tier", "Mistral answers 403", "model-not-allowed", "confirmed", _mistral("403")),
    Incident(
        "retired",
        "Mistral answers 400: the model is not in use",
        "model-retired",
        "confirmed",
        _mistral("400-retired"),
    ),
    Incident(
        "requests",
        "429, no requests left of the minute",
        "rate-limited-requests",
        "confirmed",
        _mistral("429"),
        service="throttled",
    ),
    Incident(
        "requests-of-the-service",
        "429 to the service, and not to us",
        "rate-limited-requests",
        "likely",
        _nothing,
        service="throttled",
        still=frozenset({"rate"}),
    ),
    Incident("tokens", "429, no tokens left of the minute", "rate-limited-tokens", "confirmed", _mistral("429-tokens")),
    Incident("never", "429, a limit of nought", "never-allowed", "confirmed", _mistral("429-never")),
    Incident("capacity", "429 for want of capacity", "provider-capacity", "confirmed", _mistral("429-capacity")),
    Incident("errors", "Mistral answers 503", "provider-errors", "confirmed", _mistral("503")),
    Incident("slow", "Mistral answers after 3 s", "provider-slow", "confirmed", _mistral("slow")),
    Incident("hanging", "Mistral takes the call and says nothing", "provider-slow", "confirmed", _mistral("timeout")),
    Incident(
        "name", "a name that does not resolve", "unreachable-dns", "confirmed", _at("https://api.mistral.invalid")
    ),
    Incident("port", "a port that refuses connections", "unreachable-tcp", "confirmed", _port_closed),
    Incident("certificate", "a certificate of another host", "unreachable-tls", "confirmed", _certificate_of_another),
    Incident("proxy", "a proxy that is gone", "unreachable-proxy", "confirmed", _proxy_gone),
    Incident("firewall", "a firewall that forbids the way (ICMP)", "unreachable-egress", "confirmed", _firewall),
    Incident(
        "policy",
        "a NetworkPolicy drops what the pods send",
        "unreachable-egress",
        "likely",
        _policy,
        service="confined",
    ),
    Incident("stopped", "the service's process is stopped", "service-down", "confirmed", _process_stopped, "stopped"),
    Incident(
        "order",
        "Mistral answers 400 to the service: the order of its messages",
        "own-bug",
        "confirmed",
        _nothing,
        service="disorderly",
    ),
    Incident(
        "circuit",
        "a moment of 503, and a circuit that stays open",
        "circuit-open",
        "confirmed",
        _nothing,
        service="tripped",
    ),
    Incident(
        "fallback",
        "Mistral answers 503, the service a bare 500",
        "fallback-failing",
        "confirmed",
        _mistral("503"),
        service="bare",
    ),
    Incident("blind", "Prometheus is stopped", "metrics-blind", "confirmed", _prometheus_stopped),
    Incident("path", "messages go to a path that the service does not have", "unknown", "unknown", _no_such_path),
    Incident("lost", "every port refuses connections", "unknown", "unknown", _all_closed),
    Incident("rbac", "none, and RBAC hides the pods", "nothing-wrong", "likely", _stranger),
    Incident(
        "rbac-key", "Mistral answers 401, and RBAC hides the pods", "key-rejected", "confirmed", _stranger_too("401")
    ),
)
"""Every diagnosis at least once."""
