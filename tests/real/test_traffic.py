"""Requests as a real Prometheus counts them: resets, first events, and each way in which it has no number."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fixtures.observation import CannotObserve
from fixtures.prometheus import Prometheus
from fixtures.settings import Environment
from fixtures.traffic import Counts, counted, now
from tests.real.prometheus import PartMissing, PrometheusServer, program

pytestmark = pytest.mark.real

WINDOW = 8.0
"""Seconds: many scrapes."""
SCRAPES = 0.4
BEYOND = 3600.0
"""Seconds: longer than Prometheus has been running."""

Series = dict[str, dict[str, float]]


class Exposed:
    """The metrics of one service by case, which is a label: each test has a case of its own."""

    def __init__(self) -> None:
        self.series: Series = {case: dict(values) for case, values in CASES.items()}

    def set(self, case: str, /, **values: float) -> None:
        """Values by the names below; what is left out stays as it is."""
        self.series[case] = {**self.series.get(case, {}), **values}

    @property
    def text(self) -> str:
        return "".join(
            f"{_NAMES[name].format(case=case)} {value}\n"
            for case, values in self.series.items()
            for name, value in values.items()
        )


_NAMES = {
    "fine": 'mistral_requests_total{{case="{case}",status="200"}}',
    "broken": 'mistral_requests_total{{case="{case}",status="500"}}',
    "server": 'mistral_errors_total{{case="{case}",type="server"}}',
    "network": 'mistral_errors_total{{case="{case}",type="network"}}',
    "fast": 'mistral_request_duration_seconds_bucket{{case="{case}",le="1"}}',
    "slow": 'mistral_request_duration_seconds_bucket{{case="{case}",le="10"}}',
    "all": 'mistral_request_duration_seconds_bucket{{case="{case}",le="+Inf"}}',
}
NOUGHT = dict.fromkeys(_NAMES, 0.0)
CASES: Series = {
    "plain": NOUGHT | {"fine": 1000, "broken": 500, "server": 500, "fast": 1000, "slow": 1200, "all": 1500},
    "restarted": NOUGHT | {"fine": 900, "server": 50},
    "first": {"fine": 0, "server": 0, "all": 0},
    "never": {"fine": 0, "server": 0, "all": 0},
    "idle": NOUGHT | {"fine": 1000, "server": 50},
    "old": NOUGHT | {"fine": 90_000, "server": 3},
    "nan": NOUGHT | {"fine": float("nan")},
    "past": NOUGHT,
    "course": NOUGHT | {"fine": 7},
}
"""What is exposed for longer than the window, before the tests begin."""


@pytest.fixture(scope="module")
def exposed() -> Exposed:
    return Exposed()


@pytest.fixture(scope="module")
def server(exposed: Exposed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real Prometheus that scrapes them. A pipeline must have one."""
    try:
        program()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # Prometheus ends in the middle
                self.wfile.write(exposed.text.encode())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        thread = Thread(target=page.serve_forever)
        thread.start()
        targets = {"chat": [f"127.0.0.1:{page.server_port}"]}
        try:
            with PrometheusServer(tmp_path_factory.mktemp("traffic"), targets=targets, interval=SCRAPES) as started:
                started.wait_for(f"count_over_time(mistral_requests_total[1h]) > {WINDOW / SCRAPES + 3}")
                yield started
        finally:
            page.shutdown()
            thread.join()


def asking(server: PrometheusServer, **traffic: Any) -> tuple[Prometheus, Environment]:
    settings = {"url": server.url, "target": {"job": "chat"}}
    environment = Environment.model_validate(
        {"name": "test", "tier": "production", "prometheus": settings, "traffic": traffic}
    )
    return Prometheus(environment, None), environment  # type: ignore[arg-type] # no secret is asked for


def count(server: PrometheusServer, case: str, window: float = WINDOW, **traffic: Any) -> Counts:
    return counted(*asking(server, **traffic), {"case": case}, window)


def seen(server: PrometheusServer, exposed: Exposed, case: str, /, **values: float) -> None:
    """Expose these values, until Prometheus has them."""
    exposed.set(case, **values)
    name, value = next(iter(values.items()))
    server.wait_for(f"{_NAMES[name].format(case=case)} == {value}")


def about(value: float) -> Any:
    """Increases are extrapolated to the window's edges: by a scrape interval at each end, or two on a busy machine."""
    return pytest.approx(value, rel=0.25)


def test_requests_are_counted(server: PrometheusServer, exposed: Exposed) -> None:
    """Requests, errors by kind and durations of the window, and nothing from before it."""
    seen(server, exposed, "plain", all=1600, fast=1040, slow=1300, broken=510, server=508, network=2, fine=1090)
    found = count(server, "plain")
    assert found.requests == about(100)
    assert found.errors == about(10)
    assert found.kinds == {"server": about(8), "network": about(2)}
    assert found.error_rate == about(0.1)
    assert found.quantile(0.4) == pytest.approx(1.0, abs=0.3)
    assert found.latency.count == about(100)


def test_a_restart_loses_nothing(server: PrometheusServer, exposed: Exposed) -> None:
    """Counters that begin again at nought count on."""
    seen(server, exposed, "restarted", fine=950)
    seen(server, exposed, "restarted", fine=30, server=3)
    found = count(server, "restarted")
    assert found.requests == about(80)
    assert found.errors == about(3)


def test_the_first_error_counts(server: PrometheusServer, exposed: Exposed) -> None:
    """A series that a client exports with its first event: increase() alone would say nought."""
    seen(server, exposed, "first", fine=20)
    seen(server, exposed, "first", network=1)
    found = count(server, "first")
    assert found.kinds["network"] >= 1
    assert found.errors >= 1


def test_errors_that_never_happened_are_nought(server: PrometheusServer, exposed: Exposed) -> None:
    """The label is there, and no series has the value."""
    seen(server, exposed, "never", fine=20, all=20)
    found = count(server, "never", errors='mistral_requests_total{status=~"5.."}')
    assert (found.errors, found.error_rate) == (0.0, 0.0)


def test_no_request_is_an_answer(server: PrometheusServer, exposed: Exposed) -> None:
    """Nought of them, without a rate."""
    found = count(server, "idle")
    assert (found.requests, found.error_rate, found.quantile(0.99)) == (0.0, None, None)


def test_the_past_of_an_old_process_is_not_taken_for_now(server: PrometheusServer, exposed: Exposed) -> None:
    """Prometheus is younger than the window: what was counted before its first scrape may be from last month."""
    with pytest.raises(CannotObserve) as refused:
        count(server, "old", BEYOND)
    assert refused.value.reason == "no_data"
    assert "90000 of 90000 requests were counted before Prometheus first saw the series" in refused.value.message


def test_a_young_process_counts_from_nought(server: PrometheusServer, exposed: Exposed) -> None:
    """A canary that began in the window: what it did before the first scrape is its own."""
    exposed.set("young", **{**NOUGHT, "fine": 10.0, "broken": 1.0, "server": 1.0})
    server.wait_for('count_over_time(mistral_requests_total{case="young",status="200"}[1h]) > 15')
    seen(server, exposed, "young", fine=110)
    found = count(server, "young", BEYOND)
    assert found.requests == about(111)
    assert found.errors == about(1)


BLIND: Mapping[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"requests": "mistral_nonesuch_total"}, "is a metric that Prometheus does not know"),
    "empty": ({"requests": 'mistral_requests_total{code="200"}'}, "has no sample in the 8 s"),
    "nan": ({}, "is nan in the window, and not a number"),
    "bare": ({"latency": "mistral_requests_total"}, 'has no bucket le="+Inf"'),
}


@pytest.mark.parametrize("case", list(BLIND))
def test_each_way_to_be_blind_is_told_apart(server: PrometheusServer, exposed: Exposed, case: str) -> None:
    """An unknown metric, no series, no number, no histogram: each message names the metric, none is a nought."""
    settings, says = BLIND[case]
    with pytest.raises(CannotObserve) as refused:
        count(server, case if case in CASES else "plain", **settings)
    assert refused.value.reason == ("malformed" if case == "bare" else "no_data")
    assert says in refused.value.message
    assert settings.get("requests", "mistral_requests_total").partition("{")[0] in refused.value.message


def test_a_window_in_the_past_is_counted_as_it_was(server: PrometheusServer, exposed: Exposed) -> None:
    """Requests that came since then are not in it, and it can be asked about for as long as it is kept."""
    seen(server, exposed, "past", fine=40)
    prometheus, environment = asking(server)
    then = now(prometheus)
    seen(server, exposed, "past", fine=400)
    until = then + WINDOW
    while time.time() < until:
        time.sleep(SCRAPES)
    before = counted(prometheus, environment, {"case": "past"}, WINDOW, at=then)
    offset = counted(prometheus, environment, {"case": "past"}, WINDOW, at=then + 2, offset=2.0)
    assert before.requests == offset.requests == about(40)


def test_a_window_before_prometheus_was_there_is_told_as_that(server: PrometheusServer, exposed: Exposed) -> None:
    """No setting is wrong, and nothing is to be mended but the age of Prometheus."""
    prometheus, environment = asking(server)
    with pytest.raises(CannotObserve) as refused:
        counted(prometheus, environment, {"case": "plain"}, WINDOW, offset=86_400.0, latency=False)
    assert refused.value.reason == "no_data"
    assert f"no sample in the {WINDOW:g} s that ended 86400 s ago" in refused.value.message
    assert refused.value.remedy.startswith("Wait until Prometheus has scraped it for longer")


def test_a_course_of_values_is_read(server: PrometheusServer, exposed: Exposed) -> None:
    """For charts: a point a step, by label, and none where there was no sample."""
    prometheus, _ = asking(server)
    until = now(prometheus)
    (course,) = prometheus.query_range('mistral_requests_total{case="course",status="200"}', until - 3, until, 1.0)
    assert course.labels["status"] == "200"
    assert [value for _, value in course.points] == [7.0] * 4
    assert prometheus.query_range("mistral_nonesuch_total", until - 3, until, 1.0) == []
    with pytest.raises(CannotObserve) as refused:
        prometheus.query_range("up", until, until - 3, 1.0)
    assert (refused.value.reason, "end timestamp" in refused.value.message) == ("malformed", True)


def test_a_stopped_prometheus_is_no_nought(server: PrometheusServer, exposed: Exposed, tmp_path: Path) -> None:
    """Nobody listens: unreachable, with the address."""
    with PrometheusServer(tmp_path, targets={}, settled=False) as other:
        gone = other
    with pytest.raises(CannotObserve) as refused:
        count(gone, "plain")
    assert (refused.value.reason, gone.url in refused.value.message) == ("unreachable", True)
