"""The metrics that alerts and dashboards read. Each series is there from the start: an absent one looks well."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import (
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from .failure import PROVIDER_KINDS

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60)
STATUSES = ("200", "400", "401", "403", "404", "422", "429", "500", "502", "503", "504", "timeout", "network")


class Metrics:
    """`models` are the labels of `mistral_requests_total` that exist from the start."""

    def __init__(self, models: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library's own
        self.registry = CollectorRegistry()
        for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
            self.registry.register(collector)
        self.requests = Counter(
            "mistral_requests_total",
            "Requests to Mistral, retries included, by model and by HTTP status or kind of failure.",
            ["model", "status"],
            registry=self.registry,
        )
        self.errors = Counter(
            "mistral_errors_total",
            "Failed requests to Mistral by kind; a stream that breaks off or an unreadable body is a server error.",
            ["type"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "mistral_request_duration_seconds",
            "Time of one request to Mistral, to the end of its stream.",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.circuit = Gauge("mistral_circuit_breaker_state", "0 closed, 1 half-open, 2 open.", registry=self.registry)
        self.up = Gauge(
            "mistral_up",
            "1 when Mistral answers the background check, be it with a refusal; "
            "0 on a server error, a timeout or no connection.",
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "mistral_fallbacks_total",
            "Answers that did not come from the first model: from the fallback model, or the fallback text.",
            ["to"],
            registry=self.registry,
        )
        self.http = Histogram(
            "http_request_duration_seconds",
            "Time to answer a user, by route and status.",
            ["route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._begin(models)

    def _begin(self, models: Iterable[str]) -> None:
        for model in models:
            self.duration.labels(model)
            for status in STATUSES:
                self.requests.labels(model, status)
        for kind in PROVIDER_KINDS:
            self.errors.labels(kind)
        for to in ("model", "text"):
            self.fallbacks.labels(to)
        for route in ("/api/chat", "/api/chat/stream"):
            for status in ("200", "400", "503"):
                self.http.labels(route, status)
