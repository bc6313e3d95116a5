"""What is made of requests and alerts that a real Prometheus saw over minutes: its data is written before it starts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from checks.triage.errors import excess
from fixtures.alerts import Alerts
from fixtures.canary.alerts import fired
from fixtures.canary.pods import CanaryPods
from fixtures.canary.share import CanaryTraffic, traffic
from fixtures.canary.side import Side
from fixtures.canary.target import Canary
from fixtures.observation import CannotObserve
from fixtures.prometheus import Prometheus
from fixtures.settings import Environment
from fixtures.triage.rates import rates
from tests.real.prometheus import PartMissing, PrometheusServer, remember

pytestmark = pytest.mark.real

SCRAPE = 15
"""Seconds."""
BOUNDS = {"0.1": 0.2, "0.25": 0.5, "0.5": 0.7, "1": 0.9, "2.5": 1.0, "5": 1.0, "10": 1.0, "+Inf": 1.0}
"""Bounds of the buckets in seconds, and the share of requests that take no longer."""
Samples = dict[str, dict[float, float]]
Remembering = Callable[..., tuple[Prometheus, Environment]]
RENAMED = """
groups:
  - name: chat
    rules:
      - alert: Renamed
        expr: 'mistral_up{job="chat"} == 0'
        labels: {severity: critical}
"""


@pytest.fixture
def remembering(tmp_path: Path) -> Iterator[Remembering]:
    """A real Prometheus with these samples and rules, and settings that name it. A pipeline must have one."""
    with ExitStack() as started:

        def start(samples: Samples, rules: str = "") -> tuple[Prometheus, Environment]:
            try:
                remember(tmp_path, samples)
                server = started.enter_context(PrometheusServer(tmp_path, targets={}, rules=rules))
            except PartMissing as missing:
                if os.environ.get("CI") == "true":
                    raise
                pytest.skip(str(missing))
            settings = {"url": server.url, "target": {"job": "chat"}}
            environment = Environment.model_validate({"name": "x", "tier": "production", "prometheus": settings})
            return Prometheus(environment, None), environment  # type: ignore[arg-type] # no secret is asked for

        yield start


def up(value: Callable[[float], float | None], ago: float = 1500) -> Samples:
    """Whether the service could be scraped, by the seconds ago; None where Prometheus did not look."""
    now = _now()
    known = {now - back: value(back) for back in range(0, int(ago) + 1, SCRAPE)}
    return {'up{job="chat",instance="a"}': {at: found for at, found in known.items() if found is not None}}


def requests(
    track: str, began: float, ended: float, a_second: float, failing: Callable[[float], float], timed: float = 1.0
) -> Samples:
    """The counters of one version between these seconds ago; the share that fails by the seconds ago."""
    now, labels, count, failed = _now(), f'job="chat",track="{track}",instance="{track}"', 0.0, 0.0
    found: Samples = {}
    for back in range(int(began), int(ended) - 1, -SCRAPE):
        at = now - back
        found.setdefault(f"mistral_requests_total{{{labels}}}", {})[at] = count
        found.setdefault(f'mistral_errors_total{{{labels},type="server"}}', {})[at] = failed
        for bound, share in BOUNDS.items():
            name = f'mistral_request_duration_seconds_bucket{{{labels},le="{bound}"}}'
            found.setdefault(name, {})[at] = count * share * timed
        count += a_second * SCRAPE
        failed += a_second * SCRAPE * failing(back)
    return found


def _now() -> int:
    return int(time.time())


def test_what_was_counted_until_the_scrapes_failed_is_no_present_rate(remembering: Remembering) -> None:
    """Four minutes without an answer, and before it hardly an error: what the rate is now cannot be told."""
    stopped = up(lambda back: float(back >= 240)) | requests("stable", 1500, 240, 200, lambda _: 0.001)
    with pytest.raises(CannotObserve) as refused:
        excess(rates(*remembering(stopped)), 0.05)
    assert (refused.value.reason, "no sample in the last 120 s" in refused.value.message) == ("no_data", True)


def test_what_is_scraped_of_late_is_the_present_rate(remembering: Remembering) -> None:
    """Of one pod or of another: the old one is away."""
    replaced = requests("old", 1500, 180, 200, lambda _: 0.001) | requests("new", 240, 0, 200, lambda _: 0.3)
    found = rates(*remembering(replaced))
    assert found.rate == pytest.approx(0.2, abs=0.1)
    assert excess(found, 0.05)


def compared(asking: tuple[Prometheus, Environment]) -> CanaryTraffic:
    """What a step over ten minutes makes of the two versions."""
    canary, stable = (
        Side(f"Deployment chat/{track}", "chat", "chat", "", 1, "", {}, {"track": track}, "1")
        for track in ("canary", "stable")
    )
    pods = CanaryPods(canary.where, 1, (), (), (), (), (), "2020-01-01T00:00:00Z")
    return traffic(*asking, Canary("deployment", 10, 600.0, canary, stable), pods)


def _outage(back: float) -> float:
    """A quarter fails between ten and five minutes ago, hardly any before and since."""
    return 0.25 if 300 < back <= 600 else 0.001


def test_a_canary_is_compared_over_the_time_that_it_was_there(remembering: Remembering) -> None:
    """An outage that struck the stable version before the canary began does not make the canary look better."""
    found = compared(
        remembering(
            requests("stable", 1500, 0, 200, _outage) | requests("canary", 150, 0, 200 / 9, lambda _: 0.03),
        )
    )
    assert found.stable is not None
    assert found.judged.window == found.stable.window == pytest.approx(120, abs=30)
    assert found.stable.error_rate == pytest.approx(0.001, abs=0.0005)
    assert found.errors.worse
    assert found.share.found == pytest.approx(0.1, abs=0.02)
    assert found.part.startswith(" (over the last 1")


def test_a_canary_that_was_there_all_the_time_is_compared_over_it(remembering: Remembering) -> None:
    """What struck both is in both."""
    found = compared(
        remembering(requests("stable", 1500, 0, 200, _outage) | requests("canary", 1500, 0, 200 / 9, _outage))
    )
    assert (found.judged.window, found.part) == (600.0, "")
    assert found.judged.error_rate == pytest.approx(0.125, abs=0.02)


def test_a_canary_that_has_just_begun_is_not_compared(remembering: Remembering) -> None:
    """How much longer it takes is said."""
    begun = requests("stable", 1500, 0, 200, _outage) | requests("canary", 45, 0, 200 / 9, lambda _: 0.0)
    with pytest.raises(CannotObserve) as refused:
        compared(remembering(begun))
    assert (refused.value.reason, "s more are needed" in refused.value.message) == ("no_data", True)


def told(asking: tuple[Prometheus, Environment]) -> Alerts:
    """The alerts of the last ten minutes, where they are certain."""
    found = fired(*asking, 600.0)
    found.told()
    return found


def test_a_window_in_which_prometheus_was_away_tells_of_no_alert(remembering: Remembering) -> None:
    """Two scrapes at its end, and many before it: what fired in between is not known."""
    with pytest.raises(CannotObserve) as refused:
        told(remembering(up(lambda back: 1.0 if back >= 590 or back <= SCRAPE else None)))
    assert (refused.value.reason, "had scraped nothing for more than 120 s" in refused.value.message) == (
        "no_data",
        True,
    )


def test_an_alert_whose_rule_was_renamed_is_not_lost(remembering: Remembering) -> None:
    """It fired without a label of the service: whose it was cannot be told any more."""
    now = _now()
    past = {'ALERTS{alertname="Down",alertstate="firing",severity="critical"}': {now - 300.0: 1.0, now - 285.0: 1.0}}
    asking = remembering(up(lambda _: 1.0) | past, RENAMED)
    with pytest.raises(CannotObserve) as refused:
        told(asking)
    assert "Down alerts, and whether it is of the service cannot be told" in refused.value.message


def test_a_window_that_was_watched_tells_that_there_was_no_alert(remembering: Remembering) -> None:
    """Scraped to its end, and its rule evaluated."""
    assert told(remembering(up(lambda _: 1.0), RENAMED)).items == ()


def test_requests_that_hang_are_not_taken_for_fast(remembering: Remembering) -> None:
    """One in twenty has a duration: what the others do is not known."""
    found = compared(
        remembering(
            requests("stable", 1500, 0, 200, lambda _: 0.001)
            | requests("canary", 1500, 0, 200 / 9, lambda _: 0.001, timed=0.05)
        )
    )
    assert (found.errors.worse, found.latency.worse) == (False, None)
    assert "durations were counted of" in found.latency.says


def test_requests_that_end_are_timed(remembering: Remembering) -> None:
    """Counters of the same requests, as Prometheus extrapolates each, differ by too little to matter."""
    found = compared(
        remembering(
            requests("stable", 1500, 0, 200, lambda _: 0.001) | requests("canary", 150, 0, 200 / 9, lambda _: 0.001)
        )
    )
    assert found.latency.worse is False
