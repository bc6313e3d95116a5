"""How many requests a second the fault server answers, and how soon, beside what else could have been used.

    python -m tests.benchmarks.fault_server

Everything runs one after the other on loopback, asked by the same program: a process of its own that speaks HTTP over
raw sockets, so that the client costs little. Requests per second of the server's own processor time are printed as
well: those do not depend on what else the machine does.

toxiproxy and mitmproxy stand before the bare aiohttp application, for a proxy answers nothing by itself. They are taken
from PATH, or built and installed into a folder that is thrown away; where they can't be had, the reason is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.process import ROOT

WARM_UP = 300
"""Requests before the counting begins."""
REQUESTS = 5_000
ALONE = 1_000
"""Requests one after the other, for the latency."""
CONNECTIONS = 16
INSTALLED = 400.0
"""Seconds that an installation may take."""
KEY = "k" * 32
BODY = json.dumps(
    {
        "model": "mistral-small-2603",
        "messages": [{"role": "user", "content": "Reply with one word. drill-0123abcd"}],
        "temperature": 0.2,
    }
).encode()


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one server: requests a second from several connections at once, and seconds that one takes alone."""

    rate: float
    median: float
    p99: float
    processor: float
    """Requests per second of the server's processor time, whatever the wall clock says; 0: not known.

    Of a proxy its own time, without that of the application behind it.
    """


def fault_server() -> None:
    """Print the table."""
    print(f"\nFault server, a good chat answer ({CONNECTIONS} connections; latency from one)")
    print(f"  {'':<42} {'requests/s':>10} {'per core':>9} {'median ms':>10} {'p99 ms':>8}")
    with _serving(_BARE) as (url, process):
        bare = _measured(url, process)
    _print("bare aiohttp application", bare)
    with _serving([sys.executable, "-m", "fixtures.sandbox.mistral", "--until-eof", "--key", KEY]) as (url, process):
        ours = _measured(url, process)
        _print("fault server", ours)
        _control(url, "fault", {"fault": "503", "lease": 600})
        _print("fault server, every answer a 503", _measured(url, process))
        _control(url, "fault", {"fault": "429", "lease": 600, "schedule": {"every": 10}})
        _print("fault server, each 10th answer a 429", _measured(url, process))
    for name, other in (("toxiproxy", _toxiproxy), ("mitmproxy", _mitmproxy)):
        _beside(name, other)
    added = 1000 * (ours.median - bare.median)
    print(
        f"  added to the median of the bare application: {added:+.3f} ms (aim: below 1); aim: at least 2,000 requests/s"
    )


def _print(name: str, speed: Speed) -> None:
    processor = f"{speed.processor:,.0f}" if speed.processor else "-"
    times = f"{1000 * speed.median:>10.3f} {1000 * speed.p99:>8.3f}"
    print(f"  {name:<42} {speed.rate:>10,.0f} {processor:>9} {times}", flush=True)


# What a bare application costs: the same routes, the same answer in length, nothing noted, nothing judged.
_BARE_TEXT = """
import asyncio, sys
from aiohttp import web
BODY = b"{" + b" " * 318 + b"}"
async def chat(request):
    await request.read()
    return web.Response(body=BODY, content_type="application/json")
async def main():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""
_BARE = [sys.executable, "-c", _BARE_TEXT]


@contextlib.contextmanager
def _serving(command: list[str]) -> Iterator[tuple[str, int]]:
    """A server that prints its URL: the URL, and the process."""
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def _control(url: str, name: str, body: object) -> None:
    request = urllib.request.Request(f"{url}/_sandbox/{name}", json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def _measured(url: str, process: int) -> Speed:
    """Let the client ask, and read the server's processor time before and after."""
    before = _processor(process)
    command = [sys.executable, "-m", "tests.benchmarks.fault_server", "--ask", url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    spent = _processor(process) - before
    asked = WARM_UP + REQUESTS + ALONE
    found = json.loads(done.stdout)
    return Speed(found["rate"], found["median"], found["p99"], asked / spent if spent > 0 else 0.0)


def _processor(process: int) -> float:
    """Seconds of processor time of a process and its threads; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The client: a process of its own.


class _Line(asyncio.Protocol):
    """One connection that asks again as soon as it is answered, until nothing is left to be asked."""

    def __init__(self, request: bytes, left: list[int], times: list[float], over: asyncio.Event) -> None:
        self._request, self._left, self._times, self._over = request, left, times, over
        self._buffer, self._sent = b"", 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        assert length is not None, head
        if len(body) < int(length[1]):
            return
        self._times.append(time.perf_counter() - self._sent)
        self._buffer = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._over.set()

    def _ask(self) -> None:
        assert self._transport is not None
        if self._left[0] <= 0:
            self._transport.close()
            return
        self._left[0] -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._request)


async def _asked(host: str, port: int, count: int, connections: int) -> list[float]:
    """How long each of `count` requests took."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    )
    left, times = [count], list[float]()
    events = [asyncio.Event() for _ in range(connections)]
    loop = asyncio.get_running_loop()
    for over in events:
        await loop.create_connection(lambda over=over: _Line(head.encode() + BODY, left, times, over), host, port)  # type: ignore[misc] # a lambda's default
    await asyncio.gather(*(over.wait() for over in events))
    assert len(times) == count, f"{len(times)} of {count} were answered"
    return times


async def _ask_all(url: str) -> Speed:
    host, _, port = url.removeprefix("http://").partition(":")
    await _asked(host, int(port), WARM_UP, CONNECTIONS)
    started = time.perf_counter()
    await _asked(host, int(port), REQUESTS, CONNECTIONS)
    rate = REQUESTS / (time.perf_counter() - started)
    alone = sorted(await _asked(host, int(port), ALONE, 1))
    return Speed(rate, statistics.median(alone), alone[int(0.99 * len(alone))], 0.0)


# The others.


class _Missing(Exception):  # noqa: N818 - no error: a line of the table
    """It can't be had; says why."""


def _beside(name: str, other: Callable[[Path], tuple[str, Callable[[str, int], list[str]]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, _serving(_BARE) as (url, _):
        try:
            version, command = other(Path(folder))
            port = _free_port()
            with _proxy(command(url, port), port) as process:
                if name == "toxiproxy":
                    port = _toxic(port, url)
                _print(f"{version}, before the bare one", _measured(f"http://127.0.0.1:{port}", process))
        except _Missing as why:
            print(f"  {name}: can't be had here: {why}")


@contextlib.contextmanager
def _proxy(command: list[str], port: int) -> Iterator[int]:
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere) as process:
        try:
            until = time.monotonic() + 30
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise _Missing(f"{command[0]} does not start")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()


def _toxiproxy(folder: Path) -> tuple[str, Callable[[str, int], list[str]]]:
    program = shutil.which("toxiproxy-server")
    if program is None:
        go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
        if go is None:
            raise _Missing("neither toxiproxy-server nor go is on PATH")
        module = "github.com/Shopify/toxiproxy/v2/cmd/server@latest"
        _installed([go, "install", module], GOBIN=str(folder), GOFLAGS="-modcacherw")
        program = str(folder / "server")
    return "toxiproxy", lambda _, port: [program, "-host", "127.0.0.1", "-port", str(port)]


def _toxic(control: int, url: str) -> int:
    """Tell toxiproxy to lead a port to the application, with a toxic that lets all through: it has work to do."""
    port = _free_port()
    base = f"http://127.0.0.1:{control}/proxies"
    _post(base, {"name": "bare", "listen": f"127.0.0.1:{port}", "upstream": url.removeprefix("http://")})
    _post(f"{base}/bare/toxics", {"name": "none", "type": "latency", "attributes": {"latency": 0}})
    return port


def _post(url: str, body: object) -> None:
    agent = {"user-agent": "toxiproxy-cli", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), agent, method="POST")):
        pass


def _mitmproxy(folder: Path) -> tuple[str, Callable[[str, int], list[str]]]:
    program = shutil.which("mitmdump")
    if program is None:
        _installed([sys.executable, "-m", "venv", str(folder / "venv")])
        _installed([str(folder / "venv/bin/pip"), "install", "--quiet", "mitmproxy"])
        program = str(folder / "venv/bin/mitmdump")
    confined = ["-q", "--set", f"confdir={folder}", "--listen-host", "127.0.0.1"]
    return "mitmproxy", lambda url, port: [program, *confined, "--mode", f"reverse:{url}", "-p", str(port)]


def _installed(command: list[str], **variables: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALLED, env=os.environ | variables
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Missing(f"{command[0]}: {type(error).__name__}") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["it said nothing"]
        raise _Missing(f"{Path(command[0]).name} ended with {done.returncode}: {last[0].strip()[:200]}")


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as line:
        line.settimeout(1)
        return line.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        print(json.dumps(asdict(asyncio.run(_ask_all(sys.argv[2])))))
    else:
        fault_server()
