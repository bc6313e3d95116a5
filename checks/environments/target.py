"""Whether what is looked at, and what runs there, is the environment that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observations.environment import same_server
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.environment import KubeContext, RuntimeEnvironment
    from fixtures.settings import Environment, Kubernetes

UNNAMED = "default"  # the namespace of a context that names none


@check(
    "ENV-001",
    severity="blocker",
    waivable=False,
    remedy="""\
If the wrong environment was asked for, run again with the right --env. Else let each variable of the container name
the environment that it runs in, and let /health answer with the same word:

    kubectl set env deployment/NAME -n NAMESPACE APP_ENV=production NODE_ENV=production

Where one of the variables means something else to you (NODE_ENV often is the kind of build), list only those that name
the environment, in environments/base.toml:

    [service]
    environment_variables = ["APP_ENV"]""",
)
def test_the_service_runs_as_the_environment_asked_for(
    runtime_environment: RuntimeEnvironment, environment: Environment
) -> None:
    """The service runs as the environment asked for, and everything that says so agrees."""
    assert list(misplaced(runtime_environment, environment.tier)) == []


def misplaced(runtime: RuntimeEnvironment, tier: str) -> Iterator[Offender]:
    """Each source that names another environment than `tier`; then, that they contradict each other."""
    for source in runtime.sources:
        if source.tier != tier:
            yield Offender("the service runs as another environment", source.where, repr(source.says), tier)
    if len({source.tier or source.says for source in runtime.sources}) > 1:
        found = ", ".join(f"{source.where} says {source.says!r}" for source in runtime.sources)
        yield Offender("the service's own words about its environment disagree", "", found, f"{tier} from each")


def nothing_declared(environment: Environment) -> str | None:
    """Only development may leave its cluster open; in staging and production that is no pass but unverified."""
    settings = environment.kubernetes
    if environment.tier != "development" or settings.context or settings.servers or settings.namespace:
        return None
    return "development names no cluster of its own: no context, servers or namespace in [kubernetes]"


@check(
    "ENV-002",
    severity="blocker",
    waivable=False,
    applies=nothing_declared,
    remedy="""\
If this is the wrong cluster, change to the right one; nothing was asked of this one. If it is the right one, add it to
the environment's list:

    kubectl config use-context NAME && kubectl config set-context --current --namespace chat

    [kubernetes]                          # environments/production.toml
    context = "production"
    servers = ["https://production.example:6443"]
    namespace = "chat\"""",
)
def test_the_cluster_is_that_of_this_environment(kube_context: KubeContext, environment: Environment) -> None:
    """The cluster and the namespace that are looked at are those of this environment."""
    assert list(astray(kube_context, environment.kubernetes)) == []


def astray(found: KubeContext, allowed: Kubernetes) -> Iterator[Offender]:
    """Where the cluster client's context, server or namespace is not on the environment's list."""
    where = f"context {found.name}"
    if allowed.context and found.name != allowed.context:
        yield Offender("another context is in use", "kubeconfig", found.name, allowed.context)
    if allowed.servers and not any(same_server(found.server, server) for server in allowed.servers):
        yield Offender(
            "the API server is not one of this environment", where, found.server, " or ".join(allowed.servers)
        )
    if allowed.namespace and found.namespace not in (allowed.namespace, UNNAMED):
        yield Offender("the context leads to another namespace", where, found.namespace, allowed.namespace)
    if found.namespace_found is False:
        namespace = allowed.namespace or found.namespace
        yield Offender("the namespace does not exist", found.server, "none of this name", namespace)
