"""A canary on its way from step to step, as a pipeline would take it: each run relies on what the others kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.clearance import Clearance, composed, kept
from fixtures.observation import now
from fixtures.sandbox import growth
from fixtures.sandbox.healthy.canary import IMAGE
from fixtures.sandbox.running import Running
from fixtures.sandbox.world import World, started
from tests.environments import environments
from tests.test_drills import Outcome, run

DIGEST = IMAGE.partition("@")[2]


class Pipeline:
    """Runs of the phase rollout against a world that is somebody's own."""

    def __init__(self, running: Running, folder: Path) -> None:
        self._world, self._folder = running.world, folder
        self._config = environments(folder / "environments", running.settings)
        self.kept = folder / "world" / "clearances"
        self._runs = 0

    def step(self, step: int, *arguments: str) -> Outcome:
        self._runs += 1
        place = self._folder / f"run-{self._runs}"
        return run(self._config, place, "-m", "rollout", "--env", "bench", "--step", str(step), *arguments)

    def preflight(self, image: str = DIGEST) -> None:
        """Preflight has said GO of an image."""
        row = Clearance(
            environment="bench", phase="preflight", step=None, image=image, verdict="GO", made=now(), run="preflight"
        )
        kept(self.kept, composed(row, {"version": None, "revision": None}))

    def share(self, factor: float) -> None:
        """So many times the requests for the canary."""
        series = self._world.prometheus.series
        for name, rows in series.items():
            if name.endswith(growth.COUNTERS):
                series[name] = [(at, value * factor if at["track"] == "canary" else value) for at, value in rows]

    def fail(self, share: float) -> None:
        growth.failing(self._world.prometheus, share, track="canary")


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with started(World(), tmp_path / "world") as running:
        yield Pipeline(running, tmp_path)


def refused(outcome: Outcome) -> str:
    """Why ROL-001, and nothing else, is not content."""
    assert (outcome.code, set(outcome.findings("failed"))) == (1, {"ROL-001"}), outcome.printed
    return str(outcome.findings("failed")["ROL-001"]["message"])


def test_a_canary_goes_on_step_by_step_and_is_stopped(pipeline: Pipeline) -> None:
    """Not before preflight; not past a step; and after a NO-GO not at all."""
    assert "was not cleared by preflight: found no verdict" in refused(pipeline.step(10))
    pipeline.preflight(f"sha256:{'77' * 32}")
    assert "found verdicts on sha256:77" in refused(pipeline.step(10))
    pipeline.preflight()
    first = pipeline.step(10)
    assert (first.code, first.report["verdict"]) == (0, "GO"), first.printed
    assert "This GO is kept for 24 hours" in first.printed
    pipeline.share(9.0)
    assert pipeline.step(50).code == 0
    pipeline.fail(0.03)
    stopped = pipeline.step(50)
    assert (stopped.code, set(stopped.findings("failed"))) == (1, {"ROL-003"}), stopped.printed
    assert "worse than the stable version" in stopped.findings("failed")["ROL-003"]["message"]
    last = pipeline.step(100).findings("failed")["ROL-001"]["message"]
    assert "it runs another image than the canary" in last


def test_a_run_that_was_narrowed_clears_nothing(pipeline: Pipeline) -> None:
    """Three checks that hold are no verdict on the image."""
    pipeline.preflight()
    before = sorted(pipeline.kept.iterdir())
    outcome = pipeline.step(10, "-k", "restarted or alert or share")
    assert (outcome.code, outcome.report["verdict"]) == (10, "PARTIAL"), outcome.printed
    assert sorted(pipeline.kept.iterdir()) == before


def test_a_replay_says_the_same_and_clears_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    """At the step of the run that it repeats, and by the age that the verdicts had then."""
    pipeline.preflight()
    assert pipeline.step(10).code == 0
    for file in pipeline.kept.iterdir():
        file.unlink()
    again = run(tmp_path / "environments", tmp_path / "again", "-m", "rollout", "--replay", str(tmp_path / "run-1"))
    assert (again.code, again.report["verdict"]) == (0, "GO"), again.printed
    assert list(pipeline.kept.iterdir()) == []
