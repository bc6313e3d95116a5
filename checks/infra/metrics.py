"""What Prometheus gets from the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.metrics import ScrapeTargets, Signal, Signals


@check(
    "INF-008",
    severity="blocker",
    remedy="""\
A target that is absent: let Prometheus find the pods (Prometheus Operator here), under the labels of
prometheus.target in environments/NAME.toml:

    apiVersion: monitoring.coreos.com/v1
    kind: PodMonitor
    metadata: {name: chat, namespace: chat}
    spec:
      selector: {matchLabels: {app: chat}}
      podMetricsEndpoints: [{port: http, path: /metrics, interval: 15s}]

A target that is down: its error is named above; ask the same from inside the cluster:

    kubectl -n NAMESPACE run ask --rm -it --restart=Never --image=curlimages/curl -- -sS -m 5 http://SERVICE/metrics

A signal without series: export it under this name, with 0 from the start for each label value that can come, or the
first error is lost to rate() and increase():

    for (const type of ["auth", "rate_limited", "server", "timeout"]) errors.inc({ type }, 0);""",
)
def test_prometheus_scrapes_the_service(scrape_targets: ScrapeTargets, mistral_signals: Signals) -> None:
    """Prometheus scrapes the service, and each Mistral metric that it declares arrives there."""
    assert [*unscraped(scrape_targets), *silent(mistral_signals)] == []


def unscraped(scrape: ScrapeTargets) -> Iterator[Offender]:
    """Targets of the service that give no metrics."""
    labels = ", ".join(f'{name}="{value}"' for name, value in scrape.labels.items())
    if not scrape.targets:
        found = f"targets of the jobs {', '.join(scrape.jobs[:10])}" if scrape.jobs else "no target at all"
        yield Offender(f"no target has {labels}", "Prometheus", found, "the service's pods")
    for target in scrape.targets:
        if target.health == "down":
            yield Offender("the target is down", target.address, target.error or "no reason given", "up")


def silent(signals: Signals) -> Iterator[Offender]:
    for signal in signals.signals:
        yield from _silent(signal)


def _silent(signal: Signal) -> Iterator[Offender]:
    """That a signal has no value, and how far away from one it is."""
    where = f"prometheus.signals.{signal.name}"
    if not signal.known:
        found = f"the nearest name is {signal.seen}" if signal.seen else "no metric of such a name"
        yield Offender(f"Prometheus does not know the metric of {signal.selector}", where, found, "at least one series")
    elif not signal.series:
        seen = f"the metric is there, but {signal.seen}" if signal.seen else "the metric with other labels"
        yield Offender(f"no series of {signal.selector}", where, seen, "at least one series")
    elif not signal.numbers:
        found = f"NaN in each of its {signal.series} series"
        yield Offender(f"{signal.selector} has no number", where, found, "at least one series with a value")
    elif signal.jobs:
        found = f"series of the jobs {', '.join(signal.jobs)} only"
        yield Offender(f"{signal.selector} does not come from the service", where, found, "series with its labels")
