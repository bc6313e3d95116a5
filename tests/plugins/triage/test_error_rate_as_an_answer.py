"""What a share of failing calls is worth: of few of them it measures nothing."""

from __future__ import annotations

import pytest

from fixtures.settings import Environment
from fixtures.triage.rates import ErrorRates
from plugins.triage.answers import _rates
from plugins.triage.tree import tree

ENVIRONMENT = Environment(name="production", tier="production")


def _answer(requests: float, errors: float) -> tuple[str, str]:
    found = ErrorRates(300.0, requests, errors, errors / requests, {"server": errors}, None, 3600.0, None, None, ())
    return next((word, says) for question, word, says in _rates(found, ENVIRONMENT, tree()) if question == "rate")


@pytest.mark.parametrize(
    ("requests", "errors", "word"),
    [
        (2.0, 1.0, "few"),
        (19.0, 19.0, "few"),
        (19.0, 0.0, "none"),
        (20.0, 20.0, "most"),
        (20.0, 2.0, "over"),
        (100.0, 1.0, "within"),
        (0.4, 0.4, "idle"),
    ],
)
def test_of_few_calls_no_share_measures_how_many_users_are_served(requests: float, errors: float, word: str) -> None:
    """One of two is no half of the users."""
    assert _answer(requests, errors)[0] == word


def test_that_there_were_too_few_calls_is_said() -> None:
    """Beside how many there were."""
    says = "1 of 2 calls failed in 5 min (50.0%), too few to tell how many fail (fewer than 20)"
    assert _answer(2.0, 1.0)[1] == says
    assert _answer(0.4, 0.4)[1] == "not one call in the last 5 min"
