"""What the judgement of a canary is worth, watched every minute: false alarms and power, beside the naive test.

Simulated requests: a canary with a tenth of the traffic, 30 requests a minute, beside its stable version; looked at
each minute. The naive test is the one-sided test of a single look at the same alpha, taken again at each look.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain
from statistics import NormalDist, median

from fixtures.canary.evidence import slower
from fixtures.canary.statistics import ALPHA, MISS, error_judgement, latency_judgement
from fixtures.traffic import Counts, Histogram

RUNS = 400
MINUTES = 60
A_MINUTE = 30
"""Requests of the canary."""
STABLE = 9
"""Requests of the stable version for each of those."""
BOUND, SLOWEST = 0.05, 10.0
BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TIMES = (0.003, 0.072, 0.338, 0.431, 0.15, 0.004, 0.0015, 0.0005)
"""The share of requests in each bucket; the last is slower than all bounds."""

Look = tuple[Counts, Counts]
Watched = Callable[[random.Random], Iterator[Look]]


@dataclass(frozen=True)
class Outcome:
    """What became of many runs."""

    alarms: float
    """The share with an alarm at any look."""
    naive: float
    """The same, of the naive test."""
    fine: float
    """The share that was ever called no worse before an alarm."""
    minutes: float
    """The median minute of the alarm; NaN where there was none."""


def main() -> None:
    print(
        f"\nCanary, watched each minute for {MINUTES} minutes: {A_MINUTE} requests a minute, {STABLE} times as many of "
        f"the stable version ({RUNS} runs, latency {RUNS // 4})"
    )
    print(f"  {'':<46} {'alarm':>7} {'naive':>7} {'fine':>7}  median minute of the alarm")
    for what, outcome in chain(errors(RUNS), latencies(RUNS // 4)):
        late = "-" if math.isnan(outcome.minutes) else f"{outcome.minutes:.0f}"
        print(f"  {what:<46} {outcome.alarms:>7.1%} {outcome.naive:>7.1%} {outcome.fine:>7.1%}  {late}")
    print(f"  (aim: no worse = alarm in at most {ALPHA:.0%}; worse by the tolerance = fine in at most {MISS:.0%})")


def errors(runs: int) -> Iterator[tuple[str, Outcome]]:
    """No worse: three rates, and a provider that fails in spells. Worse: 3 % against 0.1 %, and smaller defects."""
    rows: list[tuple[str, float, float, bool]] = [
        ("errors, both 0.1 %", 0.001, 0.001, False),
        ("errors, both 1 %", 0.01, 0.01, False),
        ("errors, both 4 % (the bound is 5 %)", 0.04, 0.04, False),
        ("errors, both 0.1 %, the provider failing in spells", 0.001, 0.001, True),
        ("errors, 3 % against 0.1 %", 0.03, 0.001, False),
        ("errors, 2.1 % against 0.1 %", 0.021, 0.001, False),
        ("errors, 1 % against 0.1 %", 0.01, 0.001, False),
        ("errors, 8 % against 8 % (the bound is 5 %)", 0.08, 0.08, False),
    ]
    for what, canary, stable, spells in rows:
        yield what, of_errors(runs, canary, stable, spells=spells)


def of_errors(runs: int, canary: float, stable: float, *, spells: bool = False) -> Outcome:
    """Many runs with these shares of failing requests; in spells, the provider fails both versions."""
    return _outcome(runs, lambda rng: failing(rng, canary, stable, spells), _errors, _z_errors)


def latencies(runs: int) -> Iterator[tuple[str, Outcome]]:
    """No worse; and two canaries whose requests are slower."""
    for what, factor in (
        ("latency, both alike", 0.0),
        ("latency, a little slower", 0.2),
        ("latency, much slower", 0.5),
    ):
        yield what, _outcome(runs, lambda rng, f=factor: timed(rng, f), _latency, _z_ranks)  # type: ignore[misc] # as above


def failing(rng: random.Random, canary: float, stable: float, spells: bool) -> Iterator[Look]:
    """Counts at each look, of all requests so far."""
    sums = [0, 0, 0, 0]
    for _ in range(MINUTES):
        more = 0.04 if spells and rng.random() < 0.2 else 0.0
        ours, theirs = _poisson(rng, A_MINUTE), _poisson(rng, A_MINUTE * STABLE)
        sums[0] += ours
        sums[1] += _events(rng, ours, min(1.0, canary + more))
        sums[2] += theirs
        sums[3] += _events(rng, theirs, min(1.0, stable + more))
        yield _counts(sums[0], sums[1], Histogram()), _counts(sums[2], sums[3], Histogram())


def timed(rng: random.Random, slow: float) -> Iterator[Look]:
    """Histograms at each look; of the canary's requests the share `slow` falls into the next slower bucket."""
    shifted = [share * (1 - slow) + slow * before for share, before in zip(TIMES, (0.0, *TIMES), strict=False)]
    shares = list(accumulate(shifted)), list(accumulate(TIMES))
    sums = [0] * len(TIMES), [0] * len(TIMES)
    for _ in range(MINUTES):
        for found, share, count in zip(sums, shares, (A_MINUTE, A_MINUTE * STABLE), strict=True):
            for bucket in rng.choices(range(len(TIMES)), cum_weights=share, k=_poisson(rng, count)):
                found[bucket] += 1
        ours, theirs = (_counts(sum(found), 0, _histogram(found)) for found in sums)
        yield ours, theirs


def _outcome(
    runs: int, watched: Watched, judged: Callable[[Look], bool | None], naive: Callable[[Look], bool]
) -> Outcome:
    alarms, simple, fine = [], 0, 0
    for seed in range(runs):
        answers: list[bool | None] = []
        naively = False
        for look in watched(random.Random(seed)):
            answers.append(True in answers[-1:] or judged(look))
            naively = naively or naive(look)
            if naively and answers[-1]:
                break
        simple += naively
        first = next((minute for minute, answer in enumerate(answers, 1) if answer), None)
        alarms += [first] if first else []
        fine += False in answers[:first]
    share = len(alarms) / runs
    return Outcome(share, simple / runs, fine / runs, median(alarms) if alarms else math.nan)


def _errors(look: Look) -> bool | None:
    return error_judgement(*look, bound=BOUND).worse


def _latency(look: Look) -> bool | None:
    return latency_judgement(*look, bound=SLOWEST).worse


def _z_errors(look: Look) -> bool:
    """Two proportions, pooled."""
    (ours, theirs) = look
    if not (ours.requests and theirs.requests):
        return False
    pooled = (ours.errors + theirs.errors) / (ours.requests + theirs.requests)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / ours.requests + 1 / theirs.requests))
    difference = ours.errors / ours.requests - theirs.errors / theirs.requests
    return spread > 0 and difference / spread > NormalDist().inv_cdf(1 - ALPHA)


def _z_ranks(look: Look) -> bool:
    """Mann and Whitney's."""
    found = [[upper - lower for lower, upper in _edges(counts.latency)] for counts in look]
    if not (sum(found[0]) and sum(found[1])):
        return False
    chance, variance = slower(*found)
    return variance > 0 and (chance - 0.5) / math.sqrt(variance) > NormalDist().inv_cdf(1 - ALPHA)


def _edges(histogram: Histogram) -> Iterator[tuple[float, float]]:
    cumulative = [count for _, count in histogram.buckets]
    return zip([0.0, *cumulative], [*cumulative, histogram.count], strict=True)


def _counts(requests: float, errors: float, latency: Histogram) -> Counts:
    return Counts(requests, errors, {}, latency, 60.0, {}, ())


def _histogram(found: list[int]) -> Histogram:
    return Histogram(tuple(zip(BOUNDS, map(float, accumulate(found)), strict=False)), float(sum(found)))


def _events(rng: random.Random, trials: int, share: float) -> int:
    return sum(rng.random() < share for _ in range(trials))


def _poisson(rng: random.Random, mean: float) -> int:
    """By its normal neighbour, which is near enough at such means."""
    return max(0, round(rng.gauss(mean, math.sqrt(mean))))


if __name__ == "__main__":
    main()
