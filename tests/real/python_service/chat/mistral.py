"""Mistral as this service uses it: a deadline, retries, a circuit breaker, a bound on concurrency, a fallback model."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

import httpx2
from mistralai.client import Mistral as Sdk
from mistralai.client.models import TextChunk, UserMessage

from .circuit import Circuit, CircuitName
from .config import Settings
from .failure import PROVIDER_KINDS, Failure, failure_from
from .log import logger
from .metrics import Metrics

MAX_TOKENS = 1024
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
"""Seconds, as all times here."""
NO_MODEL = "none"
"""The `model` label of a request that is for no model: the health check."""

_correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of a model."""

    reply: str
    model: str
    finish_reason: str


Call = Callable[[str], Awaitable[Answer]]
"""One request, to the model of that name."""


@dataclass(frozen=True, slots=True)
class Another:
    """A further request that is worth making, and when."""

    model: str
    pause: float


class Mistral:
    """One for the whole process; `close` it at the end."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # Half of the user's deadline, so that a request that hangs leaves time for another.
        self._attempt_limit = settings.deadline / 2
        # And no more than a tenth of it before the first retry, so that a short one has room for all.
        self._first_pause = min(FIRST_PAUSE, settings.deadline / 10)
        self._http = httpx2.AsyncClient(event_hooks={"response": [_read_headers]}, limits=httpx2.Limits())
        self._sdk = Sdk(
            api_key=settings.api_key,
            server_url=str(settings.mistral_base_url).rstrip("/") if settings.mistral_base_url else None,
            timeout_ms=settings.request_deadline_ms,
            async_client=self._http,
        )
        self._circuit = Circuit(
            threshold=settings.breaker_threshold, reset=settings.breaker_reset, on_change=self._circuit_changed
        )
        self._under_way = 0
        self._recovery: asyncio.Task[None] | None = None
        self.last_failure = -1.0
        """When a request last failed by Mistral's doing, as `time.monotonic` has it."""

    @property
    def circuit(self) -> CircuitName:
        """The state of the circuit."""
        return self._circuit.state

    async def complete(self, message: str) -> Answer:
        """Answers a message. Raises Failure, within the deadline."""
        return await self._with_retries(lambda model: self._completed(message, model))

    async def stream(self, message: str, on_delta: Callable[[str], None]) -> Answer:
        """As `complete`, and hands over each piece of the answer as it comes; after the first nothing is retried."""
        return await self._with_retries(lambda model: self._streamed(message, model, on_delta))

    async def ask(self, limit: float) -> None:
        """Ask for the list of models: the cheapest question that needs the network, the API and the key.

        Raises Failure, within `limit` seconds.
        """
        async with self._measured(NO_MODEL), asyncio.timeout(limit):
            await self._sdk.models.list_async()

    async def close(self) -> None:
        """Close the connections."""
        if self._recovery:
            self._recovery.cancel()
        await self._http.aclose()

    async def _with_retries(self, call: Call) -> Answer:
        """One budget of 1 + RETRY_MAX requests and one deadline for all that is done for a message."""
        ends_at = time.monotonic() + self._settings.deadline
        model, retries = self._settings.mistral_model, 0
        while True:
            try:
                answer = await self._guarded(model, call, ends_at)
            except Failure as failure:
                another = self._another(failure, model, retries, ends_at)
                if another is None:
                    raise
                await asyncio.sleep(another.pause)
                model, retries = another.model, retries + 1
            else:
                if model != self._settings.mistral_model:
                    self._metrics.fallbacks.labels("model").inc()
                return answer

    def _another(self, failure: Failure, model: str, retries: int, ends_at: float) -> Another | None:
        """What to try after a failure, if anything; the last request of the budget is the fallback model's."""
        left = self._settings.retry_max - retries
        if left <= 0:
            return None
        pause = (failure.retry_after or 0.0) + full_jitter(self._first_pause, retries)
        in_time = time.monotonic() + pause < ends_at
        again = failure.transient and in_time
        fallback = self._settings.mistral_fallback_model
        if fallback and model != fallback and failure.is_of_the_model and (left == 1 or not again):
            return Another(fallback, pause if in_time else 0.0)
        return Another(model, pause) if again else None

    async def _guarded(self, model: str, call: Call, ends_at: float) -> Answer:
        """One request, if the deadline, the bound on concurrency and the circuit admit it."""
        limit = min(self._attempt_limit, ends_at - time.monotonic())
        if limit <= 0:
            raise Failure("timeout")
        with self._slot():
            return await self._circuit.execute(lambda: self._attempt(model, call, limit))

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if self._under_way >= self._settings.max_concurrency:
            raise Failure("overloaded")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _attempt(self, model: str, call: Call, limit: float) -> Answer:
        async with self._measured(model), asyncio.timeout(limit):
            return await call(model)

    @asynccontextmanager
    async def _measured(self, model: str) -> AsyncIterator[None]:
        """Counts and logs one request, and makes a Failure of whatever it raises."""
        _correlation_id.set(None)
        started, status, failure = time.monotonic(), "cancelled", None
        try:
            yield
            status = "200"
        except Exception as error:  # noqa: BLE001 - what the SDK raises on a body it cannot read has no common type
            failure = failure_from(error)
            status = failure.status
            raise failure from None
        finally:
            self._record(model, status, time.monotonic() - started, failure)

    def _record(self, model: str, status: str, seconds: float, failure: Failure | None) -> None:
        self._metrics.requests.labels(model, status).inc()
        self._metrics.duration.labels(model).observe(seconds)
        facts: dict[str, object] = {"model": model, "status": status, "seconds": round(seconds, 3)}
        if correlation_id := _correlation_id.get():
            facts["correlationId"] = correlation_id
        if failure is None:
            logger.debug("answered by Mistral", extra={"facts": facts})
        elif failure.kind in PROVIDER_KINDS:
            self.last_failure = time.monotonic()
            self._metrics.errors.labels(failure.kind).inc()
            logger.warning("failed by Mistral", extra={"facts": {**facts, "kind": failure.kind}})

    async def _completed(self, message: str, model: str, max_tokens: int = MAX_TOKENS) -> Answer:
        answer = await self._sdk.chat.complete_async(
            model=model, messages=[UserMessage(content=message)], max_tokens=max_tokens
        )
        choice = answer.choices[0]
        return _finished(_text(choice.message.content if choice.message else None), model, choice.finish_reason)

    async def _streamed(self, message: str, model: str, on_delta: Callable[[str], None]) -> Answer:
        reply, finish_reason = "", None
        try:
            events = await self._sdk.chat.stream_async(
                model=model, messages=[UserMessage(content=message)], max_tokens=MAX_TOKENS
            )
            async with events:
                async for event in events:
                    choice = event.data.choices[0]
                    if delta := _text(choice.delta.content):
                        on_delta(delta)
                        reply += delta
                    finish_reason = choice.finish_reason or finish_reason
            return _finished(reply, model, finish_reason)
        except Exception as error:  # noqa: BLE001 - as above
            failure = failure_from(error)
            failure.partial = reply != ""
            raise failure from None

    def _circuit_changed(self, state: CircuitName) -> None:
        logger.warning("the circuit changed", extra={"facts": {"circuit": state}})
        if state == "open" and (self._recovery is None or self._recovery.done()):
            self._recovery = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        """Where no user's message tries Mistral for a whole reset time, the service does, for one token."""
        while self.circuit != "closed":
            await asyncio.sleep(2 * self._settings.breaker_reset)
            if self.circuit == "half-open":
                with suppress(Failure):
                    ends_at = time.monotonic() + self._settings.deadline
                    await self._guarded(self._settings.mistral_model, self._pinged, ends_at)

    async def _pinged(self, model: str) -> Answer:
        return await self._completed("ping", model, max_tokens=1)


def full_jitter(first: float, retries: int) -> float:
    """A random part of a pause that doubles each time: many clients that failed together come back apart."""
    return random.uniform(0, min(LONGEST_PAUSE, first * 2**retries))


async def _read_headers(response: httpx2.Response) -> None:
    """Keeps the correlation id for the log, and the SDK from failing on a stream of a deprecated model."""
    _correlation_id.set(response.headers.get("mistral-correlation-id"))
    if retires := response.headers.pop("x-model-deprecation-timestamp", None):
        logger.warning("the model is deprecated", extra={"facts": {"retires": retires}})


def _finished(reply: str, model: str, finish_reason: object) -> Answer:
    """An answer is complete only with a finish reason: a stream that ends early looks like a success to the SDK."""
    if not reply or not finish_reason or finish_reason == "error":
        raise Failure("server")
    return Answer(reply, model, str(finish_reason))


def _text(content: object) -> str:
    """The text of a content that is a string or, from a reasoning model, a list of chunks."""
    if isinstance(content, str):
        return content
    chunks = content if isinstance(content, list) else []
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk))
