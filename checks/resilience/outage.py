"""What the service says of itself during an outage, and that it is whole again after it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from fixtures.drills.evidence import Budgets, Outage, Outages, Probe, gathered
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment


@check(
    "RES-007",
    severity="blocker",
    remedy="""
    Let the health endpoint ask Mistral itself (GET /v1/models, within a second), and the liveness path ask nobody:

        app.get("/live", (_, response) => response.json({ status: "alive" }))
        app.get("/health", async (_, response) => {
          const answers = await asked(AbortSignal.timeout(1000)), open = breaker.opened
          response.status(answers && !open ? 200 : 503).json({
            status: !answers ? "unhealthy" : open ? "degraded" : "healthy",
            timestamp: new Date().toISOString(), services: { mistral: { healthy: answers && !open } },
          })
        })

    Where their paths or words are others, say so in environments/NAME.toml:

        [service.health]
        path = "/health"
        healthy = ["healthy"]
        [resilience]
        live = "/live"
    """,
)
def test_health_tells_the_truth_during_an_outage(outages: Outages, environment: Environment) -> None:
    """While Mistral is down the health endpoint says so, and nothing tells Kubernetes to restart the pods."""
    health, live = environment.service.health.path, environment.resilience.live
    assert gathered(partial(_untrue, item, health, live) for item in outages.both()) == []


@check(
    "RES-008",
    severity="blocker",
    remedy="""
    Nothing that an outage leaves behind may last: close the circuit on the first success, let health ask anew each
    time, and give up connections that broke. What must not be there is a state that only a start clears:

        this.degraded = true        // and nowhere: this.degraded = false

    Where recovery takes longer on purpose, say how long in environments/NAME.toml; until then a restart helps:

        [resilience]
        recovery = 60.0

        kubectl rollout restart deployment/NAME -n NAMESPACE
    """,
)
def test_it_recovers_by_itself(outages: Outages) -> None:
    """Once Mistral is back the service is whole again within the declared time, without anybody's help."""
    assert gathered(partial(_unrecovered, item, outages.budgets) for item in outages.both()) == []


def _untrue(outage: Outage, health: str, live: str) -> Iterator[Offender]:
    probes = (*outage.tripping.told().probes, *outage.opened.told().probes)
    said = [probe for probe in probes if probe.path == health]
    lived = [probe for probe in probes if probe.path == live]
    if not said or not lived:
        missing = health if not said else live
        raise CannotObserve(
            "no_data", f"{outage.fault}: {missing} was not asked meanwhile", remedy="Inject the faults again."
        )
    if said[-1].healthy:
        found = f"{said[-1].says!r} (status {said[-1].status}) {said[-1].at:.1f} s after the outage began"
        yield Offender("says that all is well", f"{outage.fault}: {health}", found, "that Mistral does not answer")
    if failed := [probe for probe in lived if not _well(probe)]:
        found = f"status {failed[0].status}" if failed[0].status else "no answer"
        yield Offender("the liveness path fails with Mistral", f"{outage.fault}: {live}", found, "200 to 299")


def _well(probe: Probe) -> bool:
    return probe.status is not None and 200 <= probe.status < 300


def _unrecovered(outage: Outage, budgets: Budgets) -> Iterator[Offender]:
    tripping = outage.tripping.told()
    where = f"{outage.fault}: after the outage"
    if tripping.ended:
        yield Offender("the service ended", where, tripping.ended, "that it lives and recovers")
        return
    if outage.recovered is not None and outage.recovered <= budgets.recovery:
        return
    late = f"{outage.recovered:.1f} s" if outage.recovered is not None else "still degraded"
    found = "it needs a restart" if outage.recovered is None and outage.restarted else late
    yield Offender("does not recover by itself in time", where, found, f"whole again within {budgets.recovery:g} s")
