"""The checks of the drills, judged over evidence of which a part is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from checks.resilience import circuit, failures, load, outage, retries, rotation
from fixtures.drills.evidence import FAULTS
from fixtures.sandbox.healthy import resilience as healthy
from fixtures.sandbox.specimen import Specimen
from fixtures.settings import Environment
from fixtures.settings import load as load_environment
from tests.checks.judging import ENVIRONMENTS, Bench, Judged

Check = Callable[..., None]

PARAMETRIZED: dict[str, tuple[Check, tuple[str, ...]]] = {
    "RES-001": (failures.test_each_fault_is_answered_in_a_defined_way, FAULTS),
    "RES-002": (retries.test_what_may_pass_is_retried_within_bounds, tuple(retries.PASSING)),
    "RES-003": (retries.test_what_was_refused_is_not_asked_again, tuple(retries.REFUSALS)),
    "RES-004": (circuit.test_the_circuit_opens_for_an_outage_only, ("500", "timeout", "422")),
}
PLAIN: dict[str, Check] = {
    "RES-005": circuit.test_the_circuit_tries_again_and_closes,
    "RES-006": circuit.test_the_fallback_answers_while_the_circuit_is_open,
    "RES-007": outage.test_health_tells_the_truth_during_an_outage,
    "RES-008": outage.test_it_recovers_by_itself,
    "RES-009": failures.test_nothing_leaks_while_mistral_fails,
    "RES-010": load.test_a_rate_limit_storm_is_not_made_worse,
    "RES-011": load.test_it_fails_fast_when_mistral_is_slow,
    "RES-012": rotation.test_a_rotated_key_is_taken_up,
}


@cache
def _environment() -> Environment:
    return load_environment("sandbox", ENVIRONMENTS)


def found(**changed: Any) -> Specimen:
    """The evidence of a service that does everything right, but for these observations."""
    values = {**healthy.everything(), **changed}
    return Specimen(name="changed", breaks=(), phase="preflight", says="", message="", values=values)


def judged(bench: Bench, specimen: Specimen) -> dict[str, Judged]:
    """What each check says, by id, and by id and fault where it is made for several."""
    values = {"environment": _environment(), **(specimen.values or {})}
    verdicts = bench.judged(PLAIN, replace(specimen, values=values))
    for id_, (check, faults) in PARAMETRIZED.items():
        for fault in faults:
            of_one = replace(specimen, values={**values, "fault": fault})
            verdicts[f"{id_}[{fault}]"] = bench.judged({id_: check}, of_one)[id_]
    return verdicts


def broken(bench: Bench, specimen: Specimen) -> dict[str, Judged]:
    """What does not pass."""
    return {name: verdict for name, verdict in judged(bench, specimen).items() if verdict.status != "passed"}
