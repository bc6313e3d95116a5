"""The circuit breaker: it opens for an outage and for nothing else, tries again, and lets a fallback answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from fixtures.drills.evidence import Asked, Budgets, Drill, Outage, Outages, gathered
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment

CALLERS_FAULT = "422"


@check(
    "RES-004",
    severity="blocker",
    remedy="""
    Count failed messages in a row, after their retries: 408, 429, 5xx, timeouts and broken connections, and nothing
    that is the message's own fault. From the declared number on, ask the provider no more:

        import CircuitBreaker from "opossum"
        const breaker = new CircuitBreaker(askMistral, {
          volumeThreshold: 5, errorThresholdPercentage: 50, resetTimeout: 30_000,
          errorFilter: (error) => [400, 401, 403, 404, 413, 422].includes(error.statusCode),    // not counted
        })
        breaker.fallback(() => ({ reply: FALLBACK_TEXT, fallback: true }))

    In Python: pybreaker, with fail_max=5, reset_timeout=30 and exclude=[lambda e: is_refusal(e)]. Say in
    environments/NAME.toml what the service does:

        [resilience]
        breaker_threshold = 5
        breaker_reset = 30.0
    """,
)
@pytest.mark.parametrize("fault", ["500", "timeout", "422"])
def test_the_circuit_opens_for_an_outage_only(outages: Outages, fault: str) -> None:
    """The circuit opens after the declared number of failed messages, and not where the messages are to blame."""
    wrong = _opens_for_refusals(outages) if fault == CALLERS_FAULT else _stays_shut(outages, fault)
    assert list(wrong) == []


@check(
    "RES-005",
    severity="blocker",
    remedy="""
    When the reset time is over let one message through, keep the others on the fallback until it is back, and close on
    its success. In one process that is a flag which is set before the first await:

        if (Date.now() - openedAt >= RESET_MS && !trial) {
          trial = true
          try { const reply = await ask(message); openedAt = null; failures = 0; return reply }
          catch (error) { openedAt = Date.now(); throw error }
          finally { trial = false }                                  // also where the user went away meanwhile
        }

    Where more trials are meant, or another time, say so in environments/NAME.toml:

        [resilience]
        breaker_reset = 30.0
        trials = 1
    """,
)
def test_the_circuit_tries_again_and_closes(outages: Outages) -> None:
    """After its reset time the circuit lets a single trial through, and success closes it."""
    assert _opened(outages) + gathered(partial(_unsound, item, outages.budgets) for item in outages.both()) == []


@check(
    "RES-006",
    severity="blocker",
    remedy="""
    While the circuit is open answer at once, from what is at hand: a fixed text, or a model of another provider.
    Another model of Mistral's fails with it. The client must be able to show the answer:

        response.status(503).json({ reply: FALLBACK_TEXT, fallback: true, error: { code: "circuit_open" } })

    Declare the text, so that it is known for what it is, in environments/NAME.toml:

        [service]
        fallback_texts = ["The assistant is not available at the moment."]
    """,
)
def test_the_fallback_answers_while_the_circuit_is_open(outages: Outages, environment: Environment) -> None:
    """While the circuit is open users get the declared fallback, which does without the provider that failed."""
    declared = bool(environment.service.fallback_texts)
    assert gathered(partial(_no_fallback, item, outages.budgets, declared) for item in outages.both()) == []


def _primary(drill: Drill, budgets: Budgets) -> list[Asked]:
    """The requests for an answer, those for the declared fallback model aside."""
    return [asked for asked in drill.asked if asked.of_chat and not budgets.of_fallback(asked)]


def _with_messages(drill: Drill) -> Drill:
    """A drill that tells something. Raises CannotObserve where none of its messages was sent."""
    drill.told()
    if not drill.calls:
        why = f"the service had ended: {drill.ended}" if drill.ended else "no message was sent"
        raise CannotObserve("no_data", f"{drill.fault}: {why}", remedy="See RES-001, then inject the faults again.")
    return drill


def _stays_shut(outages: Outages, fault: str) -> Iterator[Offender]:
    opened = _with_messages(outages.outage(fault).opened)
    if asked := _primary(opened, outages.budgets):
        after = f"{fault}: after {outages.budgets.breaker_threshold} failed messages in a row"
        found = f"{len(asked)} requests for {len(opened.calls)} messages"
        yield Offender("messages keep reaching the provider", after, found, "none: the circuit open")


def _opens_for_refusals(outages: Outages) -> Iterator[Offender]:
    drill = _with_messages(outages.callers_fault)
    kept = [call for call in drill.calls if not (drill.requests(call.id) and call.outcome == "answered")]
    if kept:
        yield Offender(
            "the circuit opens for refusals that are the messages' own fault",
            f"{CALLERS_FAULT}: good messages after it",
            f"{len(kept)} of {len(drill.calls)} with no answer of the model's ({kept[0].detail})",
            "all answered",
        )


def _opened(outages: Outages) -> list[Offender]:
    """That it never opened, where that is known: then there is nothing to try again."""
    drills = [item.opened for item in outages.outages]
    if not drills or not all(drill.gap is None and _primary(drill, outages.budgets) for drill in drills):
        return []
    return [Offender("the circuit never opens: messages keep reaching the provider", "each outage")]


def _unsound(outage: Outage, budgets: Budgets) -> Iterator[Offender]:
    """What is wrong with how a circuit tries again, where it opened."""
    if _primary(_with_messages(outage.opened), budgets):
        return
    yield from _trials(outage, budgets)
    if outage.closed is None:
        raise CannotObserve(
            "no_data", f"{outage.fault}: no message was sent after the outage", remedy="Inject the faults again."
        )
    closed = _with_messages(outage.closed)
    kept = [call for call in closed.calls if not (closed.requests(call.id) and call.outcome == "answered")]
    if kept:
        found = f"{len(kept)} of {len(closed.calls)} messages with no answer of the model's"
        yield Offender("the circuit does not close again", f"{outage.fault}: after the outage", found, "all answered")


def _trials(outage: Outage, budgets: Budgets) -> Iterator[Offender]:
    if outage.trial is None:
        raise CannotObserve(
            "no_data", f"{outage.fault}: no trial was waited for", remedy="Inject the faults again: see RES-004."
        )
    burst = _with_messages(outage.trial)
    trials = len({asked.call for asked in _primary(burst, budgets)})
    where = f"{outage.fault}: {len(burst.calls)} messages at once, {budgets.breaker_reset:g} s after the circuit opened"
    if trials > budgets.trials:
        found = f"{trials} of them at the provider"
        yield Offender("a stampede in place of a trial", where, found, f"at most {budgets.trials}")
    elif not trials and outage.recovered is None:  # else it tried by a request of its own
        yield Offender("no trial is made", where, "no request for any of them", "one that reaches the provider")


def _no_fallback(outage: Outage, budgets: Budgets, declared: bool) -> Iterator[Offender]:
    drill = _with_messages(outage.opened)
    where = f"{outage.fault}: circuit open"
    without = [
        call for call in drill.calls if call.outcome != "fallback" and not _elsewhere(drill, call.id, call.outcome)
    ]
    if without and not declared and all(call.outcome == "declined" for call in without):
        raise CannotObserve(
            "not_configured",
            "service.fallback_texts names no text by which a fallback would be known",
            remedy='Set it in the file: [service] fallback_texts = ["The assistant is not available at the moment."]',
        )
    if without:
        found = f"{without[0].outcome.replace('_', ' ')} ({without[0].detail}) for {len(without)} of {len(drill.calls)}"
        yield Offender("no fallback answers", where, found, "a declared fallback text")
    other = [asked for asked in drill.asked if asked.of_chat and budgets.of_fallback(asked)]
    if other:
        found = f"{len(other)} requests for {budgets.fallback_model}"
        yield Offender("the fallback asks the provider that failed", where, found, "none")


def _elsewhere(drill: Drill, call: str, outcome: str) -> bool:
    """Whether another provider's model answered: none of this one's was asked."""
    return outcome == "answered" and not drill.requests(call)
