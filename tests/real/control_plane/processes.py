"""Processes that end together, with their logs: none outlives the process that started them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")


class StartError(RuntimeError):
    """A part ended before it was ready, or was not ready in time; the message ends with the tail of its log."""


class Process:
    """One running program, its standard output and error in `log`."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path, group: int) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=group
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def wait_until(self, ready: Callable[[], bool], deadline: float) -> None:
        """Ask `ready` until it says yes; `deadline` is a time of `time.monotonic`. Raises StartError."""
        while not ready():
            if (code := self._popen.poll()) is not None:
                raise StartError(f"{self.name} ended with {code} before it was ready. {self._last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready in time. {self._last_words()}")
            time.sleep(0.05)

    def end(self, patience: float = 5.0) -> None:
        """Ask the process to end; kill it after `patience` seconds, or at once where the wait is interrupted."""
        self._popen.terminate()
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._popen.kill()
            self._popen.wait()

    def _last_words(self) -> str:
        with self.log.open(errors="replace") as lines:
            tail = "".join(deque(lines, maxlen=20))
        return f"The end of {self.log}:\n{tail or '(empty)'}"


class ProcessGroup:
    """A process group whose leader kills it when this process is gone.

    Every member joins the group before its program starts. So there is no moment at which a member runs and the leader
    could miss it, and where the leader is gone a new member fails to join and never runs.
    """

    def __init__(self) -> None:
        self._members: list[Process] = []
        self._leader = subprocess.Popen(
            [sys.executable, "-I", "-S", GUARD, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def id(self) -> int:
        """The process group id."""
        return self._leader.pid

    def start(self, name: str, command: Sequence[str | Path], folder: Path) -> Process:
        """Start a program in `folder`, its log in `folder/name.log`."""
        process = Process(name, command, folder, self.id)
        self._members.append(process)
        return process

    def end(self, process: Process) -> None:
        """End one member; the others go on."""
        process.end()
        self._members.remove(process)

    def stop(self) -> None:
        """End all members, the last one started first, and whatever they left behind."""
        try:
            while self._members:
                self.end(self._members[-1])
        finally:
            assert self._leader.stdin is not None  # it was asked for above
            self._leader.stdin.close()
            self._leader.wait()
            for process in self._members:  # where the loop above was interrupted
                process.end()


_GIVEN: set[int] = set()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on, and that was given to nobody else in this process.

    Ask right before it is used, since it is not reserved.
    """
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port
