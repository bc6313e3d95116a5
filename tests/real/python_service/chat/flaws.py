"""Ways to be a bad service, for those who want to see them found: FLAW=name replaces one part of a good one.

Each function is one flaw, named after it, and says what people wrote instead. Nothing else in this package knows of it.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from mistralai.client.models import UserMessage
from mistralai.client.utils import BackoffStrategy, RetryConfig

from . import failure as failures
from . import mistral as client
from .app import Chat
from .circuit import Circuit, CircuitName
from .config import Settings
from .failure import Failure
from .log import logger
from .metrics import Metrics
from .mistral import Another, Answer, Call, Mistral

FLAWS: dict[str, Callable[[], None]] = {}


def apply(name: str) -> None:
    """Make the service bad. Raises KeyError for a flaw that there is not."""
    FLAWS[name]()


def _flaw(function: Callable[[], None]) -> Callable[[], None]:
    FLAWS[function.__name__.replace("_", "-")] = function
    return function


def _put(owner: Any, name: str, part: Any) -> None:
    """Assigns where type checkers would not have it."""
    setattr(owner, name, part)


# What the user gets.


@_flaw
def success_for_a_failure() -> None:
    """`except Exception as error: return {"reply": f"Error: {error}"}`."""

    def unavailable(self: Chat, failure: Failure) -> Response:
        return JSONResponse({"reply": f"Error: {failure.kind}", "model": "none", "fallback": False})

    _put(Chat, "unavailable", unavailable)


@_flaw
def empty_success() -> None:
    """`except Exception: return {"reply": ""}`."""

    def unavailable(self: Chat, failure: Failure) -> Response:
        return JSONResponse({"reply": "", "model": "none", "fallback": False})

    _put(Chat, "unavailable", unavailable)


@_flaw
def stack_trace() -> None:
    """No handler at all, and debug mode left on."""

    def unavailable(self: Chat, failure: Failure) -> Response:
        return PlainTextResponse("".join(traceback.format_exception(failure)), 500)

    _put(Chat, "unavailable", unavailable)


@_flaw
def upstream_body() -> None:
    """The error says what Mistral said, to whoever asks."""
    good = failures.failure_from

    def failure_from(error: Exception) -> Failure:
        failure = good(error)
        if not isinstance(error, Failure):
            failure.__notes__ = [str(getattr(error, "body", error))]
        return failure

    def unavailable(self: Chat, failure: Failure) -> Response:
        error = {"code": failure.kind, "message": " ".join(getattr(failure, "__notes__", []))}
        return JSONResponse({"error": error, "fallback": True, "reply": self.settings.fallback_text}, 503)

    _put(client, "failure_from", failure_from)
    _put(Chat, "unavailable", unavailable)


@_flaw
def error_page_while_open() -> None:
    """The circuit's own error was not thought of."""
    good = Chat.unavailable

    def unavailable(self: Chat, failure: Failure) -> Response:
        if failure.kind == "circuit_open":
            return HTMLResponse("<h1>500 Internal Server Error</h1>", 500)
        return good(self, failure)

    _put(Chat, "unavailable", unavailable)


@_flaw
def half_a_stream_is_an_answer() -> None:
    """A stream that ends is taken for a stream that is complete."""
    _put(client, "_finished", lambda reply, model, finish_reason: Answer(reply, model, str(finish_reason or "stop")))


# Time.


@_flaw
def no_limit_on_streams() -> None:
    """The time limit ends with the headers; a stream may take as long as it likes between two words."""

    async def stream(self: Mistral, message: str, on_delta: Callable[[str], None]) -> Answer:
        return await self._streamed(message, self._settings.mistral_model, on_delta)

    _put(Mistral, "stream", stream)


@_flaw
def blocked_event_loop() -> None:
    """The synchronous client in an asynchronous endpoint: while it waits, nobody else is served."""

    async def completed(self: Mistral, message: str, model: str, max_tokens: int = client.MAX_TOKENS) -> Answer:
        limit = int(self._attempt_limit * 1000)
        answer = self._sdk.chat.complete(
            model=model, messages=[UserMessage(content=message)], max_tokens=max_tokens, timeout_ms=limit
        )
        choice = answer.choices[0]
        return Answer(client._text(choice.message and choice.message.content), model, str(choice.finish_reason))

    _put(Mistral, "_completed", completed)


# Retries.


def _decide(another: Callable[[Mistral, Failure, str, int, float], Another | None]) -> None:
    _put(Mistral, "_another", another)


@_flaw
def retries_refusals() -> None:
    """Whatever fails is tried again, a wrong key too."""
    good = Mistral._another

    def another(self: Mistral, failure: Failure, model: str, retries: int, ends_at: float) -> Another | None:
        if failure.kind in {"auth", "invalid"} and retries < self._settings.retry_max:
            return Another(model, client.full_jitter(self._first_pause, 0))
        return good(self, failure, model, retries, ends_at)

    _decide(another)


@_flaw
def constant_pause() -> None:
    """A fixed pause: those who failed together come back together."""
    _put(client, "full_jitter", lambda first, retries: 0.25)


@_flaw
def deaf_to_retry_after() -> None:
    """The pause is ours, whatever the provider asks for."""
    good = Mistral._another

    def another(self: Mistral, failure: Failure, model: str, retries: int, ends_at: float) -> Another | None:
        failure.retry_after = None
        return good(self, failure, model, retries, ends_at)

    _decide(another)


@_flaw
def retries_within_retries() -> None:
    """The SDK's own retries inside of ours, and the circuit hears only of the last."""
    good = Mistral.__init__

    def init(self: Mistral, settings: Settings, metrics: Metrics) -> None:
        good(self, settings, metrics)
        pauses = BackoffStrategy(10, 20, 1.5, 60_000, jitter_ms=10)
        self._sdk.sdk_configuration.retry_config = RetryConfig("backoff", pauses, retry_connection_errors=True)

    _put(Mistral, "__init__", init)


# The circuit.


@_flaw
def circuit_counts_only_timeouts() -> None:
    """`expected_exception=TimeoutError`: a provider that fails fast never opens it."""
    _put(Circuit, "is_failure", lambda self, *, result, exception: getattr(exception, "kind", "") == "timeout")


@_flaw
def circuit_counts_refusals() -> None:
    """Every exception counts, so that a few bad messages of one user close the service for all."""
    _put(Circuit, "is_failure", lambda self, *, result, exception: exception is not None)


@_flaw
def half_open_stampede() -> None:
    """When the reset time is over all go through at once."""
    good = Circuit.execute

    async def execute(self: Circuit, work: Callable[[], Awaitable[Answer]]) -> Answer:
        if self.state != "half-open":
            return await good(self, work)
        try:
            answer = await work()
        except Failure:
            self._opened_at = time.monotonic()
            raise
        self._breaker.reset()
        return answer

    _put(Circuit, "execute", execute)


@_flaw
def fallback_asks_the_same_provider() -> None:
    """While the circuit is open the other model is asked instead, at the provider that is down."""
    good = Mistral._guarded

    async def guarded(self: Mistral, model: str, call: Call, ends_at: float) -> Answer:
        try:
            return await good(self, model, call, ends_at)
        except Failure as failure:
            other = self._settings.mistral_fallback_model
            if failure.kind == "circuit_open" and self.circuit == "open" and other:
                with suppress(Failure), self._slot():
                    return await self._attempt(other, call, self._attempt_limit / 4)
            raise

    _put(Mistral, "_guarded", guarded)


# Health.


@_flaw
def always_healthy() -> None:
    """`/health` says ok because the process can say so."""

    async def healthy(self: Chat) -> Response:
        return JSONResponse({"status": "healthy", "services": {"mistral": {"healthy": True}}})

    _put(Chat, "healthy", healthy)


@_flaw
def liveness_asks_mistral() -> None:
    """Liveness is health: an outage of the provider's has the pods killed."""
    _put(Chat, "live", Chat.healthy)


@_flaw
def degraded_for_ever() -> None:
    """A flag that is set on the first outage, and that nobody resets."""
    changed, asked = Mistral._circuit_changed, Mistral.ask
    outages: list[float] = []

    def circuit_changed(self: Mistral, state: CircuitName) -> None:
        outages.append(time.monotonic())
        changed(self, state)

    async def ask(self: Mistral, limit: float) -> None:
        if outages:
            raise Failure("server")
        await asked(self, limit)

    _put(Mistral, "_circuit_changed", circuit_changed)
    _put(Mistral, "ask", ask)


# Secrets.


def _on_failure(notice: Callable[[Mistral, Exception], None]) -> None:
    """Calls `notice` with what the SDK raised, before it is made a Failure."""
    good = Mistral._attempt

    async def attempt(self: Mistral, model: str, call: Call, limit: float) -> Answer:
        async def noticed(model: str) -> Answer:
            try:
                return await call(model)
            except Exception as error:
                notice(self, error)
                raise

        return await good(self, model, noticed, limit)

    _put(Mistral, "_attempt", attempt)


@_flaw
def key_in_the_log() -> None:
    """The headers of a request that failed, all of them."""

    def notice(self: Mistral, error: Exception) -> None:
        headers = {"authorization": f"Bearer {self._settings.api_key()}"}
        logger.error("request failed", extra={"facts": {"headers": headers}})

    _on_failure(notice)


@_flaw
def prompt_in_the_log() -> None:
    """What was asked when it failed."""
    good = Mistral.complete

    async def complete(self: Mistral, message: str) -> Answer:
        try:
            return await good(self, message)
        except Failure:
            logger.error("could not answer", extra={"facts": {"prompt": message}})
            raise

    _put(Mistral, "complete", complete)


@_flaw
def stack_trace_in_the_log() -> None:
    """`traceback.print_exc()`."""
    _on_failure(lambda self, error: traceback.print_exception(error))


@_flaw
def key_read_once() -> None:
    """The key is read when the service starts; a new one needs a restart."""
    good = Settings.api_key
    kept: list[str] = []

    def api_key(self: Settings) -> str:
        kept[:] = kept or [good(self)]
        return kept[0]

    _put(Settings, "api_key", api_key)


# Life.


@_flaw
def dies_on_401() -> None:
    """`sys.exit("invalid API key")`, far from the start."""

    def notice(self: Mistral, error: Exception) -> None:
        if getattr(error, "status_code", 0) == 401:
            logger.critical("invalid API key")
            os._exit(1)

    _on_failure(notice)
