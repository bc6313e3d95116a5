"""The circuit breaker around Mistral: so many failures in a row open it, and later it lets a single trial through."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from interlock import CircuitBreaker, CircuitOpenError, Config, State
from interlock.protocols import CoreEventListener

from .failure import Failure

T = TypeVar("T")
CircuitName = Literal["closed", "half-open", "open"]
CIRCUIT_LEVELS: dict[CircuitName, int] = {"closed": 0, "half-open": 1, "open": 2}
"""What `mistral_circuit_breaker_state` shows."""


class Circuit(CoreEventListener):
    """`reset` is in seconds; `on_change` hears of each opening and closing."""

    def __init__(self, *, threshold: int, reset: float, on_change: Callable[[CircuitName], None]) -> None:
        self._reset = reset
        self._on_change = on_change
        self._opened_at = 0.0
        self._breaker = CircuitBreaker(
            name="mistral", config=self._config(threshold, reset), classifier=self, listener=self
        )

    @staticmethod
    def _config(threshold: int, reset: float) -> Config:
        return Config(
            failure_rate_threshold=1.0,  # all of the last `threshold` calls: so many failures in a row
            window_size=threshold,
            minimum_number_of_calls=threshold,
            slow_call_duration_threshold=math.inf,
            wait_duration_in_open=reset,
            permitted_calls_in_half_open=1,
            max_concurrent_probes=1,
        )

    @property
    def state(self) -> CircuitName:
        """Half-open: the reset time is over, and the next request will be the trial or the trial is under way."""
        if self._breaker.state is State.CLOSED:
            return "closed"
        return "open" if time.monotonic() < self._opened_at + self._reset else "half-open"

    async def execute(self, work: Callable[[], Awaitable[T]]) -> T:
        """Raises Failure("circuit_open") at once where no request may be sent, and what `work` raises."""
        try:
            return await self._breaker.call_async(work)
        except CircuitOpenError as refused:
            raise Failure("circuit_open", retry_after=refused.retry_after or 0.0) from None

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        """What opens the circuit."""
        return isinstance(exception, Failure) and exception.counts_against_provider

    def on_state_change(self, *, name: str, old: State, new: State) -> None:
        """Called by the breaker."""
        if new is State.OPEN:
            self._opened_at = time.monotonic()
            self._on_change("open")
        elif new is State.CLOSED:
            self._on_change("closed")
