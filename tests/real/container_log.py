"""The log of a process as a container runtime keeps it: each line with its time and stream in front.

    with ContainerLog(service.log, folder / "pods.log"):
        ...

https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

PAUSE = 0.05
"""Seconds between two looks at what was added."""


class ContainerLog:
    """Follows `source` from its beginning and writes `kept`, from `with` to its end."""

    def __init__(self, source: Path, kept: Path) -> None:
        self.kept = kept
        self._source = source
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="container log", daemon=True)

    def __enter__(self) -> Self:
        self.kept.touch()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        with self._source.open("rb") as source, self.kept.open("ab", buffering=0) as kept:
            begun = b""
            while not self._over.wait(PAUSE):
                *lines, begun = (begun + source.read()).split(b"\n")
                at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z".encode()
                kept.write(b"".join(b"%s stdout F %s\n" % (at, line) for line in lines))
