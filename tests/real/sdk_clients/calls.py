"""What the official SDK `mistralai` (1, 2 or 3) makes of the API: a program of its own, run by its tests.

    python calls.py < {"url": ..., "cases": [{"name", "call", "fault", "key", "mark", "patience"}, ...]}

prints {"version": ..., "outcomes": {name: outcome}}. A fault is a path prefix of the URL, `key` may be null for none.
An outcome has `error` (class of what was raised, or null), `library` (the package of that class), `status`, `detail`
(the types of a 422's problems), `texts` (what was received), `finish`, `seconds`, and `waiting`: whether `patience`
seconds were over and the call was not.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from typing import Any

logging.disable(logging.CRITICAL)
VERSION = version("mistralai")
# Version 2 moved the client; each interpreter that runs this has one of the two.
PACKAGE = importlib.import_module("mistralai" if VERSION.startswith("1.") else "mistralai.client")
UTILS = importlib.import_module(f"{PACKAGE.__name__}.utils")

MODEL = "mistral-small-2603"
RETRIES = UTILS.RetryConfig("backoff", UTILS.BackoffStrategy(50, 100, 1.5, 3000), True)
AT_ONCE = 8


class Call:
    """One call under way, and what it has received so far."""

    def __init__(self, case: dict[str, Any], url: str) -> None:
        self.client = _client(case["key"])
        self.url = url + (f"/fault-{case['fault']}" if case["fault"] else "")
        self.messages = [{"role": "user", "content": f"Reply with one word. drill-{case['mark']}"}]
        self.texts: list[str] = []
        self.finish: str | None = None

    def models(self) -> None:
        self.texts += [card.id for card in self.client.models.list(server_url=self.url).data]

    def model(self) -> None:
        self.texts.append(self.client.models.retrieve(model_id=MODEL, server_url=self.url).id)

    def chat(self, **more: Any) -> None:
        settings = {"model": MODEL, "messages": self.messages, "server_url": self.url, **more}
        choice = self.client.chat.complete(**settings).choices[0]
        self.texts.append(choice.message.content)
        self.finish = choice.finish_reason

    def unknown_model(self) -> None:
        self.chat(model="mistral-nonesuch")

    def hot(self) -> None:
        self.chat(temperature=1.9)

    def retried(self) -> None:
        self.chat(retries=RETRIES)

    def impatient(self) -> None:
        self.chat(timeout_ms=1500)

    def tool(self) -> None:
        function = {"name": "now", "parameters": {"type": "object", "properties": {}}}
        wanted = {"tools": [{"type": "function", "function": function}], "tool_choice": "any"}
        answer = self.client.chat.complete(model=MODEL, messages=self.messages, server_url=self.url, **wanted)
        self.texts.append(answer.choices[0].message.tool_calls[0].function.name)
        self.finish = answer.choices[0].finish_reason

    def stream(self, **more: Any) -> None:
        for event in self.client.chat.stream(model=MODEL, messages=self.messages, server_url=self.url, **more):
            choice = event.data.choices[0]
            self.texts.append(choice.delta.content)
            self.finish = choice.finish_reason or self.finish

    def impatient_stream(self) -> None:
        self.stream(timeout_ms=1500)


@cache
def _client(key: str | None) -> Any:
    return PACKAGE.Mistral(api_key=key)


def _outcome(case: dict[str, Any], url: str) -> dict[str, Any]:
    call, begun, ended = Call(case, url), time.monotonic(), {"waiting": True}

    def run() -> None:
        ended.update(_raised(getattr(call, case["call"])), waiting=False)

    thread = threading.Thread(target=run, daemon=True)  # one that never ends keeps nobody
    thread.start()
    thread.join(case["patience"])
    seconds = time.monotonic() - begun
    return {**dict(ended), "texts": list(call.texts), "finish": call.finish, "seconds": seconds}


def _raised(call: Callable[[], None]) -> dict[str, Any]:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which class it is, is what is asked
        kind = type(error)
        status = getattr(error, "status_code", None)
        library = kind.__module__.partition(".")[0]
        return {"error": kind.__name__, "library": library, "status": status, "detail": _detail(error)}
    return {"error": None, "library": None, "status": None, "detail": None}


def _detail(error: Exception) -> list[str] | None:
    """The types of a 422's problems as the SDK read them; None where it read none."""
    entries = getattr(getattr(error, "data", None), "detail", None)
    return [entry.type for entry in entries] if isinstance(entries, list) else None


def main() -> None:
    asked = json.load(sys.stdin)
    for key in {case["key"] for case in asked["cases"]}:
        _client(key)  # here, for `cache` lets two threads make two
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda case: _outcome(case, asked["url"]), asked["cases"]))
    names = [case["name"] for case in asked["cases"]]
    json.dump({"version": VERSION, "outcomes": dict(zip(names, outcomes, strict=True))}, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # past the calls that still wait


if __name__ == "__main__":
    main()
