"""Every diagnosis from a real fault, and none without its evidence: what incidents.py brings about, met for real."""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.observation import OBSERVATIONS, CannotObserve, Evidence, unseen
from fixtures.observation import Seen as Outcome
from plugins.triage.answers import ASKED, answers
from plugins.triage.tree import tree
from tests.plugins.triage.nights import Night
from tests.real import diagnoses
from tests.real.diagnoses import PAGE, Seen, line, shown
from tests.real.egress import Network
from tests.real.incidents import INCIDENTS, Incident, confine, restricted
from tests.real.scene import Scene

pytestmark = pytest.mark.real

Meet = Callable[[Incident], Seen]
BY_NAME = {incident.name: incident for incident in INCIDENTS}
EACH = pytest.mark.parametrize("incident", INCIDENTS, ids=list(BY_NAME))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Scene(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest.fixture(scope="module")
def meet(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Meet:
    """What triage makes of an incident, which is brought about once."""
    return functools.cache(lambda incident: diagnoses.seen(incident, scene, tmp_path_factory.mktemp("run")))


def test_every_diagnosis_is_of_some_real_fault() -> None:
    """None is in the tree by imagination alone."""
    assert {incident.diagnosis for incident in INCIDENTS} == set(tree().titles)


@EACH
def test_a_real_fault_leads_to_its_diagnosis(incident: Incident, meet: Meet) -> None:
    """As sure as its answers make it."""
    found = meet(incident)
    assert found.verdict == (incident.diagnosis, incident.sure), found.document


@EACH
def test_without_one_of_its_answers_it_is_not_as_sure(incident: Incident, meet: Meet) -> None:
    """Each that decided is needed, but for those beside which another says the same."""
    found = meet(incident)
    same = {question for question in found.deciding if found.without(question) == found.verdict}
    assert same == incident.still
    assert incident.sure != "confirmed" or found.without(*found.deciding) != found.verdict


SOURCES = [incident for incident in INCIDENTS if incident.diagnosis not in {"metrics-blind", "unknown"}]
"""Those that rest on something that was answered; the others rest on what was not."""


@pytest.mark.parametrize("incident", SOURCES, ids=[incident.name for incident in SOURCES])
def test_where_what_told_of_it_is_denied_it_is_not_stated(incident: Incident, meet: Meet, tmp_path: Path) -> None:
    """The same evidence without the looks that the diagnosis rests on: they are told as not asked."""
    found = meet(incident)
    told = {Path(row["evidence"]).stem for row in found.document["path"]}
    poorer = without(found.night, told, tmp_path)
    assert (poorer["diagnosis"], poorer["sure"]) != found.verdict
    assert poorer["sure"] != "confirmed" or incident.diagnosis != poorer["diagnosis"]
    assert {ASKED[name] for name in told} <= {row["what"] for row in poorer["unasked"] if row["reason"] == "denied"}


def without(night: Night, looks: set[str], folder: Path) -> dict[str, Any]:
    """The diagnosis from the evidence of a night in which these looks were denied."""
    kept = Evidence(folder, lambda document: document)
    for name in ASKED:
        if name in looks:
            kept.recorded(OBSERVATIONS[name], functools.partial(_denied, name))
        else:
            shutil.copy(night.folder / "observations" / f"{name}.json", kept.folder)
    return Night(replace(night.opening, folder=folder)).document()


def _denied(name: str) -> Outcome:
    return unseen(name, CannotObserve("denied", "nobody may ask", remedy="Allow it."), time.monotonic())


@EACH
def test_the_page_shows_what_was_seen(incident: Incident, meet: Meet) -> None:
    """Its row in the table of docs/triage.md; `python -m tests.real.diagnoses write` makes the table anew."""
    assert line(incident, meet(incident)) == dict(zip(BY_NAME, shown(PAGE.read_text()), strict=True))[incident.name]


def test_with_a_rule_for_mistral_the_policy_lets_the_service_through(scene: Scene, meet: Meet, tmp_path: Path) -> None:
    """It was what kept the calls in: nothing else is different."""
    assert meet(BY_NAME["policy"]).found.facts["upstream"].value == "unhealthy"
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        confine(scene, stack, network)
        rule = {"to": [{"ipBlock": {"cidr": f"{network.outside}/32"}}]}
        network.enforce(restricted(scene, rule))
        night = scene.looked(tmp_path, "confined")
    found = answers(night.folder, night.opening.environment, tree()).facts
    assert (found["upstream"].value, found["users"].value) == ("healthy", "served")
    assert night.document()["diagnosis"] != "unreachable-egress"


def test_a_key_that_rbac_hides_is_not_said_to_be_rejected(scene: Scene, tmp_path: Path) -> None:
    """Mistral refuses the call without a key, which says nothing of the key; what could not be asked is told."""
    changes = {**BY_NAME["key"].made(scene, ExitStack()), "kubernetes": scene.cluster("well", "nobody")}
    found = scene.looked(tmp_path, "well", changes).document()
    assert (found["diagnosis"], found["sure"]) == ("nothing-wrong", "likely"), found
    unasked = {row["what"]: row["reason"] for row in found["unasked"]}
    assert unasked["Mistral with our key"] == unasked["the pods and their logs"] == "denied"


def test_triage_goes_on_where_rbac_hides_the_pods(meet: Meet) -> None:
    """The cause is told by what could be asked, and so is what could not."""
    found = meet(BY_NAME["rbac-key"]).document
    (row,) = [row for row in found["unasked"] if row["what"] == "the pods and their logs"]
    assert (row["reason"], "deployments.apps" in row["message"]) == ("denied", True)


def test_without_prometheus_the_log_makes_an_own_bug_likely_and_no_more(scene: Scene, tmp_path: Path) -> None:
    """What the service counted is gone; what it wrote is there."""
    scene.prometheus.stop()
    try:
        found = scene.looked(tmp_path, "disorderly").document()
    finally:
        scene.prometheus.start()
    assert (found["diagnosis"], found["sure"]) == ("own-bug", "likely"), found
    assert [other["diagnosis"] for other in found["also"]] == ["metrics-blind"]
