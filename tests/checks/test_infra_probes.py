"""The checks of the probes and of the health endpoint, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.infra.health import test_the_health_endpoint_reports_on_mistral as health_endpoint
from checks.infra.probes import test_an_outage_of_mistral_restarts_no_pod as outage
from checks.infra.probes import test_every_container_has_a_liveness_probe as liveness
from checks.infra.probes import test_every_container_has_a_readiness_probe as readiness
from fixtures.observations.service import MistralHealth, ServiceHealth
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.infra_probes import SPECIMENS
from fixtures.settings import Environment, Provider
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {
    "INF-001": health_endpoint,
    "INF-002": readiness,
    "INF-003": liveness,
    "INF-004": outage,
}


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert {id_: found.status for id_, found in bench.judged(CHECKS, HEALTHY).items()} == dict.fromkeys(
        CHECKS, "passed"
    )


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


@pytest.mark.parametrize(
    ("provider", "milliseconds", "passes"),
    [
        pytest.param("https://api.mistral.ai", 84.0, True, id="far"),
        pytest.param("https://api.mistral.ai", 0.0, False, id="far-in-no-time"),
        pytest.param("http://127.0.0.1:8080", 0.0, True, id="near-rounded"),
        pytest.param("http://127.0.0.1:8080", -1.0, False, id="near-made-up"),
    ],
)
def test_a_latency_of_nothing_shows_that_nobody_was_asked(provider: str, milliseconds: float, passes: bool) -> None:
    """No answer comes over a network in less than half a millisecond; from the same machine one does."""
    mistral = MistralHealth(healthy=True, latency=milliseconds, age=1.0)
    said = ServiceHealth("http://x/health", 200, 0.1, True, "healthy", "production", 0.0, mistral)
    environment = Environment(name="x", tier="production", provider=Provider(base_url=provider))
    if passes:
        health_endpoint(said, environment)
    else:
        with pytest.raises(AssertionError, match="without having asked"):
            health_endpoint(said, environment)
