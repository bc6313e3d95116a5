"""An HTTP server that answers as the Mistral API does, and keeps every request just as it came.

with recording() as recorder:
    recorder.url
    recorder.of("fetch stream")
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Arrived", "Recorder", "recording"]

SEEN = "/seen/"
"""Where a reader of a stream says that it saw the beginning."""
PATIENCE = 20.0
"""Seconds for which a stream waits for that."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """One request. Names of headers in lower case; the path with its query, as it was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def client(self) -> str:
        """Whose it is: clients send their name as the message, and in a header where they may."""
        if self.body:
            return str(json.loads(self.body)["messages"][0]["content"])
        return self.headers.get("x-mark", "")


@dataclass(slots=True)
class Recorder:
    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    """Without those that only say that a stream is seen."""
    _seen: dict[str, threading.Event] = field(default_factory=dict)

    def seen(self, client: str) -> threading.Event:
        """That this client saw the beginning of its stream."""
        return self._seen.setdefault(client, threading.Event())

    def of(self, client: str) -> list[Arrived]:
        """What came from the client of this name."""
        return [item for item in self.arrived if item.client == client.replace(" ", "-")]


@contextmanager
def recording() -> Iterator[Recorder]:
    """One on a free port of this machine, until the block ends."""
    recorder = Recorder()
    handler = type("OfOne", (_Handler,), {"recorder": recorder})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        recorder.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recorder: Recorder

    def do_GET(self) -> None:
        if SEEN in self.path:
            self.recorder.seen(self.path.rpartition("/")[2]).set()
            self._json({})
        else:
            self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        arrived = Arrived(self.command, self.path, headers, self._body())
        self.recorder.arrived.append(arrived)
        if arrived.body and json.loads(arrived.body).get("stream"):
            self._stream(arrived.client)
        else:
            self._json(_completion("Well."))

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, value: object) -> None:
        raw = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _stream(self, client: str) -> None:
        """The second half only for who saw the first one meanwhile."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._chunk(b"data: first\n\n")
        self._chunk(b"data: [DONE]\n\n" if self.recorder.seen(client).wait(PATIENCE) else b"data: nobody listens\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Silent."""


def _completion(text: str) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    head = {"id": "1", "object": "chat.completion", "created": 1, "model": "mistral-small-2603"}
    return {**head, "choices": [choice], "usage": usage}
