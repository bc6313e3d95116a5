"""Whether a run leaves its verdict on an image: only one that looked for itself, at something real, and to its end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fixtures.clearance import found
from fixtures.intent import Intent
from fixtures.observation import digest
from fixtures.permission import Permission
from fixtures.settings import Environment
from plugins.aftermath import after
from plugins.opening import Opening
from plugins.waivers import Waivers
from reports.model import Finding, Parameter, Report

IMAGE, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
NAME = "registry.example:5000/chat"
HOLDS = Finding(id="INF-001", area="infra", severity="blocker", claim="", status="passed")
WAIVED, NOT_RUN = replace(HOLDS, id="INF-002", status="waived"), replace(HOLDS, id="INF-003", status="not_run")
FAILED = replace(HOLDS, id="INF-004", status="failed")
PARTS = (Parameter(name="a", status="not_run", reason=None, message=""),)
IN_PART = replace(HOLDS, status="failed", severity="advisory", parameters=PARTS)


class Ended:
    """A run that has come to its end, with what it saw."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clearances = folder / "run", folder / "clearances"
        (self.folder / "observations").mkdir(parents=True)
        self.settings: dict[str, Any] = {"name": "production", "tier": "production"}
        self.image: str | None = f"{NAME}@{IMAGE}"
        self.replay: Path | None = None
        self.intent = Intent(step=50)

    def observe(self, name: str, value: Any, reason: str | None = None, look: str = ".") -> None:
        document = {"name": name, "at": "", "duration": 0.0, "sources": [], "remedy": "", "message": ""}
        document |= {"value": value, "reason": reason, "sha256": digest([value, reason, ""])}
        place = self.folder / look / "observations"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.json").write_text(json.dumps(document))

    def canary(self, *images: str, template: str = "") -> None:
        """Pods that run these images, beside a sidecar; and what the pod template names."""
        sidecar = {"name": "proxy", "digest": f"sha256:{'99' * 32}", "waiting": ""}
        rows = [{"name": "chat", "digest": image, "waiting": ""} for image in images]
        named = dict.fromkeys([*images, *filter(None, [template.partition("@")[2]])], "pod chat-1")
        self.observe("clearances", {"images": named})
        self.observe("canary_pods", {"items": [{"containers": [row, sidecar]} for row in rows]})
        self.observe("canary", {"judged": {"image": template, "container": "chat"}})

    def said(self, phase: str | None, verdict: Any, exit_code: int = 0, *findings: Finding) -> str:
        values = {**self.settings, "rollout": {"clearances": self.clearances}, "kubernetes": {"image": self.image}}
        environment = Environment.model_validate(values)
        clock = "2026-11-22T12:00:00.000Z"
        opening = Opening(
            environment, "", Waivers((), date(2026, 11, 22)), self.replay, self.folder, clock, Permission(), self.intent
        )
        report = Report(
            schema="1",
            phase=phase,
            environment={},
            verdict=verdict,
            exit_code=exit_code,
            headline="",
            started=clock,
            finished=clock,
            service={},
            suite={"version": "0.1.0", "revision": None},
            findings=findings or (HOLDS,),
            observations=(),
            counts={},
            masked={},
        )
        return after(report, opening)

    @property
    def kept(self) -> list[tuple[str, str, int | None, str, str]]:
        """Environment, phase, step, image and verdict of each file."""
        files = self.clearances.glob("*") if self.clearances.is_dir() else ()
        rows = [json.loads(file.read_text()) for file in sorted(files)]
        return [(row["environment"], row["phase"], row["step"], row["image"], row["verdict"]) for row in rows]


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    return Ended(tmp_path)


def test_a_go_of_preflight_clears_the_image_that_is_meant(ended: Ended) -> None:
    """By the settings, before it runs anywhere."""
    said = ended.said("preflight", "GO", 0, WAIVED)
    assert ended.kept == [("production", "preflight", None, IMAGE, "GO")]
    assert said.startswith("This GO is kept for 24 hours: ")
    (file,) = ended.clearances.iterdir()
    assert (json.loads(file.read_text())["waived"], json.loads(file.read_text())["run"]) == (["INF-002"], "run")


@pytest.mark.parametrize("image", [None, f"{NAME}:1.5.0"])
def test_without_a_digest_in_the_settings_what_runs_is_cleared(ended: Ended, image: str | None) -> None:
    """The container of the service's repository, else the first."""
    ended.image = image
    sidecar = [{"image": f"proxy@{OTHER}"}] if image else []
    ended.observe("workload", {"containers": [*sidecar, {"image": f"{NAME}:1.4.2@{IMAGE}"}]})
    ended.said("preflight", "GO")
    assert ended.kept == [("production", "preflight", None, IMAGE, "GO")]


def test_a_verdict_on_no_image_is_told(ended: Ended) -> None:
    """A tag can be moved to another image, so it clears none."""
    ended.image = None
    assert "is kept for no image" in ended.said("preflight", "GO")
    ended.observe("workload", {"containers": [{"image": f"{NAME}:1.4.2"}]})
    assert "is kept for no image" in ended.said("preflight", "GO")
    assert ended.kept == []


def test_a_step_of_a_rollout_clears_what_the_canary_was_seen_to_run(ended: Ended) -> None:
    """Each image of it, at that step; whatever the settings say is meant."""
    ended.canary(IMAGE, OTHER)
    ended.image = f"{NAME}@sha256:{'ef' * 32}"
    ended.said("rollout", "GO")
    assert set(ended.kept) == {("production", "rollout", 50, image, "GO") for image in (IMAGE, OTHER)}


def test_an_image_that_no_pod_runs_is_not_cleared(ended: Ended) -> None:
    """Its template may name it, and not be rolled out; a NO-GO is of both."""
    ended.canary(IMAGE, template=f"{NAME}@{OTHER}")
    ended.said("rollout", "GO")
    assert ended.kept == [("production", "rollout", 50, IMAGE, "GO")]
    ended.said("rollout", "NO-GO", 1)
    assert set(ended.kept) == {("production", "rollout", 50, image, "NO-GO") for image in (IMAGE, OTHER)}


def test_the_first_step_is_meant_where_none_was_named(ended: Ended) -> None:
    """As in the run itself."""
    ended.canary(IMAGE)
    ended.intent = Intent()
    ended.said("rollout", "GO")
    assert [row[2] for row in ended.kept] == [10]


def test_a_no_go_takes_the_place_of_the_go(ended: Ended) -> None:
    """Also where the pods could not be looked at: then the image that the template asks for is refused."""
    ended.canary(IMAGE)
    ended.said("rollout", "GO")
    ended.observe("clearances", None, "denied")
    ended.observe("canary", {"judged": {"image": f"{NAME}@{IMAGE}"}})
    said = ended.said("rollout", "NO-GO", 1)
    assert ended.kept == [("production", "rollout", 50, IMAGE, "NO-GO")]
    assert said.startswith("This NO-GO is kept: ")


def test_a_canary_that_is_gone_at_the_end_of_a_watch_is_refused(ended: Ended) -> None:
    """By the image of the newest look that saw it."""
    ended.canary(IMAGE)
    ended.said("rollout", "GO")
    for name in ("canary", "canary_pods", "clearances"):
        ended.observe(name, None, "no_data")
        ended.observe(name, None, "no_data", look="rounds/10000")
    ended.observe("clearances", {"images": {IMAGE: "pod chat-1"}}, look="rounds/9999")
    ended.observe("clearances", {"images": {OTHER: "pod chat-0"}}, look="rounds/0001")
    ended.said("rollout", "NO-GO", 10)
    assert ended.kept == [("production", "rollout", 50, IMAGE, "NO-GO")]


def test_a_canary_that_was_not_seen_is_neither_cleared_nor_refused(ended: Ended) -> None:
    """No digest is known, and that is said; what a rollout never reads is not blamed."""
    said = ended.said("rollout", "NO-GO", 10)
    assert "is kept for no image: no digest is known. No look saw what the canary runs" in said
    assert ended.kept == []


@pytest.mark.parametrize(
    ("phase", "verdict", "exit_code", "finding"),
    [
        ("preflight", "PARTIAL", 10, NOT_RUN),
        ("rollout", "PARTIAL", 10, HOLDS),
        ("preflight", "GO", 10, HOLDS),
        ("preflight", "NO-GO", 2, NOT_RUN),
        ("preflight", "NO-GO", 2, HOLDS),
        ("preflight", "NO-GO", 5, NOT_RUN),
        ("preflight", "NO-GO", 1, NOT_RUN),
        ("preflight", "NO-GO", 1, IN_PART),
        (None, None, 0, HOLDS),
        ("postdeploy", "GO", 0, HOLDS),
        ("rollback", "GO", 0, HOLDS),
        ("triage", "NO-GO", 1, FAILED),
    ],
)
def test_what_is_no_verdict_on_an_image_leaves_none(
    ended: Ended, phase: str | None, verdict: str | None, exit_code: int, finding: Finding
) -> None:
    """A run that was narrowed, mistyped or cut short least of all."""
    ended.canary(IMAGE)
    assert (ended.said(phase, verdict, exit_code, finding), ended.kept) == ("", [])


@pytest.mark.parametrize("exit_code", [1, 2])
def test_a_blocker_that_failed_revokes_however_little_was_run(ended: Ended, exit_code: int) -> None:
    """The run was stopped there, or narrowed to it: the image is no better for that."""
    ended.said("preflight", "GO")
    ended.said("preflight", "NO-GO", exit_code, FAILED, NOT_RUN)
    assert ended.kept == [("production", "preflight", None, IMAGE, "NO-GO")]


def test_a_replay_clears_nothing(ended: Ended) -> None:
    """It looked at nothing anew."""
    ended.replay = Path("run")
    assert (ended.said("preflight", "GO"), ended.kept) == ("", [])


def test_the_sandbox_clears_nothing(ended: Ended) -> None:
    """It proves nothing about a real service, whatever it is called."""
    ended.settings["sandbox"] = True
    assert (ended.said("preflight", "GO"), ended.kept) == ("", [])


def test_a_folder_that_cannot_be_written_is_told(ended: Ended) -> None:
    """The next step will not find it, so now is the time to know."""
    ended.clearances.write_text("")
    assert "is not kept" in ended.said("preflight", "GO")


def test_what_is_kept_is_what_is_read(ended: Ended) -> None:
    """The next step finds the very verdict."""
    ended.said("preflight", "GO")
    row = found(ended.clearances, "production", "preflight", None, IMAGE, datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert row is not None
    assert (row.verdict, row.run, row.made) == ("GO", "run", "2026-11-22T12:00:00.000Z")
