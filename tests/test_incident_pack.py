"""--bundle: what a run leaves for those who must understand a night, whatever could be had of it."""

from __future__ import annotations

import json
import signal
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.sandbox.world import World, started
from reports.__main__ import main as command
from reports.bundle.archive import NAME
from tests import foreground
from tests.environments import environments
from tests.test_planted_secrets import canary, traces
from tests.warm import run


@dataclass(frozen=True)
class Packed:
    """A run and its pack."""

    code: int
    printed: str
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / NAME

    @property
    def members(self) -> dict[str, bytes]:
        with zipfile.ZipFile(self.file) as pack:
            return {name: pack.read(name) for name in pack.namelist()}

    @property
    def manifest(self) -> dict[str, Any]:
        return dict(json.loads(self.members["manifest.json"]))

    @property
    def missing(self) -> dict[str, str]:
        return {row["what"]: row["reason"] for row in self.manifest["missing"]}


def packed(folder: Path, phase: str, *mutations: Callable[[World], object], options: tuple[str, ...] = ()) -> Packed:
    """A run of a phase with --bundle at a world of its own."""
    world = World()
    for mutate in mutations:
        mutate(world)
    with started(world, folder / "world") as running:
        config = environments(folder / "config", running.settings)
        run_folder = folder / "runs" / "night"
        arguments = ["-m", phase, "--env", "bench", f"--config={config}", f"--run-dir={run_folder}", *options]
        code, printed = run([*arguments, "--bundle"], timeout=150)
    return Packed(code, printed, run_folder)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A triage in which everything could be had, and the service logged."""

    def logged(world: World) -> None:
        for number in range(3):
            world.log("error", f"no answer from Mistral {number}", status=503)

    return packed(tmp_path_factory.mktemp("night"), "triage", logged)


def test_the_pack_holds_answers_evidence_logs_metrics_events_settings_and_changes(night: Packed) -> None:
    """And nothing is missing."""
    members = night.members
    assert night.missing == {}, night.printed
    for path in ("run/report.json", "run/report.html", "run/observations/error_log.json", "run/journal.jsonl"):
        assert members[path] == (night.folder / path.removeprefix("run/")).read_bytes()
    logs = b"".join(data for path, data in members.items() if path.startswith("logs/"))
    assert logs.count(b"no answer from Mistral") == 3
    for name in ("requests", "errors", "latency", "circuit"):
        assert members[f"metrics/{name}.csv"].count(b"\n") > 100
        assert members[f"metrics/{name}.svg"].startswith(b"<svg")
    assert json.loads(members["events.json"]) == []
    assert json.loads(members["configuration.json"])["kubernetes"]["deployment"] == "chat"
    changed = [row["what"] for row in json.loads(members["timeline.json"])]
    for what in ("first rollout of revision 2", "Secret chat/mistral was made", "container chat started"):
        assert any(what in row for row in changed), changed
    assert any("this suite, triage" in row for row in changed), changed


def test_the_run_says_where_the_pack_lies_and_how_large_it_is_after_its_answers(night: Packed) -> None:
    """It is the last thing that is made: the answers and the verdict stand above it."""
    answers, _, pack = night.printed.partition("making the incident pack")
    assert "NO-GO: " in answers
    assert "ASKED" in answers
    assert f"{night.folder.name}/{NAME} (" in pack
    assert "kB" in pack


def test_the_pack_and_the_run_s_folder_verify(night: Packed, capsys: pytest.CaptureFixture[str]) -> None:
    """The manifest of the run knows the pack, that of the pack each of its files."""
    assert command(["verify", str(night.file)]) == 0
    assert command(["verify", str(night.folder)]) == 0
    assert "matches its manifest" in capsys.readouterr().out


def test_the_page_shows_charts_changes_and_every_file(night: Packed) -> None:
    """index.html is where a reader begins."""
    page = night.members["index.html"].decode()
    assert page.count("<svg") == 4
    assert "Deployment chat/chat: first rollout" in page
    assert all(f'href="{path}"' in page for path in night.members if path not in ("index.html", "manifest.json"))


def test_a_rollback_leaves_drafts_that_name_no_cause(tmp_path: Path) -> None:
    """It diagnoses nothing, so nothing is confirmed; the timeline and the facts are filled in all the same."""
    found = packed(tmp_path, "rollback")
    drafts = {path: data.decode() for path, data in found.members.items() if path.startswith("drafts/")}
    assert drafts.keys() == {"drafts/slack.md", "drafts/status-page.md", "drafts/postmortem.md"}, found.printed
    assert all("The cause is not confirmed yet." in text for text in drafts.values())
    assert "first rollout of revision 1" in drafts["drafts/postmortem.md"]
    assert "RBK-" in drafts["drafts/postmortem.md"]


def _down(world: World) -> None:
    for peer in world.peers.values():
        peer.fault = "down"


def test_a_pack_is_made_where_everything_is_down_and_says_what_is_missing(tmp_path: Path) -> None:
    """Each source by its name with its reason; nothing that could not be had looks empty in place of it."""
    found = packed(tmp_path, "triage", _down)
    assert command(["verify", str(found.file)]) == 0
    expected = {"the logs", "the events of the namespace", "the alerts", "the metric requests", "the metric errors"}
    expected |= {"the metric latency", "the metric circuit", "what changed: the rollouts", "what changed: the key"}
    assert {what for what, reason in found.missing.items() if reason == "unreachable"} >= expected
    assert "the value of k8s://vault/mistral#api-key, to mask it" in found.missing
    paths = set(found.members)
    assert not {path for path in paths if path.startswith(("logs/", "metrics/", "events"))}
    assert {"run/report.json", "configuration.json", "drafts/slack.md"} <= paths
    assert "without the value of k8s://vault/mistral#api-key, to mask it" in " ".join(found.printed.split())


def test_peers_that_hang_cost_the_pack_its_deadline_and_no_more(tmp_path: Path) -> None:
    """And it is made all the same."""

    def hang(world: World) -> None:
        for peer in world.peers.values():
            peer.fault = "hang"
        world.settings["bundle"] = {"deadline": 3.0}

    found = packed(tmp_path, "triage", hang)
    assert "timeout" in found.missing.values()
    assert "run/report.json" in found.members, found.printed


def test_ctrl_c_ends_the_pack_and_not_the_run(tmp_path: Path) -> None:
    """Whoever does not want to wait has the answers already: the verdict stays what it was, however often it comes."""
    world = World()
    world.peers["prometheus"].fault = "hang"
    world.settings["bundle"] = {"deadline": 100.0}
    with started(world, tmp_path / "world") as running:
        config = environments(tmp_path / "config", running.settings)
        folder = tmp_path / "night"
        options = ["-m", "triage", "--env", "bench", f"--config={config}", f"--run-dir={folder}", "--bundle"]
        process = foreground.started(options)
        assert process.stdout is not None
        for line in process.stdout:
            if "making the incident pack" in line:
                break
        for _ in range(3):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
        printed, _ = process.communicate(timeout=60)
    report = json.loads((folder / "report.json").read_text())
    assert process.returncode == report["exit_code"]
    assert printed.rstrip().splitlines()[-1] == "The incident pack was not made: it was stopped."
    assert not [file for file in folder.iterdir() if NAME in file.name]


def test_a_right_that_is_lacking_is_named_and_costs_only_what_it_is_for(tmp_path: Path) -> None:
    """The events may not be read: the logs are there."""

    def denied(world: World) -> None:
        world.cluster.denied.add(("list", "events"))
        world.log("info", "still here")

    found = packed(tmp_path, "postdeploy", denied)
    assert found.missing["the events of the namespace"] == "denied"
    assert any(b"still here" in data for path, data in found.members.items() if path.startswith("logs/"))


def test_no_secret_is_in_the_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is known by its value or by its looks, plain, encoded or in the middle of a log."""
    planted = {name: canary() for name in ("key", "token", "bearer")}

    def plant(world: World) -> None:
        world.rotate(planted["key"])
        said = f"Authorization: Bearer {planted['bearer']}; key {planted['key']} token {planted['token']}"
        world.log("error", said)
        for pod in world.cluster.pods:
            world.cluster.logs[f"{pod['metadata']['name']}/chat"] = [
                "x" * 65_500 + f" {said}",
                f"\x1b[31m{planted['key'][:9]}\x1b[0m{planted['key'][9:]}",
                said.encode("utf-16-le"),
            ]
        world.cluster.objects.append(_event(f"pulled with {said}"))
        for rule in world.prometheus.groups[0]["rules"]:
            rule["annotations"]["summary"] = said
        labels = {"job": "chat", "type": planted["key"], "instance": "10.42.0.11:3000"}
        world.prometheus.series["mistral_errors_total"].append((labels, 40.0))

    monkeypatch.setenv("CHAT_TOKEN", planted["token"])
    found = packed(tmp_path, "triage", plant)
    for path, data in found.members.items():
        assert list(traces(f"{path}\n{data.decode('utf-8', 'replace')}", planted)) == [], path
    assert found.manifest["masked"] > 3
    assert "..." in "".join(data.decode() for path, data in found.members.items() if path.startswith("logs/"))
    assert any("pulled with" in str(row) for row in json.loads(found.members["events.json"]))


def _event(message: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "chat.1", "namespace": "chat", "creationTimestamp": "2026-11-23T01:00:00Z"},
        "type": "Warning",
        "reason": "Failed",
        "message": message,
        "involvedObject": {"kind": "Pod", "name": "chat-1"},
        "lastTimestamp": "2026-11-23T01:00:00Z",
        "count": 4,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-m", "preflight"], "--bundle: it goes with -m triage, rollback, rollout, postdeploy; found preflight"),
        (["checks/triage"], "found no phase"),
    ],
)
def test_a_pack_of_a_phase_that_looks_at_nothing_deployed_is_refused(arguments: list[str], said: str) -> None:
    """Before anything is asked."""
    code, printed = run([*arguments, "--env", "sandbox", "--bundle"], timeout=60)
    assert (code, said in printed) == (4, True), printed


def test_a_replay_makes_no_pack(night: Packed, tmp_path: Path) -> None:
    """It looks at nothing anew: asked for one it refuses, and of a run that made one it makes none."""
    code, printed = run(["-m", "triage", f"--replay={night.folder}", "--bundle"], timeout=60)
    assert (code, "--replay and --bundle" in printed) == (4, True), printed
    run(["-m", "triage", f"--replay={night.folder}", f"--run-dir={tmp_path / 'again'}"], timeout=60)
    assert (tmp_path / "again" / "report.json").exists()
    assert not (tmp_path / "again" / NAME).exists()
