"""The names of the environment in the commands of a remedy: what is pasted at night must not be edited first.

A check's remedy is written once for every service, with NAME and CANARY for the Deployments and NAMESPACE for theirs; a
run of the suite has NAME or ENVIRONMENT for the environment.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from fixtures.permission import production

if TYPE_CHECKING:
    from fixtures.settings import Environment

_LINE = re.compile(r"^[ \t]+\S.*$", re.MULTILINE)
"""Indented: to paste."""
_KUBECTL = re.compile(r"\bkubectl (?!--(?:context|kubeconfig)\b|config\b)")
_NAMESPACE = re.compile(r"(?<!://)\bNAMESPACE\b")  # k8s://NAMESPACE/NAME#KEY is a form to write
_DEPLOYMENT = re.compile(r"\b(deployments?[/ ])NAME\b")
_RUN = re.compile(r"\b(pytest -m (?!resilience).*)--env (?:NAME|ENVIRONMENT)\b( --allow-changes)?")
"""Drills have no place in production: where they are made is for people to say."""
_CANARY = re.compile(r"\b(deployments?[/ ])CANARY\b")


def filled(remedy: str, environment: Environment) -> str:
    """`remedy` with the names that the settings tell; one that they do not tell stays as it is written."""
    kubernetes, rollout = environment.kubernetes, environment.rollout
    canary = rollout.canary if rollout.kind == "deployment" else None
    if context := _word(kubernetes.context):
        remedy = _LINE.sub(lambda line: _KUBECTL.sub(lambda _: f"kubectl --context {context} ", line[0]), remedy)
    remedy = _RUN.sub(lambda run: f"{run[1]}{environment.options()}{_allowed(environment, run[2] or '')}", remedy)
    if namespace := _word(kubernetes.namespace):
        remedy = _NAMESPACE.sub(lambda _: namespace, remedy)
    for pattern, name in ((_DEPLOYMENT, kubernetes.deployment), (_CANARY, canary)):
        if word := _word(name):
            remedy = pattern.sub(lambda found, word=word: found[1] + word, remedy)  # type: ignore[misc] # bound here
    return remedy


def _allowed(environment: Environment, option: str) -> str:
    """`option`, which allows changes, with the name that production asks for once more."""
    asked = option and production(environment) and not environment.sandbox
    return f"{option} --confirm {_word(environment.name)}" if asked else option


def _word(name: str | None) -> str:
    """As one word of a shell; empty where there is none."""
    return shlex.quote(name) if name and name.isprintable() else ""
