"""What the checks make of a real Prometheus: its rules as it loads them, its series as it scrapes them."""

from __future__ import annotations

import inspect
import os
import textwrap
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

import fixtures.observations.metrics  # noqa: F401 - declares the looks
from checks.infra.alerts import ALERTS, unwatched
from checks.infra.alerts import test_each_alert_is_defined as alert_is_defined
from checks.infra.metrics import silent, unscraped
from fixtures.observation import OBSERVATIONS, CannotObserve
from fixtures.prometheus import Prometheus
from fixtures.settings import Environment
from tests.real.prometheus import PartMissing, PrometheusServer, StartError, program

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
RULES = (ROOT / "tests/real/service/deploy/alerts.yaml").read_text()

DAY = 86_400.0
"""An interval so long that the random moment of its first tick does not fall into a test."""

METRICS = """\
mistral_up 1
mistral_requests_total{model="mistral-small-2603",status="200"} 12
mistral_errors_total{type="auth"} 0
mistral_errors_total{type="rate_limited"} 2
mistral_errors_total{type="server"} 0
mistral_errors_total{type="timeout"} 0
mistral_errors_total{type="network"} 0
mistral_request_duration_seconds_bucket{model="mistral-small-2603",le="1"} 11
mistral_request_duration_seconds_bucket{model="mistral-small-2603",le="+Inf"} 12
mistral_request_duration_seconds_sum{model="mistral-small-2603"} 6
mistral_request_duration_seconds_count{model="mistral-small-2603"} 12
mistral_circuit_breaker_state 0
mistral_fallbacks_total{to="model"} 0
mistral_odd NaN
"""


class Page(BaseHTTPRequestHandler):
    """Answers with the metrics above."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(METRICS.encode())

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture(scope="module")
def installed() -> None:
    """Prometheus is there; a pipeline must have it."""
    try:
        program()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a service that exposes its metrics."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(installed: None, address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    folder = tmp_path_factory.mktemp("prometheus")
    targets = {"chat": [address], "search": ["127.0.0.1:1"]}
    with PrometheusServer(folder, targets=targets, rules=RULES, interval=0.2) as server:
        yield server


def environment(url: str, **settings: Any) -> Environment:
    """The shared settings, with Prometheus at `url`."""
    base = tomllib.loads((ROOT / "environments/base.toml").read_text())
    prometheus = {**base["prometheus"], "url": url, "target": {"job": "chat"}, **settings}
    return Environment.model_validate({"name": "staging", "tier": "staging", "prometheus": prometheus})


def look(name: str, url: str, **settings: Any) -> Any:
    """What an observation sees of the Prometheus at `url`."""
    configured = environment(url, **settings)
    return OBSERVATIONS[name].body(Prometheus(configured, None), configured)  # type: ignore[arg-type] # no secret is asked for


def alerts(server: PrometheusServer, alert: str, rules: str | None = None) -> list[str]:
    """What is wrong with the rules for an alert, after loading others where they are given."""
    if rules is not None:
        server.reload(rules)
    return [str(offender) for offender in unwatched(look("alert_rules", server.url), alert)]


def rule(expression: str, **labels: str) -> str:
    """A rule file with one alerting rule of this expression."""
    severity = labels or {"severity": "critical"}
    lines = "".join(f"          {name}: {value}\n" for name, value in severity.items())
    text = f"      - alert: Watch\n        expr: '{expression}'\n        labels:\n{lines}"
    return f"groups:\n  - name: mistral\n    rules:\n{text}"


@pytest.mark.parametrize("alert", ALERTS)
def test_the_rules_of_the_example_service_are_good(server: PrometheusServer, alert: str) -> None:
    """The rules that the example service ships cover each alert, over metrics that exist, in the right severity."""
    assert alerts(server, alert, RULES) == []


@pytest.mark.parametrize("alert", ALERTS)
def test_the_rules_of_the_remedy_are_good(server: PrometheusServer, alert: str) -> None:
    """Whoever pastes them gets what the check asks for."""
    remedy = inspect.cleandoc(alert_is_defined.__check__.remedy)  # type: ignore[attr-defined] # what makes it a check
    lines = remedy.partition("    groups:")[2].partition("\n\nWhat your")[0]
    assert alerts(server, alert, textwrap.dedent(f"    groups:{lines}")) == []


def test_signals_that_arrive_are_found(server: PrometheusServer) -> None:
    """Every signal of the shared settings has series that a real scrape brought."""
    signals = look("mistral_signals", server.url)
    assert [str(offender) for offender in silent(signals)] == []
    assert {signal.name: signal.series for signal in signals.signals}["errors"] == 5


def test_a_target_that_is_down_says_why(server: PrometheusServer) -> None:
    """Prometheus' own reason is in the finding."""
    up = look("scrape_targets", server.url)
    assert [target.health for target in up.targets] == ["up"]
    down = list(unscraped(look("scrape_targets", server.url, target={"job": "search"})))
    assert "connection refused" in down[0].found


def test_an_absent_target_names_the_jobs_that_there_are(
    server: PrometheusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong job label is easy to correct."""
    monkeypatch.setattr("fixtures.observations.metrics.DISCOVERED_AFTER", 0.0)  # this one has just started
    (offender,) = unscraped(look("scrape_targets", server.url, target={"job": "chatt"}))
    assert (offender.what, offender.found) == ('no target has job="chatt"', "targets of the jobs chat, search")


def test_down_and_empty_and_nan_and_unknown_are_told_apart(server: PrometheusServer) -> None:
    """Four ways to have no number, four messages, and none of them a pass."""
    declared = {
        "empty": 'mistral_errors_total{type="ratelimited"}',
        "nan": "mistral_odd",
        "unknown": "mistral_error_total",
    }
    said = {offender.where: str(offender) for offender in silent(look("mistral_signals", server.url, signals=declared))}
    with pytest.raises(CannotObserve) as down:
        look("mistral_signals", "http://127.0.0.1:1", signals=declared)
    assert "the metric is there, but type is 'auth', 'network', 'rate_limited'" in said["prometheus.signals.empty"]
    assert "NaN in each of its 1 series" in said["prometheus.signals.nan"]
    assert "the nearest name is mistral_errors_total" in said["prometheus.signals.unknown"]
    assert down.value.reason == "unreachable"
    assert len({*said.values(), str(down.value)}) == 4


def test_series_of_another_job_are_not_the_services_own(server: PrometheusServer) -> None:
    """The same metric of another service proves nothing about this one."""
    (offender,) = silent(look("mistral_signals", server.url, target={"job": "search"}, signals={"up": "mistral_up"}))
    assert "series of the jobs chat only" in str(offender)


def test_a_rule_without_a_threshold_covers_nothing(server: PrometheusServer) -> None:
    """`> bool` gives 0 or 1 and filters nothing: such an alert always fires."""
    for expression in ("mistral_up", "mistral_up == bool 0", "sum(mistral_up) + 1"):
        (said,) = alerts(server, "api-down", rule(expression))
        assert "Watch, which looks at it and compares it with nothing" in said


@pytest.mark.parametrize(
    "expression",
    [
        "mistral_up == 0",
        'mistral_up{job="chat"} < 1',
        "absent(mistral_up)",
        "avg_over_time(mistral_up[2m]) < 0.5",
        'min by (job) (mistral_up) == 0 or absent(mistral_up{job="chat"})',
        "max_over_time((mistral_up == bool 0)[2m:1s]) == 1",
        "0 == mistral_up",
        "count(mistral_up == 0) > 0 unless on() mistral_maintenance == 1",
    ],
)
def test_a_rule_that_compares_the_signal_covers_it(server: PrometheusServer, expression: str) -> None:
    """However a team writes it."""
    assert alerts(server, "api-down", rule(expression)) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("mistral_circuit_breaker_state > 0 unless mistral_up == 1", "no rule covers api-down"),
        ('mistral_up{job="chatt"} == 0', 'over a metric that has no series: found mistral_up{job="chatt"}'),
        ("mistral_up == 0 and on() mistral_request_total > 1", "has no series: found mistral_request_total"),
        ("mistral_up / on(job) group_left() mistral_errors_total == 0", "the rule is in error"),
    ],
)
def test_a_rule_that_cannot_fire_is_found_out(server: PrometheusServer, expression: str, said: str) -> None:
    """A wrong label, a misspelt metric, a broken join: the rule is loaded and will never wake anybody."""
    assert any(said in offender for offender in alerts(server, "api-down", rule(expression)))


def test_the_kind_of_error_decides_what_a_rule_covers(server: PrometheusServer) -> None:
    """A rule on 429s is none on refused keys, but one on all errors is."""
    limited = rule('rate(mistral_errors_total{type=~"rate_limited|server"}[1m]) > 0.1')
    assert alerts(server, "rate-limited", limited) == []
    assert "no rule covers auth-failures" in alerts(server, "auth-failures", limited)[0]
    assert alerts(server, "auth-failures", rule("sum by (type) (rate(mistral_errors_total[1m])) > 0")) == []


def test_recording_rules_are_followed(server: PrometheusServer) -> None:
    """An alert over recorded series watches what those are made of."""
    recorded = """\
groups:
  - name: mistral
    rules:
      - record: mistral:errors:rate1m
        expr: sum by (type) (rate(mistral_errors_total[1m]))
      - alert: Watch
        expr: 'mistral:errors:rate1m{type="auth"} > 0'
        labels: {severity: page}
"""
    server.reload(recorded)
    server.wait_for('mistral:errors:rate1m{type="auth"}')
    assert alerts(server, "auth-failures") == []
    assert "no rule covers rate-limited" in alerts(server, "rate-limited")[0]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"severity": "warning"}, 'severity is too low: found P2 (severity="warning"), expected P1 or higher'),
        ({"severity": "urgent"}, 'severity is not known: found severity="urgent"'),
        ({"team": "chat"}, "the rule has no severity: found no label severity"),
    ],
)
def test_the_severity_must_be_known_and_high_enough(
    server: PrometheusServer, labels: dict[str, str], said: str
) -> None:
    """A P1 that arrives as a warning wakes nobody up."""
    assert any(said in offender for offender in alerts(server, "api-down", rule("mistral_up == 0", **labels)))


def test_one_good_rule_is_enough(server: PrometheusServer) -> None:
    """A warning beside the page does no harm."""
    both = rule("mistral_up == 0", severity="warning") + (
        "      - alert: Page\n        expr: mistral_up == 0\n        labels: {severity: page}\n"
    )
    assert alerts(server, "api-down", both) == []


def test_a_prometheus_without_rules_says_so(server: PrometheusServer) -> None:
    assert "found no alerting rule at all" in alerts(server, "api-down", "groups: []\n")[0]


def test_what_has_just_started_proves_nothing(installed: None, address: str, tmp_path: Path) -> None:
    """Neither its targets nor its rules have been looked at: that is no absence."""
    slow = PrometheusServer(tmp_path, targets={"chat": [address]}, rules=RULES, interval=DAY, settled=False)
    with slow:
        for _ in range(2):
            with pytest.raises(CannotObserve, match="has scraped none of the service's targets yet") as unseen:
                look("scrape_targets", slow.url)
            assert unseen.value.reason == "no_data"
            slow.discover()
        with pytest.raises(CannotObserve, match=r"has not evaluated .* yet"):
            look("alert_rules", slow.url).covering("api-down")


def test_a_query_that_it_refuses_is_no_empty_answer(server: PrometheusServer) -> None:
    """An error in the expression is malformed, with Prometheus' own words."""
    client = Prometheus(environment(server.url), None)  # type: ignore[arg-type] # no secret is asked for
    with pytest.raises(CannotObserve, match=r"bad_data: .*parse error") as refused:
        client.query("mistral_up ==")
    assert refused.value.reason == "malformed"


def test_rules_that_it_refuses_are_not_loaded(server: PrometheusServer) -> None:
    """The server of these tests tells at once when its rules are wrong."""
    with pytest.raises(StartError, match="Prometheus refuses its rules"):
        server.reload(rule("mistral_up =="))
    server.reload(RULES)


def test_it_ends_with_its_block(installed: None, tmp_path: Path) -> None:
    """Its port is closed, and nothing of it runs on."""
    with PrometheusServer(tmp_path, targets={}) as server:
        url = server.url
        assert httpx.get(f"{url}/-/ready").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/-/ready")
