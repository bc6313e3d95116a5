"""Telling people, as a user would: drafts without leave, one message with it, and no address in what is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from fixtures.notifications.channels import ROUTES, configured
from fixtures.notifications.drafting import CHANNELS
from fixtures.notifications.receipts import Receipt, State
from fixtures.notifications.telling import _ends
from fixtures.sandbox.running import Running
from fixtures.sandbox.specimens.notifications import EVENT
from fixtures.sandbox.world import World, started
from fixtures.settings import load
from tests import warm
from tests.environments import ROOT, environments

ASKED = ("--allow-changes", "--to-revision", "1")


class Desk:
    """Somebody who undoes a deployment in staging, one run after the other."""

    def __init__(self, running: Running, folder: Path) -> None:
        self.receivers = running.world.receivers
        self.folder = folder
        self._config = environments(folder / "config", {**running.settings, "tier": "staging"}, "staging")
        self.printed = ""

    def run(self, name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        folder = self.folder / name
        command = ["-m", "rollback", f"--run-dir={folder}", *arguments]
        if "--replay" not in arguments:
            command += ["--env", "staging", f"--config={self._config}"]
        code, printed = warm.run(command, timeout=120)
        self.printed += printed
        report = folder / "report.json"
        return code, json.loads(report.read_text()) if report.exists() else {}

    def told(self) -> list[str]:
        return sorted(channel for channel, _ in self.receivers.messages)

    def written(self) -> str:
        files = [file for file in self.folder.rglob("*") if file.is_file() and "world" not in file.parts]
        return "".join(file.read_text("utf-8", "replace") for file in files)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with started(World(), tmp_path / "world") as running:
        yield Desk(running, tmp_path)


def _status(report: dict[str, Any]) -> str:
    return next(str(row["status"]) for row in report["findings"] if row["id"] == "RBK-004")


def test_people_are_told_once_and_every_later_run_knows(desk: Desk) -> None:
    """Drafts without --notify; three messages with it, from two processes; none from a later run or a replay."""
    code, report = desk.run("1", *ASKED)
    assert (code, _status(report), desk.told()) == (1, "failed", []), desk.printed
    assert (desk.folder / "1" / "drafts" / "rollback-slack.json").exists()
    code, report = desk.run("2", *ASKED, "--notify", "-n", "2")
    assert (code, _status(report), report["verdict"]) == (0, "passed", "GO"), desk.printed
    everybody = ["pagerduty", "slack", "webhook"]
    assert desk.told() == everybody
    for name, arguments in (("3", (*ASKED, "--notify")), ("4", ()), ("5", ("--replay", str(desk.folder / "2")))):
        code, report = desk.run(name, *arguments)
        assert (code, _status(report), desk.told()) == (0, "passed", everybody), desk.printed
    state = desk.receivers
    for secret in (state.slack_token, state.webhook_token, state.routing_key):
        assert secret not in desk.written() + desk.printed


def test_telling_takes_leave(desk: Desk) -> None:
    """--notify without --allow-changes is refused before anything is asked."""
    code, report = desk.run("1", "--notify")
    assert (code, report) == (4, {})
    assert "--allow-changes --notify" in desk.printed
    assert desk.receivers.requests == []


@pytest.mark.parametrize("phase", ["triage", "rollout", "postdeploy", "preflight"])
def test_only_a_rollback_is_told(desk: Desk, phase: str) -> None:
    """Elsewhere the option would do nothing, and somebody would rely on it."""
    code, _ = desk.run("1", "-m", phase, "--allow-changes", "--notify")
    assert code == 4
    assert f"--notify: {phase} tells nobody" in desk.printed


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('slack_webhook = "https://hooks.example.com/services/T0/B0/abcdefgh"', "text of 49 characters"),
        ('webhook = "hook"', "text of 4 characters"),
        ("attempts = 0", "the number 0"),
        ("patience = 3600", "the number 3600"),
        ('slack = "env://SLACK"', "an unknown key"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_without_being_shown(tmp_path: Path, line: str, found: str) -> None:
    """An address that was pasted in place of its reference is a secret by then: where, and how long, is all."""
    folder = tmp_path / "environments"
    folder.mkdir()
    (folder / "base.toml").write_text('[service]\nname = "chat"\n')
    (folder / "staging.toml").write_text(f'tier = "staging"\n[notifications]\n{line}\n')
    code, printed = warm.run(["-m", "rollback", "--env", "staging", f"--config={folder}"], timeout=60)
    assert code == 4
    assert f"staging.toml: notifications.{line.split()[0]}: found {found}" in printed
    assert "abcdefgh" not in printed


# The page about it


PAGE = (ROOT / "docs" / "notifications.md").read_text("utf-8")


def test_the_settings_of_the_page_load(tmp_path: Path) -> None:
    """As they stand there."""
    block = PAGE.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "base.toml").write_text('[service]\nname = "chat"\n')
    (tmp_path / "staging.toml").write_text(f'tier = "staging"\n{block}')
    found = load("staging", tmp_path, variables={}).notifications
    assert [route.channel for route in configured(load("staging", tmp_path, variables={}))] == list(CHANNELS)
    assert found.receipts == tmp_path / "records" / "notifications"


def test_the_page_names_every_state_and_its_end() -> None:
    """The states that a receipt can have, and which of them are sent again."""
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| ") and "state" not in line]
    again = {cells[0].strip(): cells[2].strip() for cells in rows if len(cells) == 3}
    assert set(again) == set(get_args(State))
    for state, says in again.items():
        receipt = Receipt(event=EVENT, channel="slack", host="h", state=state, at="", text_sha256="")  # type: ignore[arg-type] # it is one
        ends = {route.channel for route in ROUTES if _ends(receipt, route)}
        told = {"sends nothing": set(CHANNELS), "sends it again": set()}
        assert ends == told.get(says, {"slack", "webhook"})
