"""The closed world holds together: catalogue, checks, observations and specimens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fixtures.observation import OBSERVATIONS
from fixtures.sandbox.specimen import Specimen, load
from plugins.catalogue import Catalogue, discover
from reports.model import Entry

ROOT = Path(__file__).resolve().parents[1]
CATALOGUE = Catalogue.load(ROOT / "checks" / "catalogue.json")
SPECIMENS = load()
ENTRIES = [pytest.param(entry, id=entry.id) for entry in CATALOGUE.entries.values()]
LOOKS = [pytest.param(name, id=name) for name in OBSERVATIONS]


def _of(entry: Entry) -> list[Specimen]:
    return [specimen for specimen in SPECIMENS if entry.id in specimen.breaks]


def test_the_committed_catalogue_is_current() -> None:
    """`python -m plugins.catalogue` would change nothing."""
    assert discover(ROOT).dump() == (ROOT / "checks" / "catalogue.json").read_text("utf-8")


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_check_can_be_made_to_fail(entry: Entry) -> None:
    """A check that no specimen makes fail proves nothing."""
    assert [specimen.name for specimen in _of(entry) if specimen.status == "failed"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_check_can_be_blinded(entry: Entry) -> None:
    """Where it cannot look it says so, with a reason."""
    assert [specimen.reason for specimen in _of(entry) if specimen.status == "unverified"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_claim_is_a_sentence_and_a_remedy_ends_in_something_to_paste(entry: Entry) -> None:
    """A service owner reads the claim; the one on call pastes the remedy."""
    assert entry.claim.endswith(".")
    assert entry.claim[0].isupper()
    assert re.search(r"^( {4}\S|```)", entry.remedy, re.MULTILINE), f"nothing to paste in: {entry.remedy}"


@pytest.mark.parametrize("name", LOOKS)
def test_an_observation_names_its_checks(name: str) -> None:
    """`git grep INF-002` finds what it looks at: a docstring ends in the ids of the checks that stand on it."""
    doc = OBSERVATIONS[name].body.__doc__ or ""
    users = {entry.id for entry in CATALOGUE.entries.values() if name in entry.observations}
    named = set(re.findall(r"[A-Z]{3}-\d{3}", doc.strip().splitlines()[-1]))
    assert users <= named <= CATALOGUE.entries.keys()


@pytest.mark.parametrize("specimen", [pytest.param(row, id=row.name) for row in SPECIMENS])
def test_a_specimen_names_checks_that_exist(specimen: Specimen) -> None:
    """Ids of the catalogue, of the specimen's own phase."""
    phases = {CATALOGUE.entries[id_].phase for id_ in specimen.breaks}
    assert phases == {specimen.phase}


def test_what_was_selected_is_told_in_the_order_of_the_catalogue() -> None:
    """Whatever the order in which checks are collected, their findings stand where readers look for them."""
    tests = [row.test for row in CATALOGUE.entries.values()]
    assert list(CATALOGUE.selected(reversed(tests))) == list(CATALOGUE.entries)
    parametrized = next(row for row in CATALOGUE.entries.values() if len(row.parameters) > 2)
    nodeids = [f"{parametrized.test}[{name}]" for name in parametrized.parameters]
    assert CATALOGUE.selected(reversed(nodeids))[parametrized.id].parameters == parametrized.parameters
    assert CATALOGUE.selected(nodeids[2:1:-1])[parametrized.id].parameters == parametrized.parameters[2:3]
