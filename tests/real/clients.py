"""The HTTP clients with which services speak to Mistral, in Node and in Python: programs that send a message by each.

results("Node", {"MISTRAL_BASE_URL": url})     what each came to
python -m tests.real.clients prepare           installs those of Node up front
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.real.control_plane.programs import BuildError, PartMissing, made_once
from tests.real.service import program

__all__ = ["BASE", "NAMES", "Language", "node_version", "results", "run"]

Language = Literal["Node", "Python"]

FOLDER = Path(__file__).with_name("client_programs")
BASE = "https://api.mistral.invalid"
"""Where they look for the API if MISTRAL_BASE_URL says nothing. RFC 6761: such a name never resolves, so that what is
not led away fails and reaches nobody.
"""
WITHIN = 180.0
"""Seconds for all clients of one language, also on a busy machine."""
NAMES: dict[Language, tuple[str, ...]] = {
    "Node": (
        "fetch string",
        "fetch URL",
        "fetch Request",
        "fetch stream",
        "undici fetch",
        "undici request",
        "undici stream",
        "undici Agent",
        "undici Agent h2",
        "undici Pool",
        "undici Client",
        "undici RetryAgent",
        "undici EnvHttpProxyAgent",
        "undici 5",
        "undici 5 Pool",
        "undici global dispatcher",
        "request string",
        "request URL",
        "request options",
        "request host",
        "request own Agent",
        "request no Agent",
        "request stream",
        "get",
        "axios",
        "axios stream",
        "got",
        "got h2",
        "node-fetch",
        "mistral",
        "mistral own fetcher",
    ),
    "Python": (
        "httpx",
        "httpx own transport",
        "httpx stream",
        "httpx async",
        "httpx async own transport",
        "httpx2",
        "httpx2 stream",
        "httpx2 async",
        "requests",
        "requests own adapter",
        "requests stream",
        "urllib3",
        "urllib3 own pool",
        "aiohttp",
        "aiohttp stream",
        "aiohttp trust_env",
        "urllib.request",
        "http.client",
        "mistral",
        "mistral async",
    ),
}
_NODE_FILES = ("package.json", "package-lock.json", "clients.mjs")


def results(language: Language, variables: Mapping[str, str], names: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """What each client came to, by its name: "status", "text" and the "url" that it saw, or an "error".

    Raises PartMissing, BuildError.
    """
    if language == "Node":
        command = [program("node"), str(_node() / "clients.mjs")]
    else:
        command = [sys.executable, str(FOLDER / "clients.py")]
    done = run([*command, *names], variables)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.pop("client"): line for line in lines}


def run(command: Sequence[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end with these variables, and of this process's none but what a program needs."""
    own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env = own | {"PYTHONDONTWRITEBYTECODE": "1"} | dict(variables)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=WITHIN, check=False)


def node_version() -> tuple[int, int]:
    """Raises PartMissing."""
    said = run([program("node"), "--version"], {}).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def _node() -> Path:
    """The folder of Node's clients, installed once for each state of them, in the user's cache folder."""
    digest = hashlib.sha256(b"".join((FOLDER / name).read_bytes() for name in _NODE_FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification has a relative path ignored.
    cache = cache if cache.is_absolute() else Path.home() / ".cache"
    return made_once(cache / "golive" / "clients" / digest, _install)


def _install(folder: Path) -> None:
    npm, _ = program("npm"), program("node")
    for name in _NODE_FILES:
        shutil.copyfile(FOLDER / name, folder / name)
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"npm ci failed with {done.returncode}:\n{said}")


def main(arguments: Sequence[str]) -> int:
    """`prepare`: install Node's clients, and print where they are."""
    if list(arguments) != ["prepare"]:
        sys.stderr.write("usage: python -m tests.real.clients prepare\n")
        return 2
    try:
        sys.stdout.write(f"{_node()}\n")
    except (PartMissing, BuildError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
