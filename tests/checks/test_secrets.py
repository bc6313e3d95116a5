"""The checks of the key: each known-bad world is told apart, each good one passes, and no finding says the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from checks.environments import debugging, target
from checks.secrets import delivery, key
from fixtures import api_server
from fixtures.sandbox.healthy.provider import KEY
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens import environments, secrets
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {
    "SEC-001": key.test_the_key_comes_from_a_secret_manager,
    "SEC-002": key.test_the_key_is_a_real_key,
    "SEC-003": key.test_the_mistral_api_accepts_the_key,
    "SEC-006": delivery.test_the_deployment_takes_the_key_by_reference,
    "SEC-007": delivery.test_the_clusters_secret_equals_the_store,
    "ENV-001": target.test_the_service_runs_as_the_environment_asked_for,
    "ENV-002": target.test_the_cluster_is_that_of_this_environment,
    "ENV-004": debugging.test_debugging_is_off,
}


def test_the_healthy_world_passes_every_check(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    judged = bench.judged(CHECKS, HEALTHY)
    assert {id_: (found.status, found.message) for id_, found in judged.items()} == dict.fromkeys(
        CHECKS, ("passed", "")
    )


@pytest.mark.parametrize("specimen", [*secrets.SPECIMENS, *environments.SPECIMENS], ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_its_checks_and_no_other(bench: Bench, specimen: Specimen) -> None:
    """Each reason to fail is told by its own words; what it does not touch still passes."""
    mine = {id_: check for id_, check in CHECKS.items() if specimen.scenario or id_ in specimen.breaks}
    judged = bench.judged(mine, specimen)
    broken = {id_: found for id_, found in judged.items() if found.status not in ("passed", "not_applicable")}
    assert set(broken) == set(specimen.breaks)
    for found in broken.values():
        assert (found.status, found.reason) == (specimen.status, specimen.reason)
        assert specimen.message in found.message


@pytest.mark.parametrize(
    "specimen",
    [specimen for specimen in (*secrets.SHAPE, *secrets.DELIVERY) if specimen.scenario],
    ids=lambda specimen: specimen.name,
)
def test_no_finding_and_no_evidence_holds_the_key(bench: Bench, specimen: Specimen) -> None:
    """The places where the key lies open are named without it."""
    for found in bench.judged(CHECKS, specimen).values():
        assert KEY not in found.message + found.evidence
        assert KEY[::-1] not in found.message + found.evidence


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    known = [*secrets.SPECIMENS, *environments.SPECIMENS]
    for status in ("failed", "unverified"):
        assert {id_ for specimen in known if specimen.status == status for id_ in specimen.breaks} == set(CHECKS)


def test_a_missing_key_is_one_failure_and_elsewhere_no_data(bench: Bench) -> None:
    """One cause, said once: the store has nothing, so nothing can be said of its form, nor can the API be asked."""
    world = World()
    world.cluster.remove(world.cluster.secret("vault", "mistral"))
    judged = bench.over(CHECKS, world)
    assert judged["SEC-001"].status == "failed"
    assert "there is no Secret mistral in namespace vault" in judged["SEC-001"].message
    for id_ in ("SEC-002", "SEC-003", "SEC-007"):
        assert (judged[id_].status, judged[id_].reason) == ("unverified", "no_data")


@pytest.mark.parametrize(
    ("value", "message"),
    [("", "the secret is empty"), (" \n", "the secret is empty")],
)
def test_an_empty_key_is_one_failure_and_elsewhere_no_data(bench: Bench, value: str, message: str) -> None:
    """White space only is as good as nothing."""
    world = World()
    world.cluster.keep("vault", "mistral", "api-key", value)
    judged = bench.over(CHECKS, world)
    assert (judged["SEC-001"].status, message in judged["SEC-001"].message) == ("failed", True)
    for id_ in ("SEC-002", "SEC-007"):
        assert (judged[id_].status, judged[id_].reason) == ("unverified", "no_data")
    assert judged["SEC-003"].status == "unverified"


def test_a_secret_that_is_being_deleted_is_destroyed(bench: Bench) -> None:
    """What goes away while it is looked at is not a place to take a key from."""
    world = World()
    world.cluster.secret("vault", "mistral")["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z"
    assert "found destroyed" in bench.over(CHECKS, world)["SEC-001"].message


@pytest.mark.parametrize("reference", ["env://KEY_OF_A_TEST", "dotenv://keys.env#KEY"])
@pytest.mark.parametrize(
    ("tier", "status"), [("development", "passed"), ("staging", "failed"), ("production", "failed")]
)
def test_local_keys_are_for_development(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reference: str, tier: str, status: str
) -> None:
    """A variable or a file will do where developers work, and nowhere else."""
    (tmp_path / "keys.env").write_text(f"KEY={KEY}\n")
    monkeypatch.setenv("KEY_OF_A_TEST", KEY)
    world = World()
    world.settings = {"provider": {"api_key": reference.replace("keys.env", str(tmp_path / "keys.env"))}}
    world.cluster.set_variable("NODE_ENV", tier)
    world.service.environment = tier
    judged = bench.over(CHECKS, world, tier=tier)
    assert judged["SEC-001"].status == status
    assert {
        id_: judged[id_].status for id_ in ("SEC-002", "SEC-003", "SEC-007", "ENV-001", "ENV-002")
    } == dict.fromkeys(("SEC-002", "SEC-003", "SEC-007", "ENV-001", "ENV-002"), "passed")


def _imported(world: World) -> None:
    world.cluster.container["env"].remove(world.cluster.variable("MISTRAL_API_KEY"))
    world.cluster.keep("chat", "mistral", "MISTRAL_API_KEY", KEY)
    world.cluster.container["envFrom"] = [{"secretRef": {"name": "mistral"}}]


def _imported_with_prefix(world: World) -> None:
    world.cluster.container["env"].remove(world.cluster.variable("MISTRAL_API_KEY"))
    world.cluster.keep("chat", "mistral", "API_KEY", KEY)
    world.cluster.container["envFrom"] = [{"prefix": "MISTRAL_", "secretRef": {"name": "mistral"}}]


def _second_secret(world: World) -> None:
    """Two Secrets taken over whole; only the second one has the key, and the first one is not the key's."""
    _imported(world)
    metadata = {"name": "other", "namespace": "chat", "uid": "other", "resourceVersion": "1"}
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"X": "eA=="}}
    world.cluster.objects.append(other)
    world.cluster.container["envFrom"].insert(0, {"secretRef": {"name": "other"}})


def _expanded(world: World) -> None:
    env = world.cluster.container["env"]
    entry = world.cluster.variable("MISTRAL_API_KEY")
    entry["name"] = "FROM_SECRET"
    env.append({"name": "MISTRAL_API_KEY", "value": "$(FROM_SECRET)"})


def _file(world: World) -> None:
    world.cluster.container["env"].remove(world.cluster.variable("MISTRAL_API_KEY"))
    world.cluster.set_variable("MISTRAL_API_KEY_FILE", "/keys/mistral/key")
    world.cluster.container["volumeMounts"] = [{"name": "keys", "mountPath": "/keys/mistral/"}]
    items = [{"key": "api-key", "path": "key"}]
    world.cluster.template["spec"]["volumes"] = [{"name": "keys", "secret": {"secretName": "mistral", "items": items}}]


def _two_containers(world: World) -> None:
    import copy

    other = copy.deepcopy(world.cluster.container)
    other["name"] = "worker"
    world.cluster.template["spec"]["containers"].append(other)


@pytest.mark.parametrize(
    "mutate", [_imported, _imported_with_prefix, _second_secret, _expanded, _file, _two_containers]
)
def test_every_way_from_a_secret_is_a_reference_and_is_compared(bench: Bench, mutate: Callable[[World], None]) -> None:
    """env, envFrom with and without a prefix, $(NAME), a file: followed to the Secret, and told when it is stale."""
    world = World()
    mutate(world)
    judged = bench.over(CHECKS, world)
    assert [judged[id_].status for id_ in ("SEC-006", "SEC-007")] == ["passed", "passed"]
    for name in ("api-key", "MISTRAL_API_KEY", "API_KEY"):
        if name in world.cluster.secret("chat", "mistral")["data"]:
            world.cluster.keep("chat", "mistral", name, KEY[::-1])
    assert "the Secret differs from the store" in bench.over(CHECKS, world)["SEC-007"].message


def _csi(world: World) -> None:
    world.cluster.container["env"].remove(world.cluster.variable("MISTRAL_API_KEY"))
    csi = {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "mistral"}}
    world.cluster.template["spec"]["volumes"] = [{"name": "keys", "csi": csi}]


def _agent(world: World) -> None:
    world.cluster.container["env"].remove(world.cluster.variable("MISTRAL_API_KEY"))
    world.cluster.template["metadata"]["annotations"] = {"vault.hashicorp.com/agent-inject": "true"}


@pytest.mark.parametrize(
    "mutate",
    [
        _csi,
        _agent,
        lambda world: world.cluster.set_variable("MISTRAL_API_KEY", "vault:secret/data/mistral#api-key"),
        lambda world: world.cluster.set_variable("MISTRAL_API_KEY", "op://prod/mistral/api-key"),
        lambda world: world.cluster.set_variable(
            "MISTRAL_API_KEY", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mistral"
        ),
    ],
    ids=["csi", "agent", "vault", "1password", "aws"],
)
def test_a_key_that_comes_past_the_clusters_secrets_has_none_to_compare(
    bench: Bench, mutate: Callable[[World], None]
) -> None:
    """A volume of the secrets store, an agent, an injector's reference: by reference, and with no Secret."""
    world = World()
    mutate(world)
    judged = bench.over(CHECKS, world)
    assert (judged["SEC-006"].status, judged["SEC-007"].status) == ("passed", "not_applicable")
    assert "takes MISTRAL_API_KEY from no Secret" in judged["SEC-007"].message


def _last_applied(world: World) -> None:
    """What `kubectl apply` of an earlier manifest left behind."""
    manifest = '{"spec":{"containers":[{"env":[{"name":"MISTRAL_API_KEY","value":"' + KEY + '"}]}]}}\n'
    name = "kubectl.kubernetes.io/last-applied-configuration"
    world.cluster.deployment["metadata"]["annotations"][name] = manifest


def _init_container(world: World) -> None:
    world.cluster.template["spec"]["initContainers"] = [
        {"name": "migrate", "image": "x", "env": [{"name": "MISTRAL_API_KEY", "value": "anything"}]}
    ]


def _mounted_config_map(world: World) -> None:
    secrets.config_map(world, "chat-files", {"config.json": '{"mistral": {"key": "' + KEY + '"}}'})
    sources = [{"configMap": {"name": "chat-files"}}]
    world.cluster.template["spec"]["volumes"] = [{"name": "files", "projected": {"sources": sources}}]


def _imported_config_map(world: World) -> None:
    secrets.config_map(world, "chat-files", {"API_KEY": "whatever-it-is"})
    world.cluster.container["envFrom"] = [{"prefix": "MISTRAL_", "configMapRef": {"name": "chat-files"}}]


@pytest.mark.parametrize(
    ("mutate", "where"),
    [
        (_last_applied, "annotation kubectl.kubernetes.io/last-applied-configuration of the Deployment"),
        (_init_container, "container migrate: MISTRAL_API_KEY"),
        (_mounted_config_map, "ConfigMap chat-files, key config.json"),
        (_imported_config_map, "ConfigMap chat-files, key API_KEY"),
    ],
)
def test_a_key_that_lies_open_is_found(bench: Bench, mutate: Callable[[World], None], where: str) -> None:
    """Also where nobody reads it: whoever may read the object has the key."""
    world = World()
    mutate(world)
    found = bench.over(CHECKS, world)["SEC-006"]
    assert found.status == "failed"
    assert where in found.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MISTRAL_COMMIT", "0123456789abcdef0123456789abcdef"),
        ("MISTRAL_MODEL", "mistral-small-2603"),
        ("REQUEST_ID", KEY),
        ("MISTRAL_API_URL", "https://api.mistral.ai/v1"),
    ],
)
def test_what_is_no_key_is_not_taken_for_one(bench: Bench, name: str, value: str) -> None:
    """A hash, a model, an address, thirty-two characters that nothing connects with Mistral."""
    world = World()
    world.cluster.set_variable(name, value)
    assert bench.over(CHECKS, world)["SEC-006"].status == "passed"


FAULTS = {
    "down": "unreachable",
    "reset": "unreachable",
    "closed": "unreachable",
    "hang": "timeout",
    "drip": "timeout",
    "401": "unauthenticated",
    "403": "denied",
    "404": "no_data",
    "429": "quota",
    "500": "unreachable",
    "html": "malformed",
    "half-json": "malformed",
    "huge": "malformed",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
def test_a_cluster_that_cannot_be_asked_leaves_everything_unverified(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    """Each fault of the API server has its reason, for every look at it and at the store that it keeps."""
    if reason == "timeout":
        monkeypatch.setattr(api_server, "READ", 0.3)
        monkeypatch.setattr(api_server, "TOTAL", 0.5)
    world = World()
    world.cluster.fault = fault
    judged = bench.over(CHECKS, world)
    assert {id_: (found.status, found.reason) for id_, found in judged.items()} == dict.fromkeys(
        CHECKS, ("unverified", reason)
    )


def test_a_cluster_without_any_of_it_is_an_answer(bench: Bench) -> None:
    """What does not exist was looked for: no namespace, no store, and no Deployment to say anything of."""
    world = World()
    world.cluster.objects = []
    judged = bench.over(CHECKS, world)
    assert {id_: found.status for id_, found in judged.items() if found.status == "failed"} == {
        "SEC-001": "failed",
        "ENV-002": "failed",
    }
    assert {found.reason for found in judged.values() if found.status == "unverified"} == {"no_data"}


@pytest.mark.parametrize(
    ("settings", "unset", "blind"),
    [
        ({"provider": {"api_key": ""}}, "[provider] api_key", {"SEC-001", "SEC-002", "SEC-003", "SEC-007"}),
        ({"kubernetes": {"deployment": ""}}, "[kubernetes] deployment", {"SEC-006", "SEC-007", "ENV-001", "ENV-004"}),
    ],
)
def test_what_is_not_configured_is_not_verified(
    bench: Bench, settings: dict[str, dict[str, str]], unset: str, blind: set[str]
) -> None:
    """The finding names the setting; the checks that do not need it still pass."""
    world = World()
    world.settings = settings
    judged = bench.over(CHECKS, world)
    assert {id_ for id_, found in judged.items() if found.status != "passed"} == blind
    for id_ in blind:
        assert (judged[id_].status, judged[id_].reason) == ("unverified", "not_configured")
        assert unset in judged[id_].message
