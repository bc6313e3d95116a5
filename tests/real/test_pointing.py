"""Each way to point a service at a fault server, met by the clients that services use, as programs of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fixtures.drills import pointing
from fixtures.drills.fault_server import FaultServers
from fixtures.drills.pointing import PYTHON_HOOK, Servers, read, way, ways
from fixtures.settings import Environment
from tests.real.clients import BASE, NAMES, Language, node_version, results, run
from tests.real.control_plane.processes import free_port
from tests.real.recorder import Recorder, recording
from tests.real.service import program

pytestmark = pytest.mark.real

PATH = "/v1/chat/completions?first=1&second=%C3%BC"
ALL = [pytest.param(language, name, id=f"{language}: {name}") for language in NAMES for name in NAMES[language]]
LANGUAGES: tuple[Language, ...] = ("Node", "Python")

# Who takes the proxy from the variables, and trusts the CA that they name. The rest needs a setting of its own for it.
HEED_PROXY = {
    "Node": {"undici EnvHttpProxyAgent", "axios", "axios stream"},
    "Python": {
        "httpx",
        "httpx stream",
        "httpx async",
        "httpx2",
        "httpx2 stream",
        "requests",
        "requests own adapter",
        "requests stream",
        "aiohttp trust_env",
        "urllib.request",
        "mistral",
        "mistral async",
    },
}
# Those that do besides where Node itself heeds NODE_USE_ENV_PROXY: from 22.21 and 24.5 on.
HEED_PROXY_IN_NEW_NODE = {
    "fetch string",
    "fetch URL",
    "fetch Request",
    "fetch stream",
    "undici fetch",
    "undici request",
    "undici stream",
    "undici 5",
    "request string",
    "request URL",
    "request options",
    "request host",
    "request stream",
    "get",
    "got",
    "node-fetch",
    "mistral",
}


@dataclass(frozen=True, slots=True)
class Started:
    """What `ways` asks of fault servers."""

    servers: list[Any]
    proxy: str | None = None
    ca: Path | None = None


def settings(base_url: str = BASE, **resilience: Any) -> Environment:
    table = {"name": "drill", "tier": "development", "provider": {"base_url": base_url}, "resilience": resilience}
    return Environment.model_validate(table)


def led(name: str, servers: Servers, environment: Environment | None = None) -> dict[str, str]:
    """The variables of the way of this name."""
    found = way(name, environment or settings(), servers)
    assert found is not None
    return found.variables


def preload(recorder: Recorder, environment: Environment | None = None) -> dict[str, str]:
    return led("preload", Started([recorder]), environment)


@dataclass(frozen=True, slots=True)
class Met:
    """What came of one message by each client of a language."""

    results: dict[str, dict[str, Any]]
    recorder: Recorder


@pytest.fixture(scope="module")
def preloaded() -> Callable[[Language], Met]:
    """All clients of a language with the hook, once."""
    return cache(lambda language: _met(language, "preload"))


@pytest.fixture(scope="module")
def by_variable() -> Callable[[Language], Met]:
    """All clients of a language in programs that take their base URL from one of the usual variables, once."""
    return cache(lambda language: _met(language, "usual variables"))


def _met(language: Language, name: str) -> Met:
    with recording() as recorder:
        return Met(results(language, led(name, Started([recorder]))), recorder)


@pytest.fixture(scope="module")
def by_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Language], dict[str, dict[str, Any]]]]:
    """All clients of a language with the proxy, against a fault server that speaks TLS under the name, once."""
    folder = tmp_path_factory.mktemp("ca")
    with FaultServers.start(1, tls=folder, names=["api.mistral.invalid"], proxy=True) as servers:
        servers.servers[0].accept("a-key")
        yield cache(lambda language: results(language, led("proxy", servers)))


@pytest.mark.parametrize(("language", "name"), ALL)
def test_the_hook_leads_each_client_to_the_fault_server(
    preloaded: Callable[[Language], Met], language: Language, name: str
) -> None:
    """Its one request arrives as it was made, and the program sees the address that it asked and the whole answer."""
    met = preloaded(language)
    result, arrived = met.results[name], met.recorder.of(name)
    assert result.get("error") is None
    assert result["status"] == 200
    assert "Well." in result["text"] or result["text"] == "data: first\n\ndata: [DONE]\n\n"
    assert result.get("url", BASE + PATH) == BASE + PATH
    assert len(arrived) == 1
    assert arrived[0].method == ("GET" if name == "get" else "POST")
    assert arrived[0].path == (PATH.partition("?")[0] if name.startswith("mistral") else PATH)
    assert arrived[0].headers["authorization"] == "Bearer a-key"
    assert arrived[0].headers["host"] == "api.mistral.invalid"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_client_is_forgotten(preloaded: Callable[[Language], Met], language: Language) -> None:
    """The programs have the clients that are named here, and no others."""
    assert tuple(preloaded(language).results) == NAMES[language]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_a_usual_variable_leads_each_client_to_the_fault_server(
    by_variable: Callable[[Language], Met], language: Language, name: str
) -> None:
    """And the path of its request says which variable it was."""
    met = by_variable(language)
    assert met.results[name].get("error") is None
    assert [read(item.path) for item in met.recorder.of(name)] == ["MISTRAL_BASE_URL"]


@pytest.mark.parametrize(("language", "name"), ALL)
def test_the_proxy_leads_those_to_the_fault_server_that_heed_it(
    by_proxy: Callable[[Language], dict[str, dict[str, Any]]], language: Language, name: str
) -> None:
    """They trust the fault server's certificate; the others do not find the host."""
    heed = HEED_PROXY[language]
    if language == "Node" and ((22, 21) <= node_version() < (23, 0) or node_version() >= (24, 5)):
        heed = heed | HEED_PROXY_IN_NEW_NODE
    result = by_proxy(language)[name]
    assert ("status" in result) == (name in heed), result
    if name in heed and name != "get":  # which the API refuses
        assert result["status"] == 200


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_host_that_is_not_named_is_asked_as_ever(language: Language) -> None:
    """With the hook loaded, each client reaches the server that it asks, and none the fault server."""
    with recording() as meant, recording() as fault_server:
        found = results(language, preload(fault_server) | {"MISTRAL_BASE_URL": meant.url})
        assert {name: result.get("error") for name, result in found.items()} == dict.fromkeys(NAMES[language])
        assert {name: len(meant.of(name)) for name in NAMES[language]} == dict.fromkeys(NAMES[language], 1)
        assert fault_server.arrived == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_gateway_is_led_away_by_its_port_alone(language: Language) -> None:
    """Where provider.base_url is another host, its other ports are left alone; it need not speak TLS."""
    with recording() as gateway, recording() as neighbour, recording() as fault_server:
        variables = preload(fault_server, settings(gateway.url))
        found = results(language, variables | {"MISTRAL_BASE_URL": gateway.url})
        assert {name: result.get("error") for name, result in found.items()} == dict.fromkeys(NAMES[language])
        assert {name: len(fault_server.of(name)) for name in NAMES[language]} == dict.fromkeys(NAMES[language], 1)
        assert gateway.arrived == []
        some = NAMES[language][:3]
        results(language, variables | {"MISTRAL_BASE_URL": neighbour.url}, some)
        assert {name: len(neighbour.of(name)) for name in some} == dict.fromkeys(some, 1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_hook_leads_past_a_proxy_of_the_service_s_own(language: Language) -> None:
    """A copy gets a proxy by the settings: what is meant for Mistral does not go there."""
    dead = f"http://127.0.0.1:{free_port()}"
    environment = settings(variables={"HTTPS_PROXY": dead, "HTTP_PROXY": dead})
    with recording() as recorder:
        own = dict(environment.resilience.variables)
        found = results(language, own | preload(recorder, environment))
        assert {name: result.get("error") for name, result in found.items()} == dict.fromkeys(NAMES[language])


def test_the_python_hook_goes_past_a_proxy_by_itself() -> None:
    """Also where the program brings the proxy by itself, and NO_PROXY says nothing of it."""
    names = (
        "httpx stream",
        "httpx async",
        "httpx2 async",
        "requests own adapter",
        "aiohttp trust_env",
        "urllib.request",
    )
    with recording() as recorder:
        proxy = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}", "NO_PROXY": "127.0.0.1"}
        found = results("Python", preload(recorder) | proxy, names)
        assert {name: result.get("error") for name, result in found.items()} == dict.fromkeys(names)


def test_a_dead_fault_server_is_a_connection_error() -> None:
    """Nothing is answered in its place, and nobody else is asked."""
    with recording() as recorder:
        variables = preload(recorder)
    for language in LANGUAGES:
        found = results(language, variables, NAMES[language][:1])
        assert "refused" in next(iter(found.values()))["error"].lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_beside_a_variable_mistral_is_out_of_reach(language: Language) -> None:
    """A program that reads another variable, or none, asks for the API itself, and is refused on this machine."""
    with recording() as recorder:
        variables = led("variable ANOTHER", Started([recorder]), settings(base_url_variable="ANOTHER"))
        some = NAMES[language][:3]
        found = results(language, variables, some)
        assert {name: "refused" in item["error"].lower() for name, item in found.items()} == dict.fromkeys(some, True)
        assert recorder.arrived == []


# Programs that have nothing to do with it


PLAIN = {
    "Node": "console.log('out'); console.error('err'); process.exitCode = 3",
    "Python": "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)",
}


def command(language: Language, text: str) -> list[str]:
    return [program("node"), "-e", text] if language == "Node" else [sys.executable, "-c", text]


def ending(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("to", ["http://127.0.0.1:9", "", "nonsense", "http://127.0.0.1", "http://[::1", "http://x:y"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_that_asks_nobody_runs_as_ever(language: Language, to: str) -> None:
    """It prints and returns the same with the hook, which says nothing, whatever it is told."""
    variables = preload(Recorder("http://127.0.0.1:9")) | {"GOLIVE_REDIRECT_TO": to}
    with_hook = run(command(language, PLAIN[language]), variables)
    assert ending(with_hook) == ending(run(command(language, PLAIN[language]), {})) == (3, "out\n", "err\n")


def test_the_python_hook_imports_nothing_that_the_program_does_not() -> None:
    """No library is loaded for it, none of the standard library either."""
    text = "import sys; print(sorted(set(sys.modules) - {'sitecustomize'})); print(sys.path)"
    variables = preload(Recorder("http://127.0.0.1:9"))
    assert ending(run(command("Python", text), variables)) == ending(run(command("Python", text), {}))


def test_a_library_that_is_not_as_expected_stays_as_it_is(tmp_path: Path) -> None:
    """A module of the program's own that has the name of a client library is imported without a word."""
    (tmp_path / "httpcore.py").write_text("ConnectionPool = 7\nclass URL: ...\n")
    (tmp_path / "httpcore2.py").write_text("raise ImportError('not here')\n")
    text = "import httpcore\ntry:\n import httpcore2\nexcept ImportError as error: print(error)\nprint('lives')"
    variables = preload(Recorder("http://127.0.0.1:9"))
    variables["PYTHONPATH"] += os.pathsep + str(tmp_path)
    assert ending(run(command("Python", text), variables)) == (0, "not here\nlives\n", "")


# A sitecustomize that is there already


def test_another_sitecustomize_runs_as_without_the_hook(tmp_path: Path) -> None:
    """Once, as the module of that name, and with the path that it would have."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('theirs', __name__, len(sys.meta_path) > 0)\n")
    text = "import sys, sitecustomize; print(sitecustomize.__file__); print(sys.path)"
    theirs = {"PYTHONPATH": str(tmp_path)}
    hook = preload(Recorder("http://127.0.0.1:9"))
    joined = hook | {"PYTHONPATH": f"{PYTHON_HOOK}{os.pathsep}{tmp_path}"}
    assert ending(run(command("Python", text), joined)) == ending(run(command("Python", text), theirs))
    assert run(command("Python", text), joined).stdout.count("theirs sitecustomize") == 1


@pytest.mark.parametrize("body", ["raise RuntimeError('broken')", "import no_such_module", "1 +"])
def test_a_sitecustomize_that_fails_fails_as_without_the_hook(tmp_path: Path, body: str) -> None:
    """The same words on the same stream, and the program runs."""
    (tmp_path / "sitecustomize.py").write_text(body)
    hook = preload(Recorder("http://127.0.0.1:9"))
    joined = hook | {"PYTHONPATH": f"{PYTHON_HOOK}{os.pathsep}{tmp_path}"}
    with_hook = run(command("Python", "print('lives')"), joined)
    assert ending(with_hook) == ending(run(command("Python", "print('lives')"), {"PYTHONPATH": str(tmp_path)}))
    assert with_hook.stdout == "lives\n"


def test_the_hook_works_beside_another_sitecustomize(tmp_path: Path) -> None:
    """Also where that one has imported a client library itself, and watches imports as tracing does."""
    (tmp_path / "sitecustomize.py").write_text(TRACING)
    with recording() as recorder:
        variables = preload(recorder) | {"PYTHONPATH": f"{PYTHON_HOOK}{os.pathsep}{tmp_path}"}
        names = ("httpx", "requests", "aiohttp", "http.client")
        found = results("Python", variables, names)
        assert {name: result.get("error") for name, result in found.items()} == dict.fromkeys(names)
        assert {name: len(recorder.of(name)) for name in names} == dict.fromkeys(names, 1)


TRACING = """
import http.client, importlib.util, sys

class Watcher:
    busy = set()

    def find_spec(self, name, path=None, target=None):
        if name not in ("httpcore", "aiohttp.connector") or name in self.busy:
            return None
        self.busy.add(name)
        try:
            return importlib.util.find_spec(name)
        finally:
            self.busy.discard(name)

sys.meta_path.insert(0, Watcher())
"""


def test_a_library_that_was_faster_is_led_away_too(tmp_path: Path) -> None:
    """What a .pth file of the environment imports is there before any sitecustomize."""
    made = run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], {})
    assert made.returncode == 0, made.stderr
    packages = next(tmp_path.glob("lib/python*/site-packages"))
    (packages / "early.pth").write_text("import http.client\n")
    with recording() as recorder:
        done = run([str(tmp_path / "bin" / "python"), "-c", ASKING], preload(recorder))
        assert ending(done) == (0, "200\n", "")


ASKING = (
    "import urllib.request as r, json; b = json.dumps({'messages': [{'content': 'child'}]}).encode();"
    f"print(r.urlopen(r.Request('{BASE}{PATH}', data=b)).status)"
)


# Children


def test_the_children_of_a_python_program_are_led_away() -> None:
    """Those that it starts as programs, and those of multiprocessing."""
    text = (
        "import multiprocessing, subprocess, sys\n"
        f"asking = {ASKING!r}\n"
        "subprocess.run([sys.executable, '-c', asking], check=True)\n"
        "process = multiprocessing.get_context('spawn').Process(target=exec, args=(asking,))\n"
        "process.start(); process.join(); sys.exit(process.exitcode)"
    )
    with recording() as recorder:
        done = run(command("Python", text), preload(recorder))
        assert (done.returncode, done.stdout) == (0, "200\n200\n"), done.stderr
        assert len(recorder.of("child")) == 2


def test_the_children_of_a_node_program_are_led_away() -> None:
    """Those that it starts as programs, and its worker threads."""
    body = json.dumps({"messages": [{"content": "child"}]})
    asking = f"fetch({json.dumps(BASE + PATH)}, {{ method: 'POST', body: {json.dumps(body)} }})"
    text = (
        "const { Worker } = require('worker_threads'), { execFileSync } = require('child_process');"
        f"const asking = {json.dumps(asking)};"
        "execFileSync(process.execPath, ['-e', asking]);"
        "new Worker(asking, { eval: true }).on('exit', (code) => process.exit(code))"
    )
    with recording() as recorder:
        assert ending(run(command("Node", text), preload(recorder))) == (0, "", "")
        assert len(recorder.of("child")) == 2


def test_the_hook_may_lie_in_a_folder_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NODE_OPTIONS is read as words, where a space would end one, and a quotation mark begin one."""
    hook = tmp_path / 'a "folder" of ours' / pointing.NODE_HOOK.name
    hook.parent.mkdir()
    shutil.copyfile(pointing.NODE_HOOK, hook)
    monkeypatch.setattr(pointing, "NODE_HOOK", hook)
    with recording() as recorder:
        found = results("Node", preload(recorder), ["fetch string"])
        assert found["fetch string"].get("status") == 200


def test_the_first_way_that_the_settings_allow_comes_first() -> None:
    """Each way has its variables at once, but the proxy, whose fault server must speak TLS."""
    environment = settings(methods=["proxy", "preload", "variable"], base_url_variable="API")
    found = list(ways(environment, Started([Recorder("http://127.0.0.1:9")])))
    assert [(item.name, bool(item.variables), item.needs_tls) for item in found] == [
        ("proxy", False, True),
        ("preload", True, False),
        ("variable API", True, False),
    ]
