"""Whether Mistral answers: asked in the background for the metric, and on demand for /health."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from .failure import Failure
from .metrics import Metrics
from .mistral import Mistral

TIMEOUT = 1.5
"""Seconds. Those who ask for /health wait two, as a rule."""
FRESH = 2.0
INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one question to Mistral came to. `asked` is a time of `time.monotonic`, `latency` seconds."""

    healthy: bool
    latency: float
    asked: float
    at: datetime


class Health:
    """Asks in the background between `start` and `stop`."""

    def __init__(self, mistral: Mistral, metrics: Metrics) -> None:
        self._mistral = mistral
        self._metrics = metrics
        self._last: Check | None = None
        self._running: asyncio.Task[Check] | None = None
        self._timer: asyncio.Task[None] | None = None

    async def check(self) -> Check:
        """What Mistral answered last, if that is fresh and no request has failed since; else what it answers now."""
        last = self._last
        if last and time.monotonic() - last.asked < FRESH and last.asked > self._mistral.last_failure:
            return last
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask())
        return await asyncio.shield(self._running)

    async def _ask(self) -> Check:
        started = time.monotonic()
        kind = None
        try:
            await self._mistral.ask(TIMEOUT)
        except Failure as failure:
            kind = failure.kind
        self._metrics.up.set(kind not in {"server", "timeout", "network"})
        asked = time.monotonic()
        self._last = Check(kind is None, asked - started, asked, datetime.now(UTC))
        return self._last

    def start(self) -> None:
        """Ask now, and again and again."""
        self._timer = asyncio.create_task(self._keep_asking())

    def stop(self) -> None:
        """Ask no more."""
        if self._timer:
            self._timer.cancel()

    async def _keep_asking(self) -> None:
        while True:
            await self.check()
            await asyncio.sleep(INTERVAL)
