"""A check judged as a run judges it: a world, real clients, the looks, then the check; and what its finding says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fixtures.observations.alerts
import fixtures.observations.environment
import fixtures.observations.logs
import fixtures.observations.metrics
import fixtures.observations.notifications
import fixtures.observations.provider
import fixtures.observations.repository
import fixtures.observations.revisions
import fixtures.observations.rollback
import fixtures.observations.runbook
import fixtures.observations.service
import fixtures.observations.traffic  # noqa: F401 - declares the looks that the checks name
from fixtures.changes import Changes
from fixtures.cluster import Cluster
from fixtures.intent import Intent
from fixtures.observation import OBSERVATIONS, CannotObserve, decoded
from fixtures.permission import Permission
from fixtures.prometheus import Prometheus
from fixtures.provider import Provider
from fixtures.repository import Repository
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.world import World, started
from fixtures.secrets import Secrets
from fixtures.settings import Environment, load
from plugins import outcomes
from plugins.catalogue import Check
from plugins.redaction import Redactor

ENVIRONMENTS = Path(__file__).resolve().parents[2] / "environments"
HEALTHY = Specimen(name="healthy", breaks=(), phase="preflight", says="", message="", mutate=lambda world: None)


@dataclass(frozen=True)
class Judged:
    status: str
    reason: str | None
    message: str
    evidence: str
    """The values of the observations that were made, as they would be written."""


class Bench:
    """Looks and judges in this process, and listens to the comparison that a check's assertion makes."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._folder = folder
        self._compared = outcomes.Compared()
        self._plugins = request.config.pluginmanager

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        if op == "==" and isinstance(right, list) and not right:
            self._compared = outcomes.Compared(left, found=True)

    def judged(self, checks: Mapping[str, Callable[..., None]], specimen: Specimen) -> dict[str, Judged]:
        """Each check, by id, over the specimen's world, or over its values where it has no world."""
        if specimen.values is not None:
            given = {"environment": specimen.values.get("environment") or load("sandbox", ENVIRONMENTS)}
            given |= specimen.values
            return {id_: self._verdict(check, dict(given)) for id_, check in checks.items()}
        world = World()
        assert specimen.mutate is not None
        specimen.mutate(world)
        return self.over(checks, world)

    def over(self, checks: Mapping[str, Callable[..., None]], world: World, **tier: str) -> dict[str, Judged]:
        """Each check, by id, over this world; `tier="staging"` in place of the sandbox's own."""
        with started(world, self._folder) as running:
            overlay = {**running.settings, **tier}
            environment = load("sandbox", ENVIRONMENTS, overlay=overlay)
            found = clients(environment) | noted(self._folder / "run")
            return {id_: self._verdict(check, found) for id_, check in checks.items()}

    def _verdict(self, check: Callable[..., None], found: dict[str, Any]) -> Judged:
        self._compared = outcomes.Compared()
        self._plugins.register(self)
        error: BaseException | None = None
        try:
            arguments = {name: look(name, found) for name in names(check)}
            declared: Check = check.__check__  # type: ignore[attr-defined] # what makes it a check
            wanted = names(declared.applies) if declared.applies else ()
            if declared.applies and (why := declared.applies(**{name: arguments[name] for name in wanted})):
                raise outcomes.NotApplicableError(why)
            check(**arguments)
        except Exception as caught:  # noqa: BLE001 - what it means is the very thing that is judged
            error = caught
        finally:
            self._plugins.unregister(self)
        fields = outcomes.of_call(error, self._compared)
        seen = [repr(value) for name, value in found.items() if name in OBSERVATIONS]
        return Judged(fields["status"], fields.get("reason"), fields.get("message", ""), "\n".join(seen))


def names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's arguments."""
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def noted(folder: Path) -> dict[str, Any]:
    """What looks that leave something beside their evidence stand on: the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return {"run_folder": folder, "changes": Changes(folder / "changes.jsonl", lambda row: row)}


def clients(environment: Environment) -> dict[str, Any]:
    """What looks stand on, by the names of the fixtures that give them."""
    redactor, cluster = Redactor(), Cluster(environment)
    secrets = Secrets(environment, cluster, redactor)
    provider = Provider(environment, secrets)
    return {
        "environment": environment,
        "permission": Permission(),
        "intent": Intent(to_revision=environment.rollback.rehearsal),
        "redactor": redactor,
        "cluster": cluster,
        "secrets": secrets,
        "provider": provider,
        "prometheus": Prometheus(environment, secrets),
        "repository": Repository(environment),
    }


def look(name: str, found: dict[str, Any]) -> Any:
    """A client, or the outcome of a look, made once and passed through its written form. Raises `CannotObserve`."""
    from pydantic import TypeAdapter

    if name not in found:
        body = OBSERVATIONS[name]
        try:
            value = body.body(**{wanted: look(wanted, found) for wanted in body.inputs})
            found[name] = decoded(body, TypeAdapter(body.type).dump_python(value, mode="json"))
        except CannotObserve as error:
            found[name] = error
    if isinstance(found[name], CannotObserve):
        raise found[name]
    return found[name]


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(request, tmp_path)
