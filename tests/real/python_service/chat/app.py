"""The HTTP interface: the chat for users, three probes and the metrics for those who run it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .circuit import CIRCUIT_LEVELS
from .config import Settings
from .failure import Failure, Kind
from .health import Health
from .log import logger
from .metrics import Metrics
from .mistral import NO_MODEL, Answer, Mistral

MESSAGES: dict[Kind, str] = {
    "rate_limited": "Too many requests at the moment. Try again in a minute.",
    "overloaded": "Too many requests at the moment. Try again in a minute.",
    "timeout": "The model did not answer in time.",
    "invalid": "The model did not accept this request.",
}


class ChatRequest(BaseModel):
    """What a user sends."""

    model_config = ConfigDict(extra="forbid", strict=True)
    message: Annotated[str, StringConstraints(min_length=1, max_length=8000, pattern=r"\S")]


class Chat:
    """The endpoints, and what they stand on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        models = [settings.mistral_model, settings.mistral_fallback_model, NO_MODEL]
        self.metrics = Metrics(model for model in models if model)
        self.mistral = Mistral(settings, self.metrics)
        self.health = Health(self.mistral, self.metrics)

    def app(self) -> FastAPI:
        """The application, to be served."""
        app = FastAPI(lifespan=self._life, openapi_url=None)
        app.add_middleware(Observed, metrics=self.metrics)
        app.add_api_route("/live", self.live)
        app.add_api_route("/ready", self.ready)
        app.add_api_route("/health", self.healthy)
        app.add_api_route("/metrics", self.measured)
        app.add_api_route("/api/chat", self.chat, methods=["POST"])
        app.add_api_route("/api/chat/stream", self.stream, methods=["POST"])
        app.add_exception_handler(RequestValidationError, _not_a_message)
        app.add_exception_handler(HTTPException, _refused)
        app.add_exception_handler(Exception, _failed)
        return app

    @asynccontextmanager
    async def _life(self, _: FastAPI) -> AsyncIterator[None]:
        self.health.start()
        yield
        self.health.stop()
        await self.mistral.close()
        logger.info("stopped")

    async def live(self) -> Response:
        """The process runs."""
        return JSONResponse({"status": "alive"})

    async def ready(self) -> Response:
        """It takes requests; whether Mistral does is another matter."""
        return JSONResponse({"status": "ready"})

    async def measured(self) -> Response:
        """For Prometheus."""
        self.metrics.circuit.set(CIRCUIT_LEVELS[self.mistral.circuit])
        return Response(generate_latest(self.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def healthy(self) -> Response:
        """What Mistral answers now, and what the circuit makes of it."""
        check = await self.health.check()
        circuit = self.mistral.circuit
        healthy = check.healthy and circuit != "open"
        status = "unhealthy" if not check.healthy else "healthy" if circuit == "closed" else "degraded"
        mistral = {
            "healthy": healthy,
            "latency_ms": round(check.latency * 1000),
            "checked_at": check.at.isoformat(),
            "circuit": circuit,
        }
        body = {
            "status": status,
            "environment": self.settings.environment,
            "revision": self.settings.git_revision,
            "timestamp": datetime.now(UTC).isoformat(),
            "services": {"mistral": mistral},
        }
        return JSONResponse(body, 200 if healthy else 503)

    async def chat(self, asked: ChatRequest, request: Request) -> Response:
        """The whole answer at once."""
        try:
            answer = await _while_wanted(request, self.mistral.complete(asked.message))
        except Failure as failure:
            return self.unavailable(failure)
        body = {"reply": answer.reply, "model": answer.model, "finish_reason": answer.finish_reason, "fallback": False}
        return JSONResponse(body)

    async def stream(self, asked: ChatRequest) -> Response:
        """The answer piece by piece, as server-sent events."""
        pieces: asyncio.Queue[str] = asyncio.Queue()
        work = asyncio.create_task(self.mistral.stream(asked.message, pieces.put_nowait))
        work.add_done_callback(lambda _: pieces.put_nowait(""))  # no piece is empty
        try:
            first = await pieces.get()
            if not first:
                await work
        except Failure as failure:
            return self.unavailable(failure)
        except asyncio.CancelledError:
            work.cancel()
            raise
        return StreamingResponse(
            _events(first, pieces, work), media_type="text/event-stream", headers={"cache-control": "no-cache"}
        )

    def unavailable(self, failure: Failure) -> Response:
        """A failed call is never a success: 503, with the text that a client shows in place of an answer."""
        self.metrics.fallbacks.labels("text").inc()
        wait = failure.retry_after
        headers = {} if wait is None else {"retry-after": str(math.ceil(wait))}
        body = {"error": described(failure), "fallback": True, "reply": self.settings.fallback_text}
        return JSONResponse(body, 503, headers)


def described(failure: Failure) -> dict[str, str]:
    """What a user may know of a failure."""
    return {"code": failure.kind, "message": MESSAGES.get(failure.kind, "The model is not available.")}


async def _events(first: str, pieces: asyncio.Queue[str], work: asyncio.Task[Answer]) -> AsyncIterator[str]:
    """Ends with an error event where `work` fails; ends `work` where the user goes."""
    try:
        piece = first
        while piece:
            yield _event({"delta": piece})
            piece = await pieces.get()
        answer = await work
        yield _event({"done": True, "finish_reason": answer.finish_reason, "model": answer.model})
    except Failure as failure:
        yield _event({"error": described(failure)})
    finally:
        work.cancel()


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data)}\n\n"


async def _while_wanted(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The result of `work`, which is cancelled when the user's connection closes: nobody pays for what nobody reads."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    gone.add_done_callback(lambda done: done.cancelled() or task.cancel())
    try:
        return await task
    finally:
        gone.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Observed:
    """Measures and logs each request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            with suppress(asyncio.CancelledError):  # the user has gone
                await self._app(scope, receive, noting)
        finally:
            self._record(scope, status, time.monotonic() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.http.labels(route, str(status)).observe(seconds)
        facts = {"method": scope["method"], "route": route, "status": status, "seconds": round(seconds, 3)}
        log = logger.info if route.startswith("/api/") else logger.debug
        log("answered", extra={"facts": facts})


def _problem(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


async def _not_a_message(*_: object) -> Response:
    return _problem(400, "invalid_request", 'Send {"message": text} of 1 to 8000 characters.')


async def _refused(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 400
    if status == 404:
        return _problem(404, "not_found", "There is no such resource.")
    return _problem(status, "invalid_request", "The request could not be read.")


async def _failed(*_: object) -> Response:
    return _problem(500, "internal", "The service failed.")
