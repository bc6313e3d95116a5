"""Both good services drilled in staging by each way in turn; nothing that they send leaves this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.drills.evidence import Receipt
from tests.real import python_service, staging
from tests.real.python_service import PythonServiceProcess
from tests.real.service import ServiceProcess, program
from tests.real.staging import ROOT

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("world-drills")]

AT_ONCE = 2
"""Runs side by side: most of the time each waits for a service that waits."""
LONGEST = 400.0
"""Seconds for one run, on a machine that is busy."""
KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3"
LOOPBACK_ONLY = Path(__file__).with_name("loopback_only")
RESILIENCE = {f"RES-{number:03}" for number in range(1, 13)}
OUT_OF_REACH = {"RES-009": "the logs of the service", "RES-012": "cannot be handed another key"}
"""What cannot be told of a service that somebody else runs, and how that is said."""
FAULTS = {"failures": 18, "outages": 9, "load": 3}
"""The drills with a fault, by observation; the rotation has none."""

SAID = {
    "running": "running",
    "variable": "variable MISTRAL_BASE_URL",
    "preload": "preload",
    "proxy": "proxy",
}
"""How the report calls each way; the one that takes longest comes first."""
CASES = [(language, way) for way in SAID for language in staging.PROGRAMS]
COPIES = [(language, way) for language, way in CASES if way != "running" and (language, way) != ("typescript", "proxy")]


@dataclass(frozen=True, slots=True)
class Drilled:
    """What a run came to, and the hosts beyond this machine that the service asked for: each was refused."""

    folder: Path
    findings: dict[str, dict[str, Any]]
    beyond: set[str]
    printed: str

    def ids(self, *statuses: str) -> set[str]:
        """The checks of these statuses."""
        return {name for name, finding in self.findings.items() if finding["status"] in statuses}

    def seen(self, name: str) -> dict[str, Any]:
        """An evidence file."""
        document: dict[str, Any] = json.loads((self.folder / "run" / "observations" / f"{name}.json").read_text())
        return document

    def drills(self, name: str) -> list[dict[str, Any]]:
        """The drills of an observation."""
        return list(_drills(self.seen(name)["value"]))


def _drills(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if {"fault", "copy", "receipt"} <= value.keys():
            yield value
        else:
            yield from _drills(list(value.values()))
    elif isinstance(value, list):
        for inner in value:
            yield from _drills(inner)


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[Drilled]]]:
    """The runs of all cases that are asked for, begun at once."""
    folder = tmp_path_factory.mktemp("drills")
    asked = {_case(item) for item in request.session.items if item.path == request.path}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case: pool.submit(_drilled, *case, folder / "-".join(case)) for case in CASES if case in asked}
        pool.shutdown(cancel_futures=True)


def _case(item: pytest.Item) -> tuple[str, str] | None:
    parameters = getattr(item, "callspec", None)  # of a parametrized test
    if parameters is None or "way" not in parameters.params:
        return None
    return parameters.params["language"], parameters.params["way"]


def _drilled(language: str, way: str, folder: Path) -> Drilled:
    service = staging.PROGRAMS[language](folder / "repository")
    settings, beyond = folder / "environments" / "staging.toml", folder / "beyond"
    with ExitStack() as stack:
        if way == "running":
            address = stack.enter_context(staging.mistral_api(folder, KEY))
            url = stack.enter_context(_running(language, address, folder)).url
            staging.written(settings, service, url=url, resilience={"fault_server": address})
        else:
            kept = _kept_here(language, beyond)
            staging.written(settings, service, variables=kept, resilience={"methods": [way]})
        command = [sys.executable, "-m", "pytest", *staging.arguments(settings.parent), f"--run-dir={folder / 'run'}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST)
        if way == "running":
            _refuse_illness(url, address)
    report = json.loads((folder / "run" / "report.json").read_text())
    findings = {row["id"]: row for row in report["findings"] if row["id"] in RESILIENCE}
    hosts = set(beyond.read_text().split()) if beyond.exists() else set()
    return Drilled(folder, findings, hosts, done.stdout + done.stderr)


def _running(language: str, address: str, folder: Path) -> ServiceProcess:
    """The service as somebody runs it who has pointed it at the fault server."""
    kind = PythonServiceProcess if language == "python" else ServiceProcess
    settings = {"MISTRAL_API_KEY": KEY, "MISTRAL_BASE_URL": address} | _kept_here(language, folder / "beyond")
    if language == "python":
        settings["PYTHONPATH"] += f":{python_service.SOURCES}"
    return kind(None, staging.VARIABLES | settings, folder / "service")


def _kept_here(language: str, beyond: Path) -> dict[str, str]:
    """The variables that keep a program on this machine, and have it write down whom it asks for beyond that."""
    if language == "python":
        return {"LOOPBACK_ONLY": str(beyond), "PYTHONPATH": str(LOOPBACK_ONLY)}
    return {"LOOPBACK_ONLY": str(beyond), "NODE_OPTIONS": f"--require={LOOPBACK_ONLY / 'preload.cjs'}"}


def _refuse_illness(url: str, address: str) -> None:
    """A service that runs on is left as it was found: no fault is on, and it answers."""
    assert httpx.get(f"{address}/_sandbox/fault").json()["fault"] is None
    answer = httpx.post(f"{url}/api/chat", json={"message": "Hello"}, timeout=10)
    assert (answer.status_code, answer.json()["fallback"]) == (200, False)


@pytest.mark.parametrize(("language", "way"), COPIES)
def test_a_good_service_passes_by_each_way(
    runs: dict[tuple[str, str], Future[Drilled]], language: str, way: str
) -> None:
    """All twelve checks pass, on faults that were met, in copies led there this way alone; production gets a record."""
    done = runs[language, way].result()
    _assert_good(done, way)
    (record,) = (done.folder / "environments" / "records").iterdir()
    assert record.stem == _head(done.folder / "repository")
    assert json.loads(record.read_text())["redirection"] == SAID[way]


def _assert_good(done: Drilled, way: str) -> None:
    assert done.ids("passed") == RESILIENCE, done.printed
    assert done.seen("redirection")["value"]["method"] == SAID[way]
    assert [attempt["method"] for attempt in done.seen("redirection")["value"]["tried"]] == [SAID[way]]
    _assert_receipts(done, SAID[way])
    (rotation,) = done.drills("rotation")
    assert rotation["copy"].endswith(f", {SAID[way]}")
    assert {asked["key"] for asked in rotation["asked"]} <= {"current", "previous"}
    _assert_at_home(done, "https" if way == "proxy" else "http")


def _assert_receipts(done: Drilled, method: str) -> None:
    """Each fault met requests, was over, and a good answer followed."""
    for name, count in FAULTS.items():
        drills = done.drills(name)
        assert len(drills) == count
        for drill in drills:
            assert drill["copy"].endswith(f", {method}")
            assert drill["gap"] is None
            receipt = Receipt(**drill["receipt"])
            assert receipt.proves, (drill["fault"], receipt)
            assert receipt.delivered <= receipt.seen


def _assert_at_home(done: Drilled, scheme: str) -> None:
    """Every address that was asked is one of this machine's, and the fault server speaks what it should."""
    addresses = [word for source in done.seen("redirection")["sources"] for word in source.split() if "://" in word]
    assert addresses
    assert all(httpx.URL(address).host == "127.0.0.1" for address in addresses)
    assert {httpx.URL(address).scheme for address in addresses if "/_sandbox/" in address} == {scheme}
    assert done.beyond == set()


def _head(repository: Path) -> str:
    return subprocess.check_output(["git", "-C", str(repository), "rev-parse", "HEAD"], text=True).strip()


@pytest.mark.parametrize(("language", "way"), [("typescript", "proxy")])
def test_a_client_that_heeds_no_proxy_is_unverified(
    runs: dict[tuple[str, str], Future[Drilled]], language: str, way: str
) -> None:
    """The fetch of Node 20 goes past the proxy: no request is delivered, so nothing is passed, and nothing is recorded.

    Where Node is newer it heeds NODE_USE_ENV_PROXY, and the service passes this way too.
    """
    done = runs[language, way].result()
    if _heeds_a_proxy():
        _assert_good(done, way)
        return
    assert done.ids("unverified") == RESILIENCE, done.printed
    assert {row["reason"] for row in done.findings.values()} == {"not_redirectable"}
    for name in ("redirection", *FAULTS, "rotation"):
        seen = done.seen(name)
        assert (seen["seen"], seen["reason"], seen["value"]) == (False, "not_redirectable", None)
        assert "proxy: no request came to the fault server" in seen["message"]
    assert done.beyond == {"api.mistral.ai"}  # that is where it went, had it not been kept here
    assert not (done.folder / "environments" / "records").exists()


def _heeds_a_proxy() -> bool:
    """NODE_USE_ENV_PROXY came with Node 24.0, and 22.21."""
    said = subprocess.check_output([program("node"), "--version"], text=True)
    major, minor = (int(part) for part in said.removeprefix("v").split(".")[:2])
    return major >= 24 or (major == 22 and minor >= 21)


@pytest.mark.parametrize(("language", "way"), [case for case in CASES if case[1] == "running"])
def test_a_running_service_passes_what_can_be_seen_of_it(
    runs: dict[tuple[str, str], Future[Drilled]], language: str, way: str
) -> None:
    """Pointed at the fault server by others it passes; its logs and its key are out of reach, and that is said."""
    done = runs[language, way].result()
    assert done.ids("passed") == RESILIENCE - set(OUT_OF_REACH), done.printed
    assert done.ids("unverified") == set(OUT_OF_REACH)
    assert done.seen("redirection")["value"]["method"] == "running"
    _assert_receipts(done, "running")
    _assert_at_home(done, "http")
    for name, says in OUT_OF_REACH.items():
        assert done.findings[name]["reason"] == "not_configured", done.printed
        assert says in done.findings[name]["message"]
    assert "No record was kept" in done.printed
    assert not (done.folder / "environments" / "records").exists()


NODE = "fetch('https://api.mistral.invalid').catch((error) => console.log(error.cause.code))"
PYTHON = """
import asyncio, urllib.request
for ask in (lambda: urllib.request.urlopen("https://api.mistral.invalid"),
            lambda: asyncio.run(asyncio.open_connection("api.mistral.invalid", 443))):
    try:
        ask()
    except OSError as error:
        print(getattr(error, "reason", error))
"""


@pytest.mark.parametrize("language", ["typescript", "python"])
def test_what_would_leave_this_machine_is_refused_and_seen(tmp_path: Path, language: str) -> None:
    """Else the tests above would say of every service that it stayed here."""
    beyond = tmp_path / "beyond"
    command = [sys.executable, "-c", PYTHON] if language == "python" else [program("node"), "--eval", NODE]
    done = _with(_kept_here(language, beyond), command)
    assert "ENETUNREACH" in done
    assert set(beyond.read_text().split()) == {"api.mistral.invalid"}


def _with(variables: Mapping[str, str], command: list[str]) -> str:
    settings = [f"{name}={value}" for name, value in variables.items()]
    return subprocess.run(["/usr/bin/env", *settings, *command], capture_output=True, text=True, check=True).stdout
