"""People who write to the chat: so many messages a second, shared out among the versions of the service.

with Users({"http://127.0.0.1:3000": 90, "http://127.0.0.1:3001": 10}, rate=40) as users:
    users.shares({...})
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import httpx

PATH = "/api/chat"
PATIENCE = 10.0
"""Seconds for an answer."""


class Users:
    """Messages from `with` to its end, on a thread of their own. `answers` counts (address, status); 0 is no answer."""

    def __init__(self, shares: Mapping[str, int], rate: float) -> None:
        self._rate = rate
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
        async with httpx.AsyncClient(timeout=PATIENCE, verify=False) as client:  # no TLS: loads no certificates
            under_way: set[asyncio.Task[None]] = set()
            while not self._over.is_set():
                task = asyncio.create_task(self._message(client, next(self._turns)))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                await asyncio.sleep(1 / self._rate)
            await asyncio.gather(*under_way)

    async def _message(self, client: httpx.AsyncClient, address: str) -> None:
        try:
            answer = await client.post(f"{address}{PATH}", json={"message": "What is the time?"})
        except httpx.TransportError:
            self.answers[address, 0] += 1
        else:
            self.answers[address, answer.status_code] += 1


def _turns(shares: Mapping[str, int]) -> list[str]:
    """Each address as often as its weight, spread evenly over one turn."""
    places = [((number + 0.5) / weight, address) for address, weight in shares.items() for number in range(weight)]
    return [address for _, address in sorted(places)]
