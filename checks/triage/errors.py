"""What is our error rate, by kind?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment
    from fixtures.triage.rates import ErrorRates


@check(
    "TRI-003",
    severity="blocker",
    remedy="""
    See which calls fail, and since when:

        promtool query instant $PROMETHEUS_URL 'sum by (type) (increase(mistral_errors_total[5m]))'
    """,
)
def test_the_error_rate_is_within_its_bound(error_rates: ErrorRates, environment: Environment) -> None:
    """No more calls to Mistral fail than may fail."""
    assert excess(error_rates, environment.traffic.max_error_rate) == []


def excess(rates: ErrorRates, bound: float) -> list[Offender]:
    """Where the bound is exceeded, each kind of failure. Raises `CannotObserve`: no_data where there was no call."""
    if rates.rate is None or rates.requests < 0.5:  # what is extrapolated to less than half a call is none
        raise CannotObserve(
            "no_data",
            f"not one call in {rates.window:g} s: an error rate of nothing says nothing",
            remedy="See whether users reach the service at all:\n\n    kubectl get ingress,service -n NAMESPACE",
        )
    if rates.rate <= bound:
        return []
    kinds = sorted(((count, kind) for kind, count in rates.kinds.items() if count >= 0.5), reverse=True)
    before = "" if rates.rate_before is None else f" ({rates.rate_before:.1%} before)"
    errors = min(rates.errors, rates.requests)  # either is extrapolated by itself
    where = f"{errors:.0f} of {rates.requests:.0f} calls in {rates.window:g} s"
    whole = Offender("calls fail", where, f"{rates.rate:.1%}{before}", f"at most {bound:.1%}")
    return [whole, *(Offender("failed so", kind, f"{count:.0f} calls") for count, kind in kinds)]
