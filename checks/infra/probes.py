"""Probes: when a container gets traffic, and when the kubelet restarts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observations.service import ProbeAnswers
from fixtures.workload import Container, Workload
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment


@check(
    "INF-002",
    severity="blocker",
    remedy="""
    Give each container a readiness probe that asks its own /ready, and let /ready answer 200 once it can serve:

        readinessProbe:
          httpGet: {path: /ready, port: http}
          periodSeconds: 5
          failureThreshold: 3

    Where `service.url` does not lead to that path (an ingress that passes on /api only), set `service.probe_url`:

        kubectl port-forward deployment/NAME 3000:http    # probe_url = "http://localhost:3000"
    """,
)
def test_every_container_has_a_readiness_probe(workload: Workload, probe_answers: ProbeAnswers) -> None:
    """Traffic reaches a container only after the container says that it is ready."""
    assert [*_without(workload, "readiness"), *_failing_readiness(workload, probe_answers)] == []


@check(
    "INF-003",
    severity="blocker",
    remedy="""
    Give each container a liveness probe that asks its own /live, which depends on nothing but the process itself:

        livenessProbe:
          httpGet: {path: /live, port: http}
          periodSeconds: 10
          failureThreshold: 3
    """,
)
def test_every_container_has_a_liveness_probe(workload: Workload) -> None:
    """A container that hangs is restarted without anybody being woken up."""
    assert _without(workload, "liveness") == []


@check(
    "INF-004",
    severity="blocker",
    remedy="""
    Let liveness and startup probes ask for a path that says only whether the process itself runs. Mistral belongs into
    /health, which people and alerts read, and never into a probe that restarts:

        livenessProbe:
          httpGet: {path: /live, port: http}
    """,
)
def test_an_outage_of_mistral_restarts_no_pod(
    workload: Workload, probe_answers: ProbeAnswers, environment: Environment
) -> None:
    """When Mistral is down, the pods stay up and keep answering."""
    assert _restarting_with_mistral(workload, probe_answers, environment.service.health.path) == []


def _without(workload: Workload, kind: str) -> list[Offender]:
    return [
        Offender(f"container {container.name} has no {kind} probe", workload.where, expected=f"a {kind}Probe")
        for container in workload.containers
        if getattr(container, f"{kind}_probe") is None
    ]


def _failing_readiness(workload: Workload, answers: ProbeAnswers) -> list[Offender]:
    offenders = []
    for container in workload.containers:
        probe = container.readiness_probe
        answer = answers.of(probe.path) if probe and probe.kind == "http" else None
        if answer and not 200 <= answer.status < 400:
            what = f"the readiness probe of container {container.name} asks for {answer.path}, which fails"
            offenders.append(Offender(what, answer.url, str(answer.status), "200 to 399"))
    return offenders


def _restarting_with_mistral(workload: Workload, answers: ProbeAnswers, health: str) -> list[Offender]:
    offenders = []
    for container in workload.containers:
        for kind, path in _restarting_paths(container):
            answer = answers.of(path)
            what = f"the {kind} probe of container {container.name} asks for {path}"
            if _same(path, health):
                found, expected = (
                    "the health endpoint, which fails with Mistral",
                    "a path that reports on the process only",
                )
                offenders.append(Offender(what, workload.where, found, expected))
            elif answer and answer.reports_on:
                found = f"an answer that reports on {', '.join(answer.reports_on)}"
                offenders.append(Offender(what, workload.where, found, "a path that reports on the process only"))
    return offenders


def _restarting_paths(container: Container) -> list[tuple[str, str]]:
    probes = (("liveness", container.liveness_probe), ("startup", container.startup_probe))
    return [(kind, probe.path) for kind, probe in probes if probe and probe.path]


def _same(path: str, other: str) -> bool:
    return path.partition("?")[0].strip("/") == other.partition("?")[0].strip("/")
