"""Many messages at once, while Mistral limits, is busy, or says nothing."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial

from fixtures.drills.evidence import Load, gathered
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

STORM = 2.0
"""Requests in place of one that is allowed: more is a storm of our own making."""
LEEWAY = 0.25
"""Seconds that the way between user and service, and a busy machine, may add."""
PERCENTILE = 0.99


@check(
    "RES-010",
    severity="advisory",
    remedy="""
    Bound what one process has under way, let a 429 count for the circuit, and share one budget of retries among all
    messages (a retry for every five that succeed):

        import pLimit from "p-limit"
        const places = pLimit(32)                                   // requests to Mistral at once, in this process
        const ask = (message) => places(() => breaker.fire(message))

    In Python: asyncio.Semaphore(32) around the call, and httpx.Limits(max_connections=32). Declare the bounds, by the
    limits of your workspace and the number of replicas, in environments/NAME.toml:

        [resilience]
        max_concurrency = 32
        storm_rate = 10.0
    """,
)
def test_a_rate_limit_storm_is_not_made_worse(load: Load) -> None:
    """Where Mistral answers 429 the service asks less and not more, and never more at once than it declares."""
    assert gathered([partial(_storming, load), partial(_crowding, load)]) == []


@check(
    "RES-011",
    severity="advisory",
    remedy="""
    Start one clock when the message comes in, and let everything run against it: the wait for a free place, each
    attempt, each wait before a retry. The SDK's own timeout is for one attempt, and by default there is none:

        const signal = AbortSignal.timeout(DEADLINE_MS)
        await places(() => mistral.chat.complete(request, { fetchOptions: { signal } }), { signal })

        async with asyncio.timeout(DEADLINE):                       # the same in Python
            async with places:
                return await client.chat.complete_async(**request)

    Say what users are promised in environments/NAME.toml:

        [resilience]
        deadline = 15.0
    """,
)
def test_it_fails_fast_when_mistral_is_slow(load: Load) -> None:
    """Where Mistral takes a minute, 99 of 100 users still have an answer of some kind within the deadline."""
    assert list(_slow(load)) == []


def _storming(load: Load) -> Iterator[Offender]:
    storm, budgets = load.storm.told(), load.budgets
    times = sorted(asked.at for asked in storm.asked if asked.of_chat)
    if not times:
        raise CannotObserve("no_data", "storm: no request reached the provider", remedy="Inject the faults again.")
    allowed = budgets.storm_rate * budgets.storm_window
    most = _most_within(times, budgets.storm_window)
    if most > STORM * allowed:
        yield Offender(
            "a rate limit turns into a storm of requests",
            f"429 to {len(storm.calls)} messages",
            f"{most} requests to the provider within {budgets.storm_window:g} s",
            f"at most {STORM * allowed:g}: {STORM:g} for each that is allowed",
        )


def _most_within(times: Sequence[float], seconds: float) -> int:
    """The most of these sorted times that any so many seconds hold."""
    return max(bisect_left(times, start + seconds) - number for number, start in enumerate(times))


def _crowding(load: Load) -> Iterator[Offender]:
    crowd, most = load.crowd.told(), load.budgets.max_concurrency
    reached = max((asked.in_flight for asked in crowd.asked if asked.of_chat), default=None)
    if reached is None:
        raise CannotObserve("no_data", "crowd: no request reached the provider", remedy="Inject the faults again.")
    if reached > most:
        where = f"{len(crowd.calls)} messages at once"
        yield Offender("more requests under way than declared", where, f"{reached} at once", f"at most {most}")


def _slow(load: Load) -> Iterator[Offender]:
    slow, deadline = load.slow.told(), load.budgets.deadline
    durations = sorted(call.duration for call in slow.calls)
    if not durations:
        raise CannotObserve("no_data", "slow: no message was sent", remedy="Inject the faults again.")
    worst = durations[math.ceil(PERCENTILE * len(durations)) - 1]
    if worst > deadline + LEEWAY + slow.lag:
        where = f"{len(durations)} messages, most of them at once, while Mistral says nothing"
        yield Offender("users wait beyond the deadline", where, f"{worst:.1f} s (p99)", f"at most {deadline:g} s")
