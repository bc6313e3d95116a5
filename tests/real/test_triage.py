"""Diagnoses from real faults: a Mistral API of its own, a real service, a real Prometheus, real sockets and names."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from fixtures import http
from fixtures.sandbox.world import World, started
from fixtures.settings import load
from tests.checks.judging import ENVIRONMENTS
from tests.fixtures.misbehaving import misbehaving, page
from tests.fixtures.sandbox.test_mistral_serving import KEY, program
from tests.plugins.triage.nights import looked
from tests.real.prometheus import PrometheusServer
from tests.real.python_service import PythonServiceProcess

pytestmark = pytest.mark.real

MODEL = "mistral-small-2603"
MESSAGES = 12
HTTP = httpx.Client(verify=False, timeout=20)  # no TLS here: loads no certificates


@dataclass
class Scene:
    """The parts, and the settings that lead to them."""

    settings: dict[str, Any]
    mistral: str
    service: PythonServiceProcess
    prometheus: PrometheusServer

    def diagnosed(self, folder: Path, **sections: dict[str, Any]) -> dict[str, Any]:
        """What triage makes of it, with some settings changed for this once."""
        overlay = {name: {**table, **sections.get(name, {})} for name, table in self.settings.items()}
        return looked(folder, load("sandbox", ENVIRONMENTS, overlay=overlay, variables={})).document()


@contextmanager
def _scene(folder: Path, *, calls: str = "", fault: str = "none") -> Iterator[Scene]:
    """All parts up. The service calls a Mistral API of its own with this `fault`, or whatever is at `calls`."""
    with ExitStack() as stack:
        ours = stack.enter_context(program(1, "--port", "0")).lines[0]
        its = calls or stack.enter_context(program(1, "--port", "0", "--fault", fault)).lines[0]
        variables = {
            "NODE_ENV": "production",
            "MISTRAL_API_KEY": KEY,
            "MISTRAL_BASE_URL": its,
            "MISTRAL_MODEL": MODEL,
            "RETRY_MAX": "0",
            "BREAKER_THRESHOLD": "1000",
            "REQUEST_DEADLINE_MS": "2000",
        }
        service = stack.enter_context(PythonServiceProcess(None, variables, folder / "service"))
        targets = {"chat": [service.url.removeprefix("http://")]}
        prometheus = stack.enter_context(PrometheusServer(folder / "prometheus", targets, interval=0.5))
        world = World()
        world.rotate(KEY)
        running = stack.enter_context(started(world, folder / "world"))
        settings = running.settings
        settings["provider"]["base_url"] = ours
        settings["service"]["url"] = service.url
        settings["prometheus"]["url"] = prometheus.url
        for _ in range(MESSAGES):
            HTTP.post(f"{service.url}/api/chat", json={"message": "Hello"})
        counted = f"sum(mistral_requests_total) >= {MESSAGES}"
        prometheus.wait_for(counted)
        time.sleep(1.2)  # a second sample of it: an increase takes two
        yield Scene(settings, ours, service, prometheus)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything well; a test changes settings only."""
    with _scene(tmp_path_factory.mktemp("scene")) as found:
        yield found


def test_a_real_world_that_is_well_is_nothing_wrong(scene: Scene, tmp_path: Path) -> None:
    """By four answers, none of them missing."""
    found = scene.diagnosed(tmp_path)
    assert (found["diagnosis"], found["sure"]) == ("nothing-wrong", "confirmed"), found
    assert [row["what"] for row in found["unasked"]] == ["the error rate before"]  # this Prometheus is a minute old


@pytest.mark.parametrize(
    ("fault", "diagnosis"),
    [
        ("401", "key-rejected"),
        ("403", "model-not-allowed"),
        ("400-retired", "model-retired"),
        ("429", "rate-limited-requests"),
        ("429-never", "never-allowed"),
        ("429-capacity", "provider-capacity"),
        ("503", "provider-errors"),
        ("slow", "provider-slow"),
        ("timeout", "provider-slow"),
    ],
)
def test_a_fault_of_mistral_s_leads_to_its_diagnosis(fault: str, diagnosis: str, scene: Scene, tmp_path: Path) -> None:
    """Injected into a program of its own, met over a real socket, while everything else is well."""
    found = scene.diagnosed(tmp_path, provider={"base_url": f"{scene.mistral}/fault-{fault}"})
    assert (found["diagnosis"], found["sure"]) == (diagnosis, "confirmed"), found


def test_a_name_that_does_not_resolve_is_dns(scene: Scene, tmp_path: Path) -> None:
    """The resolver of this machine says so."""
    found = scene.diagnosed(tmp_path, provider={"base_url": "https://api.mistral.invalid"})
    assert (found["diagnosis"], found["sure"]) == ("unreachable-dns", "confirmed"), found


def test_a_closed_port_is_tcp(scene: Scene, tmp_path: Path) -> None:
    """The kernel refuses the connection."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        found = scene.diagnosed(tmp_path, provider={"base_url": f"http://127.0.0.1:{held.getsockname()[1]}"})
    assert (found["diagnosis"], found["sure"]) == ("unreachable-tcp", "confirmed"), found


@contextmanager
def _named_otherwise(ca: Path) -> Iterator[str]:
    """The URL of a TLS server with a certificate of another host, by an authority whose certificate `ca` is."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.other.example").configure_cert(context)
    with misbehaving(page("200 OK"), context) as port:
        yield f"https://127.0.0.1:{port}"


def test_a_certificate_of_another_host_is_tls(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its authority is trusted; the name is not the one that was asked for."""
    with _named_otherwise(tmp_path / "ca.pem") as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        http._context.cache_clear()
        try:
            found = scene.diagnosed(tmp_path / "run", provider={"base_url": url})
        finally:
            http._context.cache_clear()
    assert (found["diagnosis"], found["sure"]) == ("unreachable-tls", "confirmed"), found
    assert "127.0.0.1" in found["path"][0]["answer"]


def test_a_proxy_that_is_gone_is_the_proxy(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not Mistral's fault."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        found = scene.diagnosed(tmp_path, provider={"base_url": "https://api.mistral.example"})
    assert (found["diagnosis"], found["sure"]) == ("unreachable-proxy", "confirmed"), found


def test_a_prometheus_that_was_stopped_leaves_us_blind(scene: Scene, tmp_path: Path) -> None:
    """Everything else is well, and that is all that is said."""
    scene.prometheus.stop()
    try:
        found = scene.diagnosed(tmp_path)
    finally:
        scene.prometheus.start()
    assert (found["diagnosis"], found["sure"]) == ("metrics-blind", "confirmed"), found


def _ended(scene: Scene) -> None:
    scene.service._group.stop()


CAUSES: list[tuple[str, dict[str, str], Callable[[Scene], None] | None, str]] = [
    ("its service was stopped", {}, _ended, "service-down"),
    ("its calls are invalid", {"fault": "422"}, None, "own-bug"),
    ("its key is another", {"fault": "401"}, None, "key-rejected"),
    ("its calls do not get out", {"calls": "http://127.0.0.1:9"}, None, "unreachable-egress"),
]


@pytest.mark.parametrize(("given", "change", "diagnosis"), [row[1:] for row in CAUSES], ids=[row[0] for row in CAUSES])
def test_what_only_the_service_meets_is_told_by_what_it_counts(
    given: dict[str, str], change: Callable[[Scene], None] | None, diagnosis: str, tmp_path: Path
) -> None:
    """From here Mistral answers well; a real Prometheus has counted what the service's own calls came to."""
    with _scene(tmp_path / "scene", **given) as scene:
        if change is not None:
            change(scene)
        found = scene.diagnosed(tmp_path / "run")
    assert found["diagnosis"] == diagnosis, found
