"""People who write to the chat: so many messages a second, shared out among the versions of the service.

with Users({"http://127.0.0.1:3000": 90, "http://127.0.0.1:3001": 10}, rate=40) as users:
    users.shares({...})
    users.rate, users.at_once = 120, 6
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp

PATH = "/api/chat"
PATIENCE = 10.0
"""Seconds for an answer."""


class Users:
    """Messages from `with` to its end, on a thread of their own. `answers` counts (address, status); 0 is no answer."""

    def __init__(self, shares: Mapping[str, int], rate: float) -> None:
        self.rate = rate
        """Messages a second; fewer where they are not answered as fast."""
        self.at_once: int | None = None
        """So many wait for an answer at the most, so that a machine that stalls for a moment makes no crowd."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()), name="users", daemon=True)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.shares(shares)

    def shares(self, shares: Mapping[str, int]) -> None:
        """Share the messages out anew, by weight and in turn: what each version gets is exact."""
        self._turns = itertools.cycle(_turns(shares))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(PATIENCE + 5)

    async def _write(self) -> None:
        # Half of what httpx takes of the processor, which the service is to have.
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as client:
            under_way: set[asyncio.Task[None]] = set()
            while not self._over.is_set():
                if self.at_once is None or len(under_way) < self.at_once:
                    task = asyncio.create_task(self._message(client, next(self._turns)))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                await asyncio.sleep(1 / self.rate)
            await asyncio.gather(*under_way)

    async def _message(self, client: aiohttp.ClientSession, address: str) -> None:
        try:
            async with client.post(f"{address}{PATH}", json={"message": "What is the time?"}) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.answers[address, 0] += 1
        else:
            self.answers[address, answer.status] += 1


def _turns(shares: Mapping[str, int]) -> list[str]:
    """Each address as often as its weight, spread evenly over one turn."""
    places = [((number + 0.5) / weight, address) for address, weight in shares.items() for number in range(weight)]
    return [address for _, address in sorted(places)]
