"""The chat service, in TypeScript and in Python, as a process against the sandbox's Mistral API over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real import service as module
from tests.real.control_plane.processes import ProcessGroup, free_port
from tests.real.python_service import PythonServiceProcess
from tests.real.service import BuildError, PartMissing, ServiceProcess, StartError, main, prepared, repository

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3"
PROMPT = "a prompt that nobody may read"
MODEL = "mistral-small-2603"
DEADLINE = 3.0
"""Seconds that the service may take for a message."""
HTTP = httpx.Client(verify=False, timeout=20)  # no TLS here: loads no certificates
SLACK = 2.0
"""Seconds that a busy machine may add."""

# What the service makes of each fault: (fault, code of its error, requests at the most).
ANSWERS = [
    ("400-model", "invalid", 1),
    ("401", "auth", 1),
    ("401-gateway", "auth", 1),
    ("403", "auth", 1),
    ("404", "invalid", 1),
    ("422", "invalid", 1),
    ("422-wrapped", "invalid", 1),
    ("422-plain", "invalid", 1),
    ("429", "rate_limited", 2),
    ("500", "server", 2),
    ("503-capacity", "server", 2),
    ("504", "server", 2),
    ("520", "server", 2),
    ("reset", "network", 2),
    ("closed", "network", 2),
    ("hang", "timeout", 2),
    ("drip", "timeout", 2),
    ("html", "server", 1),
    ("half-json", "server", 1),
]
PATHS = ("/api/chat", "/api/chat/stream")
# As a stream, a slow drip is words that reach the user: it breaks off, as others below do.
DRIPS = ("/api/chat/stream", "drip")
ANSWERED = [(path, *row) for path in PATHS for row in ANSWERS if (path, row[0]) != DRIPS]


@pytest.fixture(scope="module")
def installed() -> None:
    """The service can be built; a pipeline must have what that needs."""
    try:
        prepared()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module", params=[ServiceProcess, PythonServiceProcess], ids=["typescript", "python"])
def program(request: pytest.FixtureRequest) -> type[ServiceProcess]:
    """Each of the two services: nobody can tell them apart by what they do."""
    kind: type[ServiceProcess] = request.param
    return kind


class Provider:
    """The sandbox's Mistral API, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fault(self, name: str | None) -> None:
        """Answer with a fault from now on, or be well again (None)."""
        HTTP.post(f"{self.url}/_sandbox/fault", json={"fault": name}).raise_for_status()
        HTTP.delete(f"{self.url}/_sandbox/requests").raise_for_status()

    @property
    def completions(self) -> int:
        """How many completions it was asked for since the last fault was set."""
        requests = HTTP.get(f"{self.url}/_sandbox/requests").json()["requests"]
        return sum(request["method"] == "POST" for request in requests)

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return HTTP.get(f"{self.url}/_sandbox/fault").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def running_provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """One Mistral API for all."""
    group, port = ProcessGroup(), free_port()
    provider = Provider(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "fixtures.sandbox.mistral", "--port", str(port), "--key", KEY]
    try:
        process = group.start(
            "mistral", ["/usr/bin/env", f"PYTHONPATH={ROOT}", *command], tmp_path_factory.mktemp("mistral")
        )
        process.wait_until(provider.answers, time.monotonic() + 20)
        yield provider
    finally:
        group.stop()


@pytest.fixture
def provider(running_provider: Provider) -> Iterator[Provider]:
    """The Mistral API, well at the start and at the end."""
    running_provider.fault(None)
    yield running_provider
    running_provider.fault(None)


def variables(provider: Provider, **more: str) -> dict[str, str]:
    """The service's settings."""
    return {
        "NODE_ENV": "staging",
        "MISTRAL_API_KEY": KEY,
        "MISTRAL_BASE_URL": provider.url,
        "MISTRAL_MODEL": MODEL,
        "FALLBACK_TEXT": "Later, please.",
        "REQUEST_DEADLINE_MS": str(int(DEADLINE * 1000)),
        "RETRY_MAX": "1",
        "GIT_REVISION": "0123abc",
        **more,
    }


@pytest.fixture(scope="module")
def running(
    program: type[ServiceProcess], running_provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """One service whose circuit stays closed, so that the tests do not touch each other."""
    settings = variables(running_provider, BREAKER_THRESHOLD="1000")
    with program(None, settings, tmp_path_factory.mktemp("service")) as service:
        yield service


def say(service: ServiceProcess, path: str = "/api/chat", message: str = PROMPT) -> httpx.Response:
    """What a user gets."""
    return HTTP.post(service.url + path, json={"message": message})


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The data of a stream's events."""
    return [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]


def test_the_chat_gives_the_models_answer(running: ServiceProcess, provider: Provider) -> None:
    """A message gets the model's answer, with its model and how it ended."""
    answer = say(running)
    expected = {"reply": "Ready.", "model": MODEL, "finish_reason": "stop", "fallback": False}
    assert (answer.status_code, answer.json()) == (200, expected)


def test_the_stream_comes_to_its_end(running: ServiceProcess, provider: Provider) -> None:
    """A stream gives the answer in pieces, and then says that it is done."""
    answer = say(running, "/api/chat/stream")
    *pieces, last = events(answer)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "".join(piece["delta"] for piece in pieces) == "Ready."
    assert last == {"done": True, "finish_reason": "stop", "model": MODEL}


def test_health_tells_what_mistral_answers(running: ServiceProcess, provider: Provider) -> None:
    """Health is 200 and says as what the service runs, and when and how fast Mistral answered."""
    answer = HTTP.get(f"{running.url}/health")
    body = answer.json()
    assert (answer.status_code, body["status"], body["environment"]) == (200, "healthy", "staging")
    assert body["revision"] == "0123abc"
    assert body["services"]["mistral"]["healthy"] is True
    assert body["services"]["mistral"]["latency_ms"] >= 0
    assert body["services"]["mistral"]["circuit"] == "closed"


@pytest.mark.parametrize("body", [{}, {"message": ""}, {"message": 1}, {"message": "x", "model": "y"}, []])
def test_invalid_input_is_refused(running: ServiceProcess, provider: Provider, body: object) -> None:
    """What is no message is a 400, and is never sent on."""
    answer = HTTP.post(f"{running.url}/api/chat", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    assert provider.completions == 0


@pytest.mark.parametrize(
    ("path", "fault", "code", "requests"), ANSWERED, ids=[f"{path[5:]} {fault}" for path, fault, *_ in ANSWERED]
)
def test_each_fault_is_answered_in_the_same_way(
    running: ServiceProcess, provider: Provider, path: str, fault: str, code: str, requests: int
) -> None:
    """Whatever Mistral does, the user gets the fallback text as a 503, in time, after no more requests than allowed."""
    provider.fault(fault)
    answer = say(running, path)
    assert answer.elapsed.total_seconds() < DEADLINE + SLACK
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)
    assert (answer.json()["fallback"], answer.json()["reply"]) == (True, "Later, please.")
    assert provider.completions <= requests


@pytest.mark.parametrize(
    "fault",
    [
        "stream-cut",
        "stream-reset",
        "stream-ended-early",
        "stream-half-line",
        "stream-broken-json",
        "stream-error",
        "stream-hang",
        "drip",
    ],
)
def test_a_broken_stream_ends_in_an_error(running: ServiceProcess, provider: Provider, fault: str) -> None:
    """A stream that breaks off, or ends without a finish reason, is never done."""
    provider.fault(fault)
    last = events(say(running, "/api/chat/stream"))[-1]
    assert last["error"]["code"] in {"network", "server", "timeout"}


@pytest.mark.parametrize("fault", ["401", "500", "hang"])
def test_health_does_not_hide_an_outage(running: ServiceProcess, provider: Provider, fault: str) -> None:
    """While Mistral fails, health is 503 and says whose fault it is; liveness and readiness stay well."""
    provider.fault(fault)
    say(running)
    answer = HTTP.get(f"{running.url}/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["services"]["mistral"]["healthy"] is False
    assert [HTTP.get(running.url + path).status_code for path in ("/live", "/ready")] == [200, 200]


def test_the_circuit_opens_and_recovers_by_itself(
    program: type[ServiceProcess], provider: Provider, tmp_path: Path
) -> None:
    """After the declared failures nothing is sent; after the outage the service is well again, though nobody asks."""
    settings = variables(provider, RETRY_MAX="0", BREAKER_THRESHOLD="3", BREAKER_RESET_MS="3000")
    with program(None, settings, tmp_path) as service:
        provider.fault("500")
        codes = [say(service).json()["error"]["code"] for _ in range(5)]
        assert codes == ["server"] * 3 + ["circuit_open"] * 2
        assert provider.completions == 3
        assert "mistral_circuit_breaker_state 2" in HTTP.get(f"{service.url}/metrics").text
        provider.fault(None)
        until = time.monotonic() + 30
        while HTTP.get(f"{service.url}/health").json()["status"] != "healthy" and time.monotonic() < until:
            time.sleep(0.05)
        assert say(service).status_code == 200


@dataclass(frozen=True)
class Life:
    """What one service left behind that met a few faults: its first metrics, its address, its log."""

    metrics: str
    url: str
    log: str


@pytest.fixture(scope="module")
def life(program: type[ServiceProcess], running_provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """One service from its start to its end."""
    settings = variables(running_provider, LOG_LEVEL="debug")
    with program(None, settings, tmp_path_factory.mktemp("life")) as service:
        metrics = HTTP.get(f"{service.url}/metrics").text
        for fault in ("401", "422", "500", "half-json", None):
            running_provider.fault(fault)
            say(service)
    return Life(metrics, service.url, service.log.read_text())


def test_each_signal_has_its_series_from_the_start(life: Life) -> None:
    """What the alerts look at exists before anything has happened."""
    lines = life.metrics.splitlines()
    for kind in ("auth", "rate_limited", "server", "timeout", "network", "invalid"):
        assert any(line in lines for line in (f'mistral_errors_total{{type="{kind}"}} {zero}' for zero in ("0", "0.0")))
    for name in ("mistral_up", "mistral_circuit_breaker_state"):
        assert any(line.startswith(f"{name} ") for line in lines)


def test_the_log_holds_no_key_and_no_prompt(life: Life) -> None:
    """The log has a line for each failure with Mistral's correlation id, and neither key nor prompt nor stack."""
    failures = [line for line in map(json.loads, life.log.splitlines()) if line["msg"] == "failed by Mistral"]
    assert {line["status"] for line in failures} == {"401", "422", "500", "server"}
    assert all(line["correlationId"] for line in failures if line["status"] != "server")
    assert [secret for secret in (KEY, PROMPT, "node_modules", "    at ", "Traceback") if secret in life.log] == []


def test_the_end_is_clean(life: Life) -> None:
    """On SIGTERM the service finishes what it does, says so, and its port is free."""
    assert json.loads(life.log.splitlines()[-1])["msg"] == "stopped"
    with pytest.raises(httpx.ConnectError):
        HTTP.get(f"{life.url}/live")


def test_a_start_that_fails_shows_the_log(installed: None, tmp_path: Path) -> None:
    """A service that does not start says why: the variable, and what is wrong with it."""
    wrong = {"MISTRAL_API_KEY": KEY, "MISTRAL_MODEL": MODEL, "MISTRAL_DEBUG": "1"}
    with pytest.raises(StartError, match="MISTRAL_DEBUG: makes the SDK print the API key") as caught:
        ServiceProcess(None, wrong, tmp_path).__enter__()
    assert KEY not in str(caught.value)


def test_the_repository_is_clean_and_its_tests_pass(installed: None, tmp_path: Path) -> None:
    """The repository holds one commit and nothing beside it, before and after its tests, types and lint."""
    folder = tmp_path / "chat"
    revision = repository(folder)
    log = subprocess.run(["git", "log", "--format=%H"], cwd=folder, capture_output=True, text=True, check=True)
    assert log.stdout.split() == [revision]
    for script in ("test", "typecheck", "lint"):
        done = subprocess.run(["npm", "run", script], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    status = subprocess.run(["git", "status", "--short"], cwd=folder, capture_output=True, text=True, check=True)
    assert status.stdout == ""


def test_the_alerts_are_right() -> None:
    """promtool accepts the alert rules, and each fires above its condition and not below."""
    try:
        subprocess.run(
            ["promtool", "test", "rules", "alerts.test.yaml"], cwd=module.SOURCES / "deploy", check=True, timeout=30
        )
    except FileNotFoundError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("promtool is not installed: apt-get install --no-install-recommends prometheus")


def test_a_machine_without_node_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no Node.js, the error names the step that installs it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PartMissing, match="node is not installed: install Node"):
        prepared()
    assert main(["build"]) == 1


def test_a_failed_installation_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where npm fails, its words are told, and no half of an installation is taken for a whole one."""
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BuildError, match="no network"):
        prepared()
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_dir() and path.name != "service"] == [
        tmp_path / "cache" / "golive"
    ]


def test_the_lock_names_no_registry() -> None:
    """The lock says what to install and not from where, so that it works behind any mirror."""
    packages = json.loads((module.SOURCES / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_the_command_line_tells_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but `build` is a usage error."""
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
