"""Staging: where faults are injected into the two good services, so that production has a record to read.

    program = typescript(folder)            its repository with one commit, from which copies can be started
    written(config / "staging.toml", program)
    arguments(config)                       what to give to pytest

No cluster, no Prometheus: a drill needs the program alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.real import python_service, service
from tests.real.control_plane.processes import ProcessGroup, free_port

ROOT = Path(__file__).resolve().parents[2]
MODEL, FALLBACK_MODEL = "mistral-small-2603", "ministral-8b-2512"
FALLBACK_TEXT = "The assistant is not available at the moment. Please try again in a few minutes."

PROMISES: dict[str, object] = {
    "deadline": 2.0,
    "max_retries": 2,
    "breaker_threshold": 3,
    "breaker_reset": 1.0,
    "recovery": 5.0,
    "max_concurrency": 8,
    "storm_rate": 10.0,
    "storm_window": 1.0,
    "rotation_window": 1.0,
}
"""What the services declare, in staging and in production: small, so that the drills of one take half a minute."""
KEPT = {
    "REQUEST_DEADLINE_MS": "1600",
    "RETRY_MAX": "2",
    "BREAKER_THRESHOLD": "3",
    "BREAKER_RESET_MS": "1000",
    "MAX_CONCURRENCY": "8",
}
"""The variables by which they keep it."""
VARIABLES = {
    "HOST": "127.0.0.1",
    "NODE_ENV": "staging",
    "MISTRAL_MODEL": MODEL,
    "MISTRAL_FALLBACK_MODEL": FALLBACK_MODEL,
    **KEPT,
}
COPIES: dict[str, object] = {
    "base_url_variable": "MISTRAL_BASE_URL",
    "key_file_variable": "MISTRAL_API_KEY_FILE",
    "copies": 3,
    "time_limit": 300.0,
}

SETTINGS = """\
tier = "staging"

[service]
name = "chat"
fallback_texts = {texts}
{service}
[service.stream]
path = "/api/chat/stream"

[provider]
model = "{model}"
fallback_model = "{fallback_model}"

[repository]
path = "{repository}"

[resilience]
{resilience}
[resilience.variables]
{variables}"""


@dataclass(frozen=True, slots=True)
class Program:
    """A service that can be started from its repository."""

    repository: Path
    revision: str
    """Of its one commit."""
    command: tuple[str, ...]


def typescript(folder: Path) -> Program:
    """The service in TypeScript, its repository in `folder`, which must not exist. Raises PartMissing, BuildError."""
    revision = service.repository(folder)
    shutil.copytree(service.prepared() / "dist", folder / "dist")  # built from the same sources; git ignores it
    return Program(folder, revision, ("node", "dist/server.js"))


def python(folder: Path) -> Program:
    """The service in Python. Raises BuildError."""
    shutil.copytree(python_service.SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-c", "user.name=Chat Team", "-c", "user.email=chat@localhost", "-C", str(folder)]
    for arguments_ in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=Chat service 1.4.0"]):
        subprocess.run([*git, *arguments_], env=variables, check=True, capture_output=True)
    revision = subprocess.check_output([*git, "rev-parse", "HEAD"], env=variables, text=True).strip()
    return Program(folder, revision, (str(python_service.prepared()), "-m", "chat"))


PROGRAMS = {"typescript": typescript, "python": python}


def written(
    file: Path,
    program: Program,
    *,
    url: str = "",
    variables: Mapping[str, str] | None = None,
    resilience: Mapping[str, object] | None = None,
) -> None:
    """Write the settings of staging, and base.toml beside them.

    `variables` are more of a copy's, `resilience` more of that table; `url` is the running service's, if there is one.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "environments" / "base.toml", file.parent)
    started = {"command": list(program.command)} | COPIES
    text = SETTINGS.format(
        texts=json.dumps([FALLBACK_TEXT]),
        service=lines({"url": url} if url else {}),
        model=MODEL,
        fallback_model=FALLBACK_MODEL,
        repository=program.repository,
        resilience=lines(started | PROMISES | dict(resilience or {})),
        variables=lines(VARIABLES | dict(variables or {})),
    )
    file.write_text(text)


def lines(table: Mapping[str, object]) -> str:
    """A table of TOML; its strings, numbers and arrays are written as in JSON."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def arguments(config: Path) -> list[str]:
    """What to give to pytest to drill there."""
    return ["-m", "resilience", "--env", "staging", f"--config={config}", "--allow-changes"]


@contextmanager
def mistral_api(folder: Path, key: str) -> Iterator[str]:
    """The sandbox's Mistral API as a program of its own, its log in `folder`. Raises StartError."""
    group, port = ProcessGroup(), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "fixtures.sandbox.mistral", "--port", str(port), "--key", key]
    shim = ["/usr/bin/env", f"PYTHONPATH={ROOT}", *command]
    try:
        group.start("mistral", shim, folder).wait_until(lambda: _answers(url), time.monotonic() + 20)
        yield url
    finally:
        group.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_sandbox/fault").is_success
    except httpx.TransportError:
        return False
