"""What the suite asks of production's API server, by that server's own audit log: nothing that changes anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.test_world import Verified, run
from tests.real.world import ON_CALL, World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("reads only")]

READS = {"get", "list", "watch"}
REVIEW = ("create", "localsubjectaccessreviews")
"""Asks whether those on call may undo the Deployment: a POST by its form, of which nothing is kept."""
PHASES = {
    "preflight": {("get", "deployments"), ("get", "namespaces"), ("get", "secrets")},
    "postdeploy": {
        ("get", "deployments"),
        ("list", "replicasets"),
        ("list", "pods"),
        ("get", "pods/log"),
        ("get", "secrets"),
        REVIEW,
    },
    "triage": {("get", "deployments"), ("list", "pods"), ("get", "pods/log"), ("get", "secrets")},
}
"""What each asks for; README.md says so."""
Asked = Counter[tuple[str, str]]
"""(verb, resource), and how often."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world as production, its API server told to note each request."""
    with World(tmp_path_factory.mktemp("world") / "world", audit=True) as running:
        yield running


def noted(world: World, user: str, *arguments: str, folder: Path) -> tuple[Verified, Asked]:
    """Run the suite, and return what it asked the API server for meanwhile, as this user."""
    before = len(world.plane.audited())
    done = run(*arguments, f"--config={world.config}", folder=folder)
    events = world.plane.audited()[before:]
    return done, Counter(_named(event) for event in events if event["user"]["username"] == user)


def _named(event: dict[str, dict[str, str]]) -> tuple[str, str]:
    of = event["objectRef"]
    return str(event["verb"]), of["resource"] + (f"/{of['subresource']}" if "subresource" in of else "")


@pytest.mark.parametrize("phase", PHASES)
def test_production_is_only_read(phase: str, world: World, tmp_path: Path) -> None:
    """The whole phase, as it is typed; and what it reads is in the log."""
    done, asked = noted(world, "reader", "-m", phase, "--env", "prod", folder=tmp_path / "run")
    assert "denied" not in done.broken.values(), done.printed
    assert {row for row in asked if row[0] not in READS} <= {REVIEW}, done.printed
    assert asked.keys() == PHASES[phase], done.printed


def test_what_changes_something_would_be_noted(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback that is allowed to change production does, once, as whoever is on call."""
    for name, value in world.as_on_call.items():
        monkeypatch.setenv(name, value)
    allowed = ("--to-revision", "1", "--allow-changes", "--confirm", "production")
    _, asked = noted(world, ON_CALL, "-m", "rollback", "--env", "prod", *allowed, folder=tmp_path / "run")
    assert asked["patch", "deployments"] == 1
    assert {row for row in asked if row[0] not in READS} == {("patch", "deployments")}
