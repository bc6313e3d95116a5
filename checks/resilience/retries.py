"""Which failures are asked for again, how often, and after what wait."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import pytest

from fixtures.drills.evidence import Asked, Drill, Failures
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

PASSING = ["429-for-ever", "500", "503", "429-retry-after"]
REFUSALS = ["400", "401", "403", "422"]

RETRY_AFTER = 1.0
"""Seconds that `429-retry-after` asks for."""
EARLY = 0.05
"""Seconds by which the clocks of two processes, and of a timer, may be off."""
NEAR, NEAR_SHARE = 0.01, 0.08
"""Seconds, and share of a wait, within which two waits are the same: what a timer and a busy machine make of one.

Waits of a fixed 250 ms were seen as 274 to 301 ms. Of waits with full jitter a sixth are so near to each other.
"""
SAME = 0.75
"""Share of waits that must be the same to be called constant: a busy machine delays some of them."""
ENOUGH = 3
"""Waits of a kind that it takes to tell whether they are the same."""


@check(
    "RES-002",
    severity="blocker",
    remedy="""
    Ask again after 429 and 5xx, a few times, each time after a longer wait with chance in it, and not before the moment
    that Retry-After names. The official SDKs retry nothing by default:

        async function retried(call, { retries = 2, base = 200, cap = 2000 } = {}) {
          for (let attempt = 0; ; attempt++) {
            try { return await call() } catch (error) {
              if (attempt >= retries || ![429, 500, 502, 503, 504].includes(error.statusCode)) throw error
              const asked = Number(error.headers?.get("retry-after") ?? 0) * 1000
              const wait = Math.max(asked, Math.random() * Math.min(cap, base * 2 ** attempt))
              await new Promise((resolve) => setTimeout(resolve, wait))
            }
          }
        }

    In Python: tenacity, with wait_random_exponential(multiplier=0.2, max=2) and stop_after_attempt(3). Where the
    service may ask more often than that, say how often in environments/NAME.toml:

        [resilience]
        max_retries = 3
    """,
)
@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_retried_within_bounds(failures: Failures, fault: str) -> None:
    """A message that met a 429 or a 5xx is asked for again: a few times, after waits with chance in them."""
    assert list(_retried_wrongly(failures, fault)) == []


@check(
    "RES-003",
    severity="blocker",
    remedy="""
    A request that was refused is refused again: retry 408, 429 and 5xx only, and switch off retries that stand beside
    yours (an SDK's, a proxy's, a mesh's):

        const RETRIED = new Set([408, 429, 500, 502, 503, 504])
        if (!RETRIED.has(error.statusCode)) throw error

    See how often one message was asked for: every line of one id is a request.

        kubectl logs deployment/NAME -n NAMESPACE --since=10m | grep 'call to mistral failed'
    """,
)
@pytest.mark.parametrize("fault", REFUSALS)
def test_what_was_refused_is_not_asked_again(failures: Failures, fault: str) -> None:
    """A message that Mistral refuses (400, 401, 403, 422) is asked for once."""
    drill = failures.drill(fault)
    assert [
        Offender("a refused message is asked for again", place, f"{len(requests)} requests", "1")
        for place, requests in _by_message(drill)
        if len(requests) > 1
    ] == []


def _by_message(drill: Drill) -> list[tuple[str, list[Asked]]]:
    """The requests for each message and model, with a place for people. Raises CannotObserve where there are none."""
    found: list[tuple[str, list[Asked]]] = []
    for number, call in enumerate(drill.calls, 1):
        requests = drill.requests(call.id)
        for model in dict.fromkeys(asked.model for asked in requests):
            of_model = [asked for asked in requests if asked.model == model]
            found.append((f"{drill.fault}: message {number}, {model or 'no model'}", of_model))
    if not found:
        raise CannotObserve(
            "no_data",
            f"{drill.fault}: none of {len(drill.calls)} messages reached the provider in a request of its own",
            remedy="Let the service pass the user's text on as it is: each message is known by a mark in it.",
        )
    return found


def _retried_wrongly(failures: Failures, fault: str) -> Iterator[Offender]:
    drill, most = failures.drill(fault), failures.budgets.max_retries
    messages = _by_message(drill)
    for place, requests in messages:
        if len(requests) - 1 > most:
            yield Offender("asked again more often than declared", place, f"{len(requests) - 1} times", f"{most}")
    if fault == "429-retry-after":
        yield from _hasty(messages)
    elif all(len(requests) == 1 for _, requests in messages):
        yield Offender("is not asked again", fault, f"1 request for each of {len(messages)} messages", "at least 2")
    else:
        yield from _constant(failures, fault)


def _hasty(messages: Iterable[tuple[str, list[Asked]]]) -> Iterator[Offender]:
    for place, requests in messages:
        early = [wait for wait in _waits(requests) if wait < RETRY_AFTER - EARLY]
        if early:
            found = f"asked again after {min(early):.2f} s"
            yield Offender("Retry-After is ignored", place, found, f"not before {RETRY_AFTER:g} s")


def _waits(requests: Sequence[Asked]) -> list[float]:
    """Seconds from the end of each request to the next."""
    return [after.at - before.at - before.duration for before, after in pairwise(requests)]


def _constant(failures: Failures, fault: str) -> Iterator[Offender]:
    """Waits without chance in them. A few may be alike by chance: those of the other faults are asked as well."""
    own = _kinds(failures.drill(fault))
    if not own:
        raise CannotObserve(
            "no_data",
            f"{fault}: fewer than {ENOUGH} messages were asked for again, which tells nothing of the waits",
            remedy="Raise resilience.breaker_threshold, or the circuit's own, so that it opens later.",
        )
    everywhere = [kind for other in PASSING[:3] for kind in _kinds_if_told(failures, other)]
    if _alike(own) == 1.0 or (_alike(own) >= SAME and _alike(everywhere) >= SAME):
        middles = [statistics.median(kind) for kind in own]
        grows = len(middles) > 1 and middles[-1] > 1.5 * middles[0] + NEAR
        what = "each retry comes after the same wait for everybody" if grows else "retries come at a constant interval"
        yield Offender(what, fault, ", ".join(f"{middle:.2f} s" for middle in middles), "waits with chance in them")


def _kinds(drill: Drill) -> list[list[float]]:
    """The waits before a first retry, those before a second and so on; each kind of which there are enough."""
    waits = [_waits(requests) for _, requests in _by_message(drill)]
    most = max(map(len, waits), default=0)
    kinds = [[of_one[number] for of_one in waits if len(of_one) > number] for number in range(most)]
    return [kind for kind in kinds if len(kind) >= ENOUGH]


def _kinds_if_told(failures: Failures, fault: str) -> list[list[float]]:
    try:
        return _kinds(failures.drill(fault))
    except CannotObserve:
        return []


def _alike(kinds: Sequence[Sequence[float]]) -> float:
    """The share of waits that lie at the median of their kind, as near as can be told."""
    near: list[bool] = []
    for kind in kinds:
        middle = statistics.median(kind)
        near += [abs(wait - middle) <= max(NEAR, NEAR_SHARE * middle) for wait in kind]
    return sum(near) / len(near)
