"""The checks of what Prometheus sees and watches, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.infra.alerts import ALERTS
from checks.infra.alerts import test_each_alert_is_defined as alert_is_defined
from checks.infra.metrics import test_prometheus_scrapes_the_service as scrapes
from fixtures.alert_rules import AlertRules
from fixtures.observation import CannotObserve
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.infra_metrics import RULES, SPECIMENS
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, Judged, bench

__all__ = ["bench"]

Check = Callable[..., None]


def defined(alert: str) -> Check:
    """The check of one alert."""

    def judge(alert_rules: AlertRules) -> None:
        alert_is_defined(alert_rules=alert_rules, alert=alert)

    judge.__check__ = alert_is_defined.__check__  # type: ignore[attr-defined] # what makes it a check
    return judge


CHECKS: dict[str, Check] = {"INF-008": scrapes, **{f"INF-009[{alert}]": defined(alert) for alert in ALERTS}}


def broken(bench: Bench, specimen: Specimen) -> dict[str, Judged]:
    """What does not pass, by id and parameter."""
    judged = bench.judged(CHECKS, specimen)
    return {name: found for name, found in judged.items() if found.status != "passed"}


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert broken(bench, HEALTHY) == {}


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    found = broken(bench, specimen)
    assert {name.partition("[")[0] for name in found} == set(specimen.breaks)
    for judged in found.values():
        assert (judged.status, judged.reason) == (specimen.status, specimen.reason), judged.message
    for id_ in specimen.breaks:
        assert any(specimen.message in judged.message for name, judged in found.items() if name.startswith(id_)), found


@pytest.mark.parametrize("alert", ALERTS)
def test_a_missing_alert_is_missed_alone(bench: Bench, alert: str) -> None:
    """The rules of the other conditions do not stand in for it."""
    world = World()
    world.prometheus.without_rule(RULES[alert])
    judged = bench.over(CHECKS, world)
    assert [name for name, found in judged.items() if found.status != "passed"] == [f"INF-009[{alert}]"]


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    for status in ("failed", "unverified"):
        named = {id_ for specimen in SPECIMENS if specimen.status == status for id_ in specimen.breaks}
        assert named == {"INF-008", "INF-009"}


def test_an_alert_that_the_table_lacks_is_not_configured() -> None:
    """Without the row nothing says what to look for, and that is no pass."""
    rules = AlertRules((), (), 0, (), "severity")
    with pytest.raises(CannotObserve, match=r"prometheus\.alerts has no row circuit-open") as missing:
        alert_is_defined(alert_rules=rules, alert="circuit-open")
    assert missing.value.reason == "not_configured"


@pytest.mark.parametrize("fault", ["hang", "reset", "closed", "404", "429", "500", "half-json", "huge"])
def test_a_prometheus_that_does_not_answer_well_is_no_answer(bench: Bench, fault: str) -> None:
    """Whatever is wrong with it, nothing passes and nothing fails."""
    world = World()
    world.prometheus.fault = fault
    assert {found.status for found in bench.over(CHECKS, world).values()} == {"unverified"}
