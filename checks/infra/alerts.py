"""The five alerts on Mistral, as Prometheus has them loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.alert_rules import AlertRule, AlertRules, Condition

ALERTS = ("api-down", "high-latency", "rate-limited", "auth-failures", "circuit-open")


@check(
    "INF-009",
    severity="blocker",
    remedy="""\
Load a rule for each condition into Prometheus. These are for the metrics of environments/base.toml; change names and
thresholds to yours, keep the severities at least as high, then: promtool check rules mistral.yaml

    groups:
      - name: mistral
        rules:
          - alert: MistralApiDown
            expr: max(mistral_up) == 0 or absent(mistral_up)
            for: 1m
            labels: {severity: critical}
          - alert: MistralHighLatency
            expr: histogram_quantile(0.99, sum by (le) (rate(mistral_request_duration_seconds_bucket[2m]))) > 10
            for: 2m
            labels: {severity: warning}
          - alert: MistralRateLimited
            expr: sum(rate(mistral_errors_total{type="rate_limited"}[2m])) > 0.1
            for: 2m
            labels: {severity: warning}
          - alert: MistralAuthFailures
            expr: sum(increase(mistral_errors_total{type="auth"}[2m])) > 0
            labels: {severity: critical}
          - alert: MistralCircuitOpen
            expr: max(mistral_circuit_breaker_state) > 0
            for: 30s
            labels: {severity: warning}

What your severity label's values mean is said in environments/NAME.toml:

    [prometheus.severities]
    critical = "P1"
    warning = "P2\"""",
)
@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_defined(alert_rules: AlertRules, alert: str) -> None:
    """Each of the five failures of Mistral has an alert rule in Prometheus that works, with its severity."""
    assert list(unwatched(alert_rules, alert)) == []


def unwatched(rules: AlertRules, alert: str) -> Iterator[Offender]:
    """Why nobody would be told: no rule, or something wrong with each rule that there is. One good rule is enough."""
    condition = rules.condition(alert)
    covering = rules.covering(alert)
    wrongs = [list(wrong(rule, condition, rules.severity_label)) for rule in covering]
    if not covering:
        yield Offender(
            f"no rule covers {alert} ({condition.says})",
            "Prometheus",
            beside(rules, alert),
            f"a rule that compares {condition.signal} with a threshold, or waits for its absence",
        )
    elif all(wrongs):
        yield from (offender for found in wrongs for offender in found)


def beside(rules: AlertRules, alert: str) -> str:
    """What there is in place of a rule that covers the condition."""
    near = [rule.name for rule in rules.rules if alert in rule.watches]
    if near:
        return f"{', '.join(near)}, which looks at it and compares it with nothing"
    return f"{rules.loaded} alerting rules about other things" if rules.loaded else "no alerting rule at all"


def wrong(rule: AlertRule, condition: Condition, severity_label: str) -> Iterator[Offender]:
    """What keeps a rule that covers the condition from telling anybody with the right urgency."""
    where = f"{rule.name} ({rule.place})"
    if rule.health == "err":
        yield Offender("the rule is in error", where, rule.error or "no reason given", "a rule that evaluates")
    for selector in rule.empty:
        yield Offender("the rule is over a metric that has no series", where, selector, "series to look at")
    expected = f"{condition.severity} or higher"
    if rule.label is None:
        yield Offender("the rule has no severity", where, f"no label {severity_label}", expected)
    elif rule.severity is None:
        found = f'{severity_label}="{rule.label}", which prometheus.severities does not name'
        yield Offender("the rule's severity is not known", where, found, expected)
    elif rule.severity > condition.severity:  # P1 is the highest
        found = f'{rule.severity} ({severity_label}="{rule.label}")'
        yield Offender("the rule's severity is too low", where, found, expected)
