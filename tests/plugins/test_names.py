"""What is to paste says the names of the environment, as one word of a shell each."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.settings import Environment
from plugins.names import filled

REMEDY = """\
Undo it; who may: serviceaccount and k8s://NAMESPACE/NAME#KEY.

    kubectl rollout undo deployment/NAME -n NAMESPACE --to-revision=N
    kubectl get secret -n NAMESPACE -o yaml | kubectl apply -f -
    kubectl scale deployment/CANARY -n NAMESPACE --replicas=0
    kubectl config get-contexts
    kubectl --context other get pods
"""
SETTINGS = {"context": "prod", "namespace": "chat", "deployment": "web"}


def environment(kubernetes: dict[str, Any], **rollout: Any) -> Environment:
    return Environment.model_validate({"name": "x", "tier": "production", "kubernetes": kubernetes, "rollout": rollout})


def test_what_the_settings_tell_is_filled_in() -> None:
    """The context too: whoever pastes at night may be in another one."""
    assert filled(REMEDY, environment(SETTINGS, canary="web-canary")) == (
        "Undo it; who may: serviceaccount and k8s://NAMESPACE/NAME#KEY.\n\n"
        "    kubectl --context prod rollout undo deployment/web -n chat --to-revision=N\n"
        "    kubectl --context prod get secret -n chat -o yaml | kubectl --context prod apply -f -\n"
        "    kubectl --context prod scale deployment/web-canary -n chat --replicas=0\n"
        "    kubectl config get-contexts\n"
        "    kubectl --context other get pods\n"
    )


@pytest.mark.parametrize(
    ("tier", "line", "expected"),
    [
        ("production", "pytest -m triage --env ENVIRONMENT", "pytest -m triage --env eu"),
        (
            "production",
            "pytest -m rollback --env NAME --allow-changes --notify",
            "pytest -m rollback --env eu --allow-changes --confirm eu --notify",
        ),
        (
            "staging",
            "pytest -m rollback --env NAME --allow-changes --notify",
            "pytest -m rollback --env eu --allow-changes --notify",
        ),
        ("production", "pytest -m rollout --env staging", "pytest -m rollout --env staging"),
        (
            "staging",
            "pytest -m resilience --env NAME --allow-changes",
            "pytest -m resilience --env NAME --allow-changes",
        ),
    ],
)
def test_a_run_is_of_this_environment(tier: str, line: str, expected: str) -> None:
    """What may change production asks for its name once more."""
    found = Environment.model_validate({"name": "eu", "tier": tier})
    assert filled(f"Then:\n\n    {line}\n", found) == f"Then:\n\n    {expected}\n"
    elsewhere = found.model_copy(update={"config": ("/our own/base.toml",)})
    named = expected.replace("--env eu", "--env eu '--config=/our own'")
    assert filled(f"    {line}\n", elsewhere) == f"    {named}\n"


def test_what_they_do_not_tell_stays() -> None:
    """A name that is not known is not made up, and an Argo Rollout is no Deployment."""
    assert filled(REMEDY, environment({})) == REMEDY
    assert "deployment/CANARY" in filled(REMEDY, environment(SETTINGS, canary="web", kind="argo"))


@pytest.mark.parametrize("name", ["a b", "$(reboot)", r"a\1b", "it's"])
def test_a_name_is_one_word(name: str) -> None:
    """Whatever stands in the settings, the shell takes it for a name."""
    import shlex

    line = filled("    kubectl get pods -n NAMESPACE", environment({"namespace": name}))
    assert shlex.split(line) == ["kubectl", "get", "pods", "-n", name]


def test_no_control_character_is_pasted() -> None:
    """A line break would run what follows it."""
    line = "    kubectl get pods -n NAMESPACE"
    assert filled(line, environment({}).model_copy(update={"kubernetes": _Odd()})) == line


class _Odd:
    context, namespace, deployment = "a\nb", "a\nreboot", "a\rb"
