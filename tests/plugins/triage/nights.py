"""A night on call: a world, the four looks at it, and what the evidence of them is diagnosed as."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import fixtures.observations.triage  # noqa: F401 - declares the looks
from fixtures.intent import Intent
from fixtures.observation import OBSERVATIONS, Evidence, Seen, _look, now
from fixtures.permission import Permission
from fixtures.sandbox.world import World, started
from fixtures.settings import Environment, load
from plugins.opening import Opening
from plugins.triage.answers import ASKED
from plugins.triage.diagnosis import diagnosed
from plugins.waivers import Waivers
from tests.checks.judging import ENVIRONMENTS, clients


@dataclass(frozen=True)
class Night:
    """The evidence of one triage, on a disk."""

    opening: Opening

    @property
    def folder(self) -> Path:
        return self.opening.folder

    def document(self) -> dict[str, Any]:
        """The diagnosis, as JSON keeps it."""
        return dict(json.loads(json.dumps(diagnosed(self.opening))))

    def without(self, name: str) -> None:
        """As if one of the four questions had never been asked."""
        (self.folder / "observations" / f"{name}.json").unlink()


def night(folder: Path, *mutations: Callable[[World], object], over: Mapping[str, Any] | None = None) -> Night:
    """Look at a world as triage does, all four looks at once; `over` is laid over its settings."""
    world = World()
    for mutate in mutations:
        mutate(world)
    with started(world, folder / "world") as running:
        environment = load("sandbox", ENVIRONMENTS, overlay={**running.settings, **(over or {})})
        return looked(folder / "run", environment)


def looked(folder: Path, environment: Environment) -> Night:
    """The four looks at whatever an environment's settings lead to."""
    found, evidence = clients(environment), Evidence(folder, lambda tree: tree)

    def record(name: str) -> Seen:
        look = OBSERVATIONS[name]
        return evidence.recorded(look, lambda: _look(look, {wanted: found[wanted] for wanted in look.inputs}))

    with ThreadPoolExecutor(len(ASKED)) as pool:
        list(pool.map(record, ASKED))
    return Night(opening(folder, environment))


def opening(folder: Path, environment: Environment, clock: str = "") -> Opening:
    """The premises of a run in `folder`."""
    return Opening(
        environment, "a test", Waivers((), date(2026, 1, 1)), None, folder, clock or now(), Permission(), Intent()
    )
