"""Whether people were told of a rollback, over every world in which that must be said or cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks.rollback.told import test_the_team_was_told as told
from fixtures.intent import Intent
from fixtures.observation import CannotObserve
from fixtures.permission import Permission
from fixtures.sandbox.running import Running
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.notifications import SPECIMENS
from fixtures.sandbox.world import World, started
from fixtures.settings import Environment, load
from tests.checks.judging import ENVIRONMENTS, HEALTHY, Bench, bench, clients, look, noted

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {"RBK-004": told}
CHANNELS = {"slack", "pagerduty", "webhook"}


def test_a_healthy_world_is_told(bench: Bench) -> None:
    """All three receivers take the message."""
    assert bench.judged(CHECKS, HEALTHY)["RBK-004"].status == "passed"


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names(bench: Bench, specimen: Specimen) -> None:
    """The check says which receiver did not take it and what it said, or why nobody can tell."""
    found = bench.judged(CHECKS, specimen)["RBK-004"]
    assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
    assert specimen.message in found.message


@pytest.mark.parametrize("specimen", [row for row in SPECIMENS if row.scenario], ids=lambda specimen: specimen.name)
def test_no_address_and_no_key_is_in_what_is_said(bench: Bench, specimen: Specimen) -> None:
    """Neither message nor evidence holds a webhook's token or an integration key."""
    found = bench.judged(CHECKS, specimen)["RBK-004"]
    for secret in ("SandboxSlackToken", "SandboxHookToken", "0123456789abcdef0123456789abcdef", "Q9w8E7r6T5y4U3i2"):
        assert secret not in found.message + found.evidence


class Run:
    """Looks at one world, as one run after the other would: in an environment that is no sandbox."""

    def __init__(self, running: Running, folder: Path) -> None:
        overlay = {**running.settings, "sandbox": False, "tier": "staging"}
        self.environment: Environment = load("sandbox", ENVIRONMENTS, overlay=overlay)
        self.receivers = running.world.receivers
        self.folder = folder

    def seen(self, *, changes: bool = True, notify: bool = True, revision: int | None = 1) -> Any:
        found = clients(self.environment) | {
            **noted(self.folder),
            "permission": Permission(changes=changes),
            "intent": Intent(to_revision=revision, notify=notify),
        }
        return look("rollback_told", found)

    def states(self, **options: Any) -> set[tuple[str, str, bool]]:
        return {(one.channel, one.state, one.earlier) for one in self.seen(**options).deliveries}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with started(World(), tmp_path / "world") as running:
        yield Run(running, tmp_path / "run")


def test_nothing_is_sent_without_being_asked_for(run: Run) -> None:
    """Without --notify there are drafts, and no request to any receiver."""
    assert run.states(notify=False) == {(channel, "draft", False) for channel in CHANNELS}
    assert run.receivers.requests == []
    assert not run.environment.notifications.receipts.exists()  # type: ignore[union-attr] # the sandbox sets it


def test_nothing_is_sent_without_leave(run: Run) -> None:
    """--notify alone changes nothing: a run that may not alter the environment tells nobody."""
    run.seen(notify=False)  # the rollback itself, which takes leave
    assert run.states(changes=False, notify=True) == {(channel, "draft", False) for channel in CHANNELS}
    assert run.receivers.requests == []


def test_a_draft_is_what_would_be_sent(run: Run) -> None:
    """The file of the run's folder is the message but for what opens the way to the receiver."""
    run.seen()
    for channel, message in run.receivers.messages:
        drafted = json.loads((run.folder / "drafts" / f"rollback-{channel}.json").read_text())
        beside = {"routing_key", "dedup_key"} if channel == "pagerduty" else {"id"} if channel == "webhook" else set()
        assert {name: value for name, value in message.items() if name not in beside} == drafted
        assert beside <= message.keys()
        assert not beside & drafted.keys()


def test_nobody_is_told_twice(run: Run) -> None:
    """A second run finds the receipts, sends nothing, and is as sure as the first."""
    assert run.states() == {(channel, "accepted", False) for channel in CHANNELS}
    assert run.states() == {(channel, "accepted", True) for channel in CHANNELS}
    assert run.states(notify=False) == {(channel, "accepted", True) for channel in CHANNELS}
    assert sorted(channel for channel, _ in run.receivers.messages) == sorted(CHANNELS)


def test_what_was_refused_is_sent_again_when_asked(run: Run) -> None:
    """A receiver that took nothing gets the message from the next run, and the others do not get it again."""
    run.receivers.fault, run.receivers.fault_on = "403", {"/services"}
    assert ("slack", "refused", False) in run.states()
    run.receivers.fault = None
    assert run.states() == {
        ("slack", "accepted", False),
        ("pagerduty", "accepted", True),
        ("webhook", "accepted", True),
    }


def test_what_may_have_arrived_is_not_sent_again(run: Run) -> None:
    """Slack would show it twice; PagerDuty knows the key of what it has had."""
    run.receivers.fault = "closed"
    assert {state for _, state, _ in run.states()} == {"unknown"}
    run.receivers.fault = None
    assert run.states() == {
        ("slack", "unknown", True),
        ("pagerduty", "accepted", False),
        ("webhook", "unknown", True),
    }


def test_another_rollback_is_told_anew(run: Run) -> None:
    """The receipt of one rollback says nothing of the next one of the same Deployment."""
    run.seen()
    run.seen(revision=2, notify=False)
    found = run.seen(revision=2, notify=False)
    assert {one.state for one in found.deliveries} == {"draft"}
    assert "revision 3" in found.another
    assert found.event.number == 4


def test_where_nobody_went_back_there_is_nothing_to_tell(run: Run) -> None:
    """No draft, no message, and a reason."""
    found = run.seen(revision=None)
    assert "nobody has gone back" in found.nothing
    assert run.receivers.requests == []
    assert not (run.folder / "drafts").exists()


def test_a_receipt_that_was_edited_is_no_receipt(run: Run) -> None:
    """Nobody can tell then whether the message arrived, so it is neither a pass nor sent again."""
    run.seen()
    folder = run.environment.notifications.receipts
    assert folder is not None
    for file in folder.glob("*-slack.json"):
        file.write_text(file.read_text().replace('"accepted"', '"refused"'))
    found = next(one for one in run.seen().deliveries if one.channel == "slack")
    assert (found.state, found.gap.reason) == ("unknown", "malformed")
    assert sum(channel == "slack" for channel, _ in run.receivers.messages) == 1


def test_an_undo_that_cannot_be_seen_is_told_to_nobody(run: Run, tmp_path: Path) -> None:
    """What did not happen for certain is not announced."""
    with started(_denied(), tmp_path / "denied") as running:
        other = Run(running, tmp_path / "other")
        with pytest.raises(CannotObserve) as caught:
            other.seen()
        assert caught.value.reason == "denied"
        assert running.world.receivers.requests == []


def _denied() -> World:
    world = World()
    world.cluster.denied.add(("*", "*"))
    return world
