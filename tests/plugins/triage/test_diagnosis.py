"""What a night's evidence is diagnosed as: each diagnosis from a world of its own, and none without its evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.drills.lag import Lag
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.triage import DIAGNOSES, SPECIMENS
from fixtures.sandbox.world import World
from plugins.aftermath import before_end
from plugins.triage.answers import ASKED
from plugins.triage.tree import tree
from tests.plugins.triage.nights import Night, night

WITHOUT_WORLD = {"unreachable-tls", "unreachable-egress", "unreachable-proxy"}
"""Diagnoses of which a form needs a network of its own: see tests/real/test_triage.py."""


def _by_name(specimen: Specimen) -> str:
    return specimen.name


@pytest.mark.parametrize("specimen", SPECIMENS, ids=_by_name)
def test_a_world_leads_to_its_diagnosis_by_answers_of_its_own(specimen: Specimen, tmp_path: Path) -> None:
    """The diagnosis and how sure it is; each step of the path rests on a file, and without these it is not reached."""
    assert specimen.mutate is not None
    found = night(tmp_path, specimen.mutate)
    document = found.document()
    assert (document["diagnosis"], document["sure"]) == DIAGNOSES[specimen.name], document["path"]
    assert document["title"]
    assert document["path"]
    for step in document["path"]:
        assert step["question"]
        assert step["answer"]
        assert (found.folder / step["evidence"]).is_file()
    for evidence in {step["evidence"] for step in document["path"]}:
        (found.folder / evidence).unlink()
    after = found.document()["diagnosis"]
    assert after == "unknown" or after != document["diagnosis"]


def test_a_healthy_world_is_nothing_wrong_and_no_incident(tmp_path: Path) -> None:
    """All four questions were answered, so it is confirmed, and there is no severity to speak of."""
    document = night(tmp_path).document()
    assert (document["diagnosis"], document["sure"], document["severity"]) == ("nothing-wrong", "confirmed", None)
    assert document["unasked"] == []
    assert "calls failed in 5 min" in document["why"]


def test_a_window_of_seconds_is_told_in_seconds(tmp_path: Path) -> None:
    """And not as a part of a minute."""

    def short(world: World) -> None:
        world.settings["traffic"] = {"window": 20.0}

    assert "calls failed in 20 s" in night(tmp_path, short).document()["why"]


@pytest.mark.parametrize("name", ASKED)
def test_nothing_is_confirmed_fine_that_was_not_asked(name: str, tmp_path: Path) -> None:
    """A healthy world with one question unasked is not "nothing wrong, confirmed"; what was not asked is told."""
    found = night(tmp_path)
    found.without(name)
    document = found.document()
    assert (document["diagnosis"], document["sure"]) != ("nothing-wrong", "confirmed")
    assert ASKED[name] in [row["what"] for row in document["unasked"]]


@pytest.mark.parametrize("diagnosis", sorted(tree().titles))
def test_every_diagnosis_has_a_world_that_leads_there(diagnosis: str) -> None:
    """A branch that nothing reaches would be a promise that nobody has seen kept."""
    led = {diagnosis for diagnosis, _ in DIAGNOSES.values()}
    assert diagnosis in led | WITHOUT_WORLD


def _down(*names: str) -> object:
    def mutate(world: World) -> None:
        for name in names:
            world.peers[name].fault = "down"

    return mutate


PEERS = {
    "provider": "unreachable-tcp",
    "service": "service-down",
    "prometheus": "metrics-blind",
    "kubernetes": "nothing-wrong",
}


@pytest.mark.parametrize(("peer", "diagnosis"), PEERS.items())
def test_one_peer_down_is_told_from_another(peer: str, diagnosis: str, tmp_path: Path) -> None:
    """One source less never becomes somebody else's fault."""
    document = night(tmp_path, _down(peer)).document()  # type: ignore[arg-type] # a mutation
    assert diagnosis in [document["diagnosis"], *(row["diagnosis"] for row in document["also"])]
    if peer == "kubernetes":
        assert document["sure"] == "likely"


def test_everything_down_is_no_cause_but_a_hint_at_the_connection(tmp_path: Path) -> None:
    """Where nothing at all answers, no peer is blamed, and all that could not be asked is told with its remedy."""
    document = night(tmp_path, _down("provider", "service", "prometheus", "kubernetes")).document()  # type: ignore[arg-type] # a mutation
    assert (document["diagnosis"], document["sure"]) == ("unknown", "unknown")
    assert "your own connection" in document["title"]
    assert document["severity"] is None
    assert "says nothing of users" in document["why"]
    assert document["also"] == []
    assert {row["what"] for row in document["unasked"]} >= {"Prometheus", "the pods and their logs"}
    assert all(row["remedy"] for row in document["unasked"])


def test_nothing_of_ours_in_reach_is_a_hint_at_the_connection_though_mistral_answers(tmp_path: Path) -> None:
    """As it looks with the VPN off: users may well be served."""
    document = night(tmp_path, _down("service", "prometheus", "kubernetes")).document()  # type: ignore[arg-type] # a mutation
    assert (document["diagnosis"], document["severity"], document["also"]) == ("unknown", None, [])
    assert "your own connection" in document["title"]
    assert document["actions"][0]["says"].startswith("If nothing of ours answers from here")
    assert "undo" not in str(document["actions"])


def _scaled_to_0(world: World) -> None:
    world.cluster.deployment["spec"]["replicas"] = 0


def _deleted(world: World) -> None:
    world.cluster.remove(world.cluster.deployment)


@pytest.mark.parametrize(
    ("mutate", "title", "command"),
    [
        (_scaled_to_0, "Our service is down: its Deployment is scaled to 0", "scale deployment/chat"),
        (_deleted, "Our service is down: its Deployment is not there", "get deployments"),
    ],
)
def test_a_deployment_without_a_pod_to_undo_is_not_undone(
    mutate: Callable[[World], None], title: str, command: str, tmp_path: Path
) -> None:
    """What is to be done is what helps there; that there is none is an answer."""
    document = night(tmp_path, _down("service"), mutate).document()  # type: ignore[arg-type] # a mutation
    assert (document["title"], document["sure"], document["severity"]) == (title, "confirmed", "P1")
    assert command in document["actions"][0]["command"]
    assert "undo" not in str(document["actions"])
    assert "the pods and their logs" not in [row["what"] for row in document["unasked"]]


def test_a_second_fault_is_told_with_its_page_and_what_follows_is_no_news_for_users(tmp_path: Path) -> None:
    """A key that is rejected, and a service that is down: each is to be mended by a page of its own."""

    def rejected(world: World) -> None:
        world.provider.fault = "401"

    document = night(tmp_path, _down("service", "prometheus"), rejected).document()  # type: ignore[arg-type] # a mutation
    assert document["diagnosis"] == "key-rejected"
    also = {row["diagnosis"]: (row["sure"], row["runbook"], bool(row["public"])) for row in document["also"]}
    assert also == {
        "service-down": ("confirmed", "runbook/service-down.md", True),
        "metrics-blind": ("confirmed", "runbook/metrics-blind.md", False),
    }


def test_where_no_pod_writes_a_log_the_logs_are_what_could_not_be_asked(tmp_path: Path) -> None:
    """So that the last line can name it, with a command that has the names in."""

    def removed(world: World) -> None:
        for pod in world.cluster.all("Pod"):
            world.cluster.remove(pod)

    document = night(tmp_path, removed).document()
    assert (document["diagnosis"], document["sure"]) == ("nothing-wrong", "likely")
    assert [(row["what"], row["reason"]) for row in document["unasked"]] == [("the pods' logs", "no_data")]
    assert "kubectl --context sandbox get pods,events -n chat" in document["unasked"][0]["remedy"]


def test_no_command_is_for_a_cluster_that_is_not_this_environment_s(tmp_path: Path) -> None:
    """Where the context leads elsewhere, whoever is on call must say which is meant."""
    elsewhere = {"servers": ["https://elsewhere.example:6443"]}
    document = night(tmp_path, lambda world: world.settings.update(kubernetes=elsewhere)).document()
    commands = [row["command"] for row in document["actions"] if "kubectl" in row["command"]]
    assert commands
    assert all("--context {context} " in command for command in commands)
    assert [row["reason"] for row in document["unasked"]] == ["not_configured"]


def _silent(world: World) -> None:
    for peer in world.peers.values():
        peer.fault = "hang"


def test_everything_silent_is_answered_within_the_deadline(tmp_path: Path) -> None:
    """Each look ends by itself, with what it could tell, when every peer takes the call and says nothing."""
    with Lag() as lag:
        began = time.monotonic()
        found = night(tmp_path, _silent)
        late = lag.within(began, time.monotonic())
    document = found.document()
    assert (document["diagnosis"], document["sure"]) == ("unknown", "unknown")
    assert "your own connection" in document["title"]
    for name in ASKED:
        taken = json.loads((found.folder / "observations" / f"{name}.json").read_text())["duration"]
        assert taken < 6 + late


def test_a_run_without_evidence_is_unknown(tmp_path: Path) -> None:
    """A run that was cut short has a diagnosis too: that nothing is known, and why."""
    found = night(tmp_path)
    for name in ASKED:
        found.without(name)
    document = found.document()
    assert (document["diagnosis"], document["severity"]) == ("unknown", None)
    assert {step["question"] for step in document["path"]} == {"Can Prometheus be asked?", "Can the cluster be asked?"}
    assert len(document["unasked"]) == len(ASKED)
    assert document["why"] == "not measured: how many calls fail and what a message comes to"


def test_edited_evidence_is_no_evidence(tmp_path: Path) -> None:
    """A file whose hash does not fit answers nothing."""
    found = night(tmp_path, _down("provider"))  # type: ignore[arg-type] # a mutation
    file = found.folder / "observations" / "mistral_reply.json"
    file.write_text(file.read_text().replace('"refused"', '"ok"'))
    document = found.document()
    assert document["diagnosis"] != "unreachable-tcp"
    assert "malformed" in [row["reason"] for row in document["unasked"]]


def test_a_diagnosis_that_crashes_is_told_and_costs_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on to its end with a document that says so."""
    found: Night = night(tmp_path)
    monkeypatch.setattr("plugins.triage.diagnosis.answers", lambda *_: 1 / 0)
    document = before_end(found.opening, "triage")
    assert document is not None
    assert document["diagnosis"] == "unknown"
    assert "ZeroDivisionError" in document["unasked"][0]["message"]


@pytest.mark.parametrize("phase", ["preflight", "postdeploy", "rollout", "rollback", None])
def test_only_triage_has_a_diagnosis(phase: str | None, tmp_path: Path) -> None:
    """Other phases ask other questions."""
    assert before_end(night(tmp_path).opening, phase) is None
