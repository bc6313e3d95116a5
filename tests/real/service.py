"""A real chat service on the Mistral API, in TypeScript, as a process: for tests and for people.

with ServiceProcess(None, {"MISTRAL_API_KEY": ..., "MISTRAL_MODEL": ..., ...}, tmp_path) as service:
    service.url
    service.log
repository(tmp_path / "chat")               its repository, with one commit
python -m tests.real.service build          installs and builds it up front
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from filelock import FileLock

from tests.real.control_plane.processes import Process, ProcessGroup, StartError, free_port
from tests.real.control_plane.programs import BuildError, PartMissing

__all__ = ["BuildError", "PartMissing", "ServiceProcess", "StartError", "prepared", "repository"]

SOURCES = Path(__file__).with_name("service")
MADE = {"node_modules", "build", "dist"}
"""What npm and the compiler leave beside the sources."""
READY_WITHIN = 60.0
"""Seconds. The SDK alone takes two to load, on a machine that has nothing else to do."""
INSTALL = {
    "node": "install Node.js 20 or newer, with npm",
    "npm": "install Node.js 20 or newer, with npm",
    "git": "apt-get install --no-install-recommends git",
}


def prepared() -> Path:
    """The folder of the service, installed and built: once for each state of its sources, in the user's cache folder.

    Safe to call from many processes at once. Raises PartMissing, BuildError.
    """
    target = _cache() / _fingerprint()
    if target.is_dir():
        return target
    program("node")
    npm = program("npm")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                folder = Path(scratch) / "service"
                _copy(folder)
                _run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
                _run([npm, "run", "build"], folder)
                folder.rename(target)  # all of it or nothing
    return target


class ServiceProcess:
    """The service, from `with` to its end; nothing of it outlives this process.

    It takes a free port where `port` is None, and its settings from `env` alone, not from this process. `folder` is
    made if it is not there and holds the log. Raises PartMissing, BuildError, StartError.
    """

    host = "127.0.0.1"
    """Where it listens."""
    url: str
    log: Path
    process: Process

    def __init__(self, port: int | None, env: Mapping[str, str], folder: Path) -> None:
        self._port = port
        self._env = env
        self.folder = folder

    def __enter__(self) -> Self:
        command, needed = self._program()
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port() if self._port is None else self._port
        self.url = f"http://{self.host}:{port}"
        variables = {"HOST": self.host, "PORT": str(port), **needed, **self._env}
        settings = [f"{name}={value}" for name, value in variables.items()]
        self._group = ProcessGroup()
        try:
            # env replaces itself with the service, so that the settings are in no command line for long.
            shim = ["/usr/bin/env", "-i", *settings, *command]
            self.process = self._group.start("service", shim, self.folder)
            self.log = self.process.log
            with httpx.Client(base_url=self.url, verify=False, timeout=2) as client:  # no TLS: loads no certificates
                self.process.wait_until(lambda: _ready(client), time.monotonic() + READY_WITHIN)
        except BaseException:
            self._group.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it before its time."""
        self._group.stop()

    def _program(self) -> tuple[list[str], dict[str, str]]:
        """What starts it, and what that needs in its variables."""
        return [program("node"), str(prepared() / "dist" / "server.js")], {}


def repository(folder: Path) -> str:
    """Make `folder`, which must not exist, the service's git repository and return the hash of its one commit.

    `npm test` works in it. Raises PartMissing, BuildError.
    """
    modules = prepared() / "node_modules"
    _copy(folder)
    (folder / "node_modules").symlink_to(modules)
    git = program("git")
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "user.name", "Chat Team"],
        ["config", "user.email", "chat@localhost"],
        ["add", "--all"],
        ["commit", "--quiet", "--message=Chat service 1.4.0"],
    ):
        _run([git, *arguments], folder)
    return _run([git, "rev-parse", "HEAD"], folder).strip()


def program(name: str) -> str:
    """The path of `node`, `npm` or `git`. Raises PartMissing."""
    found = shutil.which(name)
    if found is None:
        raise PartMissing(f"{name} is not installed: {INSTALL[name]}")
    return found


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/ready").is_success
    except httpx.TransportError:
        return False


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification has a relative path ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "golive" / "service"


def _sources() -> Iterator[Path]:
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file() and path.relative_to(SOURCES).parts[0] not in MADE:
            yield path


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in _sources():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(SOURCES).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _copy(folder: Path) -> None:
    for path in _sources():
        copy = folder / path.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _run(command: Sequence[str], folder: Path) -> str:
    """Its standard output; without the user's and the machine's settings of git. Raises BuildError."""
    variables = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise BuildError(f"{' '.join(command)} failed with {done.returncode}:\n{said}")
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """`build`: install and build the service, and print where it is."""
    if list(arguments) != ["build"]:
        sys.stderr.write("usage: python -m tests.real.service build\n")
        return 2
    try:
        sys.stdout.write(f"{prepared()}\n")
    except (PartMissing, BuildError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
