"""A diagnosis as it comes from a journal: whatever it holds, what is not known is shown as not known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.diagnosis import ROWS, diagnosis, told
from tests.reports import runs

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("changed", "headline"),
    [
        ({}, "P1, respond within 15 min: Mistral rejects the key"),
        ({"sure": "likely"}, "P1, respond within 15 min: Mistral rejects the key (likely)"),
        ({"sure": "certain"}, "P1, respond within 15 min: Mistral rejects the key (unknown)"),
        ({"severity": None, "respond": ""}, "severity not measured: Mistral rejects the key"),
        (
            {"diagnosis": "unknown", "sure": "unknown", "title": "Unknown: no answer names a cause"},
            "P1, respond within 15 min: Unknown: no answer names a cause",
        ),
        ({"diagnosis": "nothing-wrong", "title": "Nothing is wrong", "severity": None}, "Nothing is wrong"),
        ({"diagnosis": "nothing-wrong", "title": "Nothing is wrong", "severity": "P4"}, "Nothing is wrong"),
        (
            {"diagnosis": "nothing-wrong", "title": "Nothing is wrong", "sure": "likely", "severity": "P4"},
            "Nothing is wrong (likely)",
        ),
        (
            {"diagnosis": "nothing-wrong", "title": "Nothing is wrong", "severity": "P2", "respond": "1 h"},
            "P2, respond within 1 h: Nothing is wrong",
        ),
    ],
)
def test_the_headline_says_how_bad_what_and_how_sure(changed: dict[str, Any], headline: str) -> None:
    """No severity is not a low one, and nothing is sure that is not confirmed."""
    found = diagnosis(runs.TRIAGE | changed)
    assert found is not None
    assert found.headline == headline


@pytest.mark.parametrize("document", [None, {}, [], "key-rejected"])
def test_no_diagnosis_is_none(document: Any) -> None:
    """A killed run has none, and says nothing in its place."""
    assert diagnosis(document) is None
    assert told(diagnosis(document)) == {}


def test_what_is_empty_is_not_known() -> None:
    """A document without its parts is a diagnosis of nothing."""
    found = diagnosis({"version": 1})
    assert found is not None
    assert (found.id, found.sure, found.severity, found.actions) == ("unknown", "unknown", "", ())
    assert found.headline == "severity not measured: The cause is not known"
    assert told(found)["triage.severity"] == "not measured"


@settings(deadline=None)
@given(
    document=st.dictionaries(
        st.sampled_from([*runs.TRIAGE, "other"]), ANYTHING | st.lists(st.dictionaries(st.text(), ANYTHING)), min_size=1
    )
)
def test_anything_is_read(document: dict[str, Any]) -> None:
    """An incident is no time to stop at a form: every part is a text or a list of rows of texts."""
    found = diagnosis(document)
    assert found is not None
    assert found.sure in {"confirmed", "likely", "unknown"}
    assert isinstance(found.headline, str)
    assert all(isinstance(row.says + row.command, str) for row in found.actions)


def test_rows_without_end_are_cut() -> None:
    """A board is for reading; all of it is in report.json."""
    found = diagnosis({"path": [{"answer": str(number)} for number in range(1000)]})
    assert found is not None
    assert len(found.path) == ROWS
