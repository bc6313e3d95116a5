"""The checks of the right settings in the right environment: the words, the allow-list, and what counts as on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from checks.environments import debugging, target
from fixtures.observations.environment import (
    DebugSwitches,
    KubeContext,
    RuntimeEnvironment,
    Source,
    Switch,
    same_server,
)
from fixtures.sandbox.world import World
from fixtures.settings import Environment, Kubernetes
from tests.checks.judging import Bench, bench

__all__ = ["bench"]

RUNS_AS: dict[str, Callable[..., None]] = {"ENV-001": target.test_the_service_runs_as_the_environment_asked_for}
CLUSTER: dict[str, Callable[..., None]] = {"ENV-002": target.test_the_cluster_is_that_of_this_environment}
DEBUGGING: dict[str, Callable[..., None]] = {"ENV-004": debugging.test_debugging_is_off}


@pytest.mark.parametrize(
    ("word", "tier"),
    [
        ("production", "production"),
        ("prod", "production"),
        ("Production", "production"),
        (" PROD ", "production"),
        ("staging", "staging"),
        ("stage", "staging"),
        ("preview", "staging"),
        ("development", "development"),
        ("dev", "development"),
    ],
)
def test_an_environment_has_several_names(bench: Bench, word: str, tier: str) -> None:
    """Vercel says preview, people say prod; the environment is the same."""
    world = World()
    world.cluster.set_variable("NODE_ENV", word)
    world.service.environment = word.strip()
    assert bench.over(RUNS_AS, world, tier=tier)["ENV-001"].status == "passed"


@pytest.mark.parametrize("word", ["test", "qa", "production-eu", "unproduction"])
def test_an_unknown_word_is_another_environment(bench: Bench, word: str) -> None:
    """A word that merely holds another is not that one."""
    world = World()
    world.cluster.set_variable("NODE_ENV", word)
    world.service.environment = word
    found = bench.over(RUNS_AS, world)["ENV-001"]
    assert found.status == "failed"
    assert repr(word) in found.message
    assert "disagree" not in found.message


def test_two_words_for_one_environment_agree() -> None:
    """Prod and production do not contradict each other."""
    runtime = RuntimeEnvironment((Source("a", "prod", "production"), Source("b", "production", "production")))
    assert list(target.misplaced(runtime, "production")) == []


def test_two_different_unknown_words_disagree() -> None:
    """That nobody knows either of them does not make them one."""
    runtime = RuntimeEnvironment((Source("a", "x", ""), Source("b", "y", "")))
    assert any("disagree" in offender.what for offender in target.misplaced(runtime, "production"))


@pytest.mark.parametrize("silent", ["variable", "health"])
def test_one_source_is_enough(bench: Bench, silent: str) -> None:
    """A service whose health endpoint names no environment, or that has no such variable, is still judged."""
    world = World()
    if silent == "health":
        world.service.health = {"environment": None}
    else:
        world.cluster.container["env"].remove(world.cluster.variable("NODE_ENV"))
    assert bench.over(RUNS_AS, world)["ENV-001"].status == "passed"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_says_nothing(bench: Bench, value: str) -> None:
    """It neither agrees nor disagrees."""
    world = World()
    world.cluster.set_variable("APP_ENV", value)
    assert bench.over(RUNS_AS, world)["ENV-001"].status == "passed"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("down", "unreachable"),
        ("reset", "unreachable"),
        ("closed", "unreachable"),
        ("hang", "timeout"),
        ("drip", "timeout"),
        ("huge", "malformed"),
        ("half-json", ""),
        ("html", ""),
        ("404", ""),
        ("500", "no_data"),
    ],
)
def test_a_silent_service_leaves_it_unverified(bench: Bench, fault: str, reason: str) -> None:
    """Half of the sources is not all of them; an answer of the service that names no environment is one."""
    world = World()
    world.service.fault = fault
    world.settings = {"service": {"health": {"deadline": 0.2}}}
    found = bench.over(RUNS_AS, world)["ENV-001"]
    assert (found.status, found.reason) == (("unverified", reason) if reason else ("passed", None))


@pytest.mark.parametrize(("status", "kind"), [(502, "text/html"), (403, "text/plain"), (503, "text/plain")])
def test_a_gateway_does_not_speak_for_the_service(bench: Bench, status: int, kind: str) -> None:
    """An error page says nothing of what runs behind it."""
    world = World()
    world.service.overrides["/health"] = (status, {"content-type": kind}, "no")
    found = bench.over(RUNS_AS, world)["ENV-001"]
    assert (found.status, found.reason) == ("unverified", "no_data")


def test_an_unhealthy_service_still_says_what_it_runs_as(bench: Bench) -> None:
    """Its 503 is JSON, and its environment is not in doubt."""
    world = World()
    world.provider.fault = "500"
    assert bench.over(RUNS_AS, world)["ENV-001"].status == "passed"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example:6443", "https://a.example:6443/", True),
        ("https://A.example:6443", "https://a.example:6443", True),
        ("https://a.example", "https://a.example:443", True),
        ("https://[fd00::1]:6443", "https://[FD00::1]:6443/", True),
        ("https://a.example:6443", "https://a.example:6444", False),
        ("https://a.example:6443", "http://a.example:6443", False),
        ("https://a.example/k8s/clusters/x", "https://a.example/k8s/clusters/y", False),
        ("https://a.example:port", "https://a.example:port", True),
        ("https://a.example:port", "https://b.example:port", False),
    ],
)
def test_servers_are_compared_as_addresses(one: str, other: str, same: bool) -> None:
    """Case, slash and default port aside; behind one host there may be many clusters."""
    assert same_server(one, other) is same


ALLOWED = Kubernetes(context="production", servers=("https://a.example:6443", "https://b.example"), namespace="chat")


@pytest.mark.parametrize(
    ("found", "offenders"),
    [
        (KubeContext("production", "https://a.example:6443", "chat", True), []),
        (KubeContext("production", "https://b.example:443/", "default", True), []),
        (KubeContext("other", "https://a.example:6443", "chat", None), ["another context is in use"]),
        (
            KubeContext("production", "https://c.example", "chat", None),
            ["the API server is not one of this environment"],
        ),
        (
            KubeContext("production", "https://a.example:6443", "chat-staging", True),
            ["the context leads to another namespace"],
        ),
        (KubeContext("production", "https://a.example:6443", "chat", False), ["the namespace does not exist"]),
    ],
)
def test_each_mismatch_is_its_own(found: KubeContext, offenders: list[str]) -> None:
    """Context, server, namespace, existence."""
    assert [offender.what for offender in target.astray(found, ALLOWED)] == offenders


@pytest.mark.parametrize("tier", ["staging", "production"])
@pytest.mark.parametrize("key", ["servers", "namespace"])
def test_an_empty_allow_list_is_no_pass(bench: Bench, tier: str, key: str) -> None:
    """Where anything is allowed, nothing is verified."""
    world = World()
    world.settings = {"kubernetes": {key: [] if key == "servers" else ""}}
    found = bench.over(CLUSTER, world, tier=tier)["ENV-002"]
    assert (found.status, found.reason) == ("unverified", "not_configured")
    assert f"[kubernetes] {key} is not set" in found.message


def test_development_may_leave_its_cluster_open() -> None:
    """Then there is nothing to compare, and the report says so."""
    environment = Environment(name="development", tier="development")
    assert "names no cluster of its own" in (target.nothing_declared(environment) or "")
    for settings in ({"context": "x"}, {"servers": ["https://a.example"]}, {"namespace": "chat"}):
        named = Environment(name="development", tier="development", kubernetes=settings)  # type: ignore[arg-type] # validated
        assert target.nothing_declared(named) is None
    for tier in ("staging", "production"):
        assert target.nothing_declared(Environment(name=tier, tier=tier)) is None


def test_a_cluster_that_is_not_listed_is_not_asked(bench: Bench) -> None:
    """A look at the wrong cluster would leave traces there, and a fault of it would hide the mismatch."""
    world = World()
    world.cluster.fault = "500"
    world.settings = {"kubernetes": {"servers": ["https://staging.example:6443"]}}
    found = bench.over(CLUSTER, world)["ENV-002"]
    assert found.status == "failed"
    assert world.cluster.requests == []


def test_a_context_that_the_kubeconfig_lacks_is_unverified(bench: Bench) -> None:
    """The environment asks for a context that is not there: no cluster was looked at."""
    world = World()
    world.settings = {"kubernetes": {"context": "production"}}
    found = bench.over(CLUSTER, world)["ENV-002"]
    assert (found.status, found.reason) == ("unverified", "not_configured")


@pytest.mark.parametrize("value", ["1", "true", "TRUE", "yes", "on", "*", "debug", "chat:*", "2", " 1 "])
@pytest.mark.parametrize("name", ["DEBUG", "MISTRAL_SDK_DEBUG_TRACING"])
def test_a_debug_variable_is_on(bench: Bench, name: str, value: str) -> None:
    """Whatever is not known to mean off is on: libraries differ in what they take for a yes."""
    world = World()
    world.cluster.set_variable(name, value)
    assert "a debug variable is on" in bench.over(DEBUGGING, world)["ENV-004"].message


@pytest.mark.parametrize("value", ["", "0", "false", "False", "no", "off", "none", "null"])
def test_a_debug_variable_is_off(bench: Bench, value: str) -> None:
    """The usual words for no."""
    world = World()
    world.cluster.set_variable("DEBUG", value)
    assert bench.over(DEBUGGING, world)["ENV-004"].status == "passed"


@pytest.mark.parametrize(("value", "status"), [("", "passed"), ("0", "failed"), ("false", "failed"), ("1", "failed")])
def test_mistral_debug_is_on_whenever_it_is_set(bench: Bench, value: str, status: str) -> None:
    """The TypeScript SDK coerces the text to a boolean, and any text that is not empty is true."""
    world = World()
    world.cluster.set_variable("MISTRAL_DEBUG", value)
    assert bench.over(DEBUGGING, world)["ENV-004"].status == status


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("debug", "failed"),
        ("DEBUG", "failed"),
        ("trace", "failed"),
        ("10", "failed"),
        ("info", "passed"),
        ("warn", "passed"),
        ("error", "passed"),
        ("", "passed"),
    ],
)
@pytest.mark.parametrize("name", ["LOG_LEVEL", "LOGLEVEL"])
def test_a_log_level_below_info_is_debugging(bench: Bench, name: str, value: str, status: str) -> None:
    """In any case of letters, and as Python's and pino's numbers."""
    world = World()
    world.cluster.set_variable(name, value)
    assert bench.over(DEBUGGING, world)["ENV-004"].status == status


@pytest.mark.parametrize(("tier", "status"), [("development", "not_applicable"), ("staging", "failed")])
def test_developers_may_debug(bench: Bench, tier: str, status: str) -> None:
    """It does not apply in development, and says why."""
    world = World()
    world.cluster.set_variable("DEBUG", "1")
    assert bench.over(DEBUGGING, world, tier=tier)["ENV-004"].status == status


def _taken(world: World, kind: str, **reference: Any) -> None:
    world.cluster.set_variable("LOG_LEVEL", "")
    entry = world.cluster.variable("LOG_LEVEL")
    del entry["value"]
    entry["valueFrom"] = {kind: reference}


def _from_secret(world: World) -> None:
    world.cluster.keep("chat", "mistral", "level", "debug")
    _taken(world, "secretKeyRef", name="mistral", key="level")


def _imported_secret(world: World) -> None:
    world.cluster.keep("chat", "mistral", "LOGLEVEL", "trace")
    world.cluster.container["envFrom"] = [{"secretRef": {"name": "mistral"}}]


def _expanded(world: World) -> None:
    world.cluster.container["env"].insert(0, {"name": "LEVEL", "value": "debug"})
    world.cluster.set_variable("LOG_LEVEL", "$(LEVEL)")


def _sidecar(world: World) -> None:
    env = [{"name": "DEBUG", "value": "1"}]
    sidecar = {"name": "proxy", "image": "x", "restartPolicy": "Always", "env": env}
    world.cluster.template["spec"]["initContainers"] = [sidecar]


@pytest.mark.parametrize("mutate", [_from_secret, _imported_secret, _expanded, _sidecar])
def test_a_switch_is_found_wherever_it_comes_from(bench: Bench, mutate: Callable[[World], None]) -> None:
    """A Secret, a Secret taken over whole, another variable, a sidecar."""
    world = World()
    mutate(world)
    assert bench.over(DEBUGGING, world)["ENV-004"].status == "failed"


def _optional(world: World) -> None:
    _taken(world, "configMapKeyRef", name="absent", key="level", optional=True)


def _optional_import(world: World) -> None:
    world.cluster.container["envFrom"] = [{"configMapRef": {"name": "absent", "optional": True}}]


def _overridden(world: World) -> None:
    """`env` counts more than `envFrom`."""
    world.cluster.keep("chat", "mistral", "LOG_LEVEL", "trace")
    world.cluster.container["envFrom"] = [{"secretRef": {"name": "mistral"}}]


def _one_shot(world: World) -> None:
    """An init container that ends before the service starts."""
    env = [{"name": "DEBUG", "value": "1"}]
    world.cluster.template["spec"]["initContainers"] = [{"name": "migrate", "image": "x", "env": env}]


def _nulls(world: World) -> None:
    world.cluster.container["envFrom"] = None
    world.cluster.template["spec"]["initContainers"] = None
    world.cluster.container["env"].append({"name": "DEBUG"})


@pytest.mark.parametrize("mutate", [_optional, _optional_import, _overridden, _one_shot, _nulls])
def test_what_is_not_set_is_off(bench: Bench, mutate: Callable[[World], None]) -> None:
    """An optional reference that leads nowhere, a value that another one hides, a container that is gone by then."""
    world = World()
    mutate(world)
    assert bench.over(DEBUGGING, world)["ENV-004"].status == "passed"


def _absent(world: World) -> None:
    _taken(world, "configMapKeyRef", name="absent", key="level")


def _absent_import(world: World) -> None:
    world.cluster.container["envFrom"] = [{"configMapRef": {"name": "absent"}}]


def _field(world: World) -> None:
    _taken(world, "fieldRef", fieldPath="metadata.labels['level']")


def _not_followed(world: World) -> None:
    entry = {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "x"}}}
    world.cluster.container["env"].insert(0, entry)
    world.cluster.set_variable("LOG_LEVEL", "$(LEVEL)")


@pytest.mark.parametrize("mutate", [_absent, _absent_import, _field, _not_followed])
def test_a_reference_that_leads_nowhere_is_unverified(bench: Bench, mutate: Callable[[World], None]) -> None:
    """What cannot be told is not off."""
    world = World()
    mutate(world)
    found = bench.over(DEBUGGING, world)["ENV-004"]
    assert (found.status, found.reason) == ("unverified", "no_data")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world: world.cluster.container.update(env="x"),
        lambda world: world.cluster.container.update(env=[1]),
        lambda world: world.cluster.container.update(env=[{"name": 1}]),
        lambda world: world.cluster.container.update(env=[{"name": "DEBUG", "value": 1}]),
        lambda world: world.cluster.template["spec"].update(containers=[]),
        lambda world: world.cluster.template.update(spec=None),
        lambda world: world.cluster.deployment.update(spec=[]),
    ],
    ids=["env-text", "env-number", "name-number", "value-number", "no-containers", "no-spec", "spec-list"],
)
def test_a_deployment_that_is_none_is_malformed(bench: Bench, spoil: Callable[[World], None]) -> None:
    """Something else answers in the API server's place; no look crashes on it."""
    world = World()
    spoil(world)
    found = bench.over(DEBUGGING, world)["ENV-004"]
    assert (found.status, found.reason) == ("unverified", "malformed")


def test_of_a_secret_only_a_known_word_is_kept(bench: Bench) -> None:
    """A variable from a Secret may hold anything; the evidence must not."""
    world = World()
    world.cluster.keep("chat", "mistral", "level", "hunter2hunter2")
    _taken(world, "secretKeyRef", name="mistral", key="level")
    found = bench.over(DEBUGGING, world)["ENV-004"]
    assert "hunter2" not in found.evidence + found.message


def test_a_long_value_is_cut() -> None:
    """The report says what is on, not everything that is there."""
    switches = DebugSwitches("Deployment chat/chat", (Switch("container chat: DEBUG", "DEBUG", "debug", "x" * 40),))
    assert len(str(next(debugging.switched_on(switches, "production")))) < 200
