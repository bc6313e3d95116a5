"""The health endpoint: what people, alerts and triage read first."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fixtures.connection import loopback
from fixtures.observations.service import MistralHealth, ServiceHealth
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment

FRESH = 120.0
"""Seconds. What was asked earlier says nothing about now."""
SKEW = 60.0
"""Seconds by which two clocks may differ."""


@check(
    "INF-001",
    severity="blocker",
    remedy="""
    Let the health endpoint ask Mistral (GET /v1/models, at most every few seconds) and say what came of it, in these
    fields and no others: no error text, no address, no configuration.

        {"status": "healthy", "timestamp": "2026-11-22T10:00:00Z",
         "services": {"mistral": {"healthy": true, "latency_ms": 84, "checked_at": "2026-11-22T09:59:58Z"}}}

    Where yours stand elsewhere, say so: `service.health.mistral`. See what it says now: curl -s URL/health
    """,
)
def test_the_health_endpoint_reports_on_mistral(service_health: ServiceHealth, environment: Environment) -> None:
    """The health endpoint says whether Mistral answers, how fast, and when it was asked, and gives nothing away."""
    assert _offenders(service_health, environment.service.health.mistral, _least(environment.provider.base_url)) == []


def _least(provider: str) -> float:
    """Milliseconds that no answer of the provider takes less than, once they are rounded: none on this machine."""
    return 0.0 if loopback(urlsplit(provider).hostname or "") else 0.001


def _offenders(health: ServiceHealth, field: str, least: float) -> list[Offender]:
    leaks = [
        Offender(f"leaks {'an' if leak.kind[0] in 'aeiou' else 'a'} {leak.kind}", f"{health.url}: {leak.where}")
        for leak in health.leaks
    ]
    if not health.json:
        return [Offender("the answer is no JSON object", health.url, f"status {health.status}", "a report"), *leaks]
    missing = [Offender(f"no field {name}", health.url, expected=kind) for name, kind in _missing(health, field)]
    return [*missing, *_unasked(health, field, least), *leaks]


def _missing(health: ServiceHealth, field: str) -> list[tuple[str, str]]:
    mistral = health.mistral or MistralHealth(None, None, None)
    fields = [
        ("status", "a word", health.state is None),
        (f"{field}.healthy", "true or false", mistral.healthy is None),
        (f"{field}.latency_ms", "milliseconds", mistral.latency is None),
        (f"{field}.checked_at or timestamp", "an RFC 3339 time", mistral.age is None and health.age is None),
    ]
    return [(name, kind) for name, kind, absent in fields if absent]


def _unasked(health: ServiceHealth, field: str, least: float) -> list[Offender]:
    """What shows that `healthy` was said without an answer of Mistral: fault injection proves it, these facts hint."""
    mistral = health.mistral
    if mistral is None or not mistral.healthy:
        return []
    what = "says healthy without having asked Mistral"
    offenders = []
    if mistral.latency is not None and mistral.latency < least:
        offenders.append(Offender(what, f"{health.url}: {field}.latency_ms", f"{mistral.latency:g}", "more than 0"))
    age = mistral.age if mistral.age is not None else health.age
    place = f"{field}.checked_at" if mistral.age is not None else "timestamp"
    if age is not None and age > FRESH:
        offenders.append(Offender(what, f"{health.url}: {place}", f"{age:.0f} s ago", f"within {FRESH:g} s"))
    if age is not None and age < -SKEW:
        offenders.append(
            Offender(what, f"{health.url}: {place}", f"{-age:.0f} s in the future", "a time that has been")
        )
    return offenders
