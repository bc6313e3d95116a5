"""What a user gets when Mistral fails, by the kind of failure, and what must not come with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fixtures.drills.evidence import DEFINED, FAULTS, Call, Drill, Failures, Outages
from fixtures.observation import CannotObserve
from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from fixtures.settings import Environment

DEFINED_ANSWER = "a declared fallback text, or a declared failure status with JSON"
WRONG = {
    "answered": "success is reported for a message that failed",
    "empty": "success without a text is reported for a message that failed",
    "error_text": "the text of an error is given for the model's answer",
    "page": "the answer has no declared shape",
    "cut_off": "the stream ends with neither its last event nor an error",
    "hung": "no whole answer within the deadline",
    "lost": "the connection ends without an answer",
}


def _can_be_met(failures: Failures, fault: str) -> str | None:
    """Only what streams can have its stream cut."""
    return failures.left_out.get(fault)


@check(
    "RES-001",
    severity="blocker",
    remedy="""
    Catch what the call can raise at one place, give it a deadline, and answer in one shape whatever it was:

        const signal = AbortSignal.timeout(DEADLINE_MS)              // one for the whole message, retries and all
        try {
          const result = await mistral.chat.complete(request, { fetchOptions: { signal } })
          const reply = result.choices?.[0]?.message?.content
          if (!reply || !result.choices[0].finishReason) throw new Error("no finished answer")
          return response.json({ reply, fallback: false })
        } catch (error) {
          return response.status(503).json({ reply: FALLBACK_TEXT, fallback: true, error: { code: kindOf(error) } })
        }

    A stream that has begun ends with an event of its own: data: {"error": {"code": "server"}}. Say in
    environments/NAME.toml what the service's answers look like, then inject the faults again:

        [service]
        fallback_texts = ["The assistant is not available at the moment."]
        [resilience]
        deadline = 15.0
        failure_statuses = [429, 502, 503, 504]

        pytest -m resilience --env NAME --allow-changes
    """,
    applies=_can_be_met,
)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_answered_in_a_defined_way(failures: Failures, environment: Environment, fault: str) -> None:
    """Whatever way Mistral fails, a user gets an answer of a declared kind in time, and never a false success."""
    drill = failures.drill(fault)
    assert [
        *_undefined(drill, failures.budgets.deadline),
        *_dying(drill, environment.resilience.live),
    ] == []


@check(
    "RES-009",
    severity="blocker",
    remedy="""
    Log and answer with the kind of a failure and its status, never with the error object, the request or the client:

        log.warn({ kind: kindOf(error), status: error.statusCode }, "call to mistral failed")     // no error object
        response.status(503).json({ reply: FALLBACK_TEXT, fallback: true, error: { code: kindOf(error) } })

    Where the key stood in a log or an answer, give out a new one. See where else it went:

        kubectl logs deployment/NAME -n NAMESPACE --since=24h | grep -icE 'bearer|authorization|at .+:[0-9]+:[0-9]+'
    """,
)
def test_nothing_leaks_while_mistral_fails(failures: Failures, outages: Outages) -> None:
    """Neither an answer nor the log gives away the key, a user's words or a stack trace while Mistral fails."""
    assert list(_given_away(failures, outages)) == []


def _undefined(drill: Drill, deadline: float) -> Iterator[Offender]:
    """What of a drill's answers is none of the defined ones. A service that ended is told of once."""
    if drill.ended:
        yield Offender("the service ends", drill.fault, drill.ended, "that it lives and answers")
        return
    if not drill.calls:
        raise CannotObserve("no_data", f"{drill.fault}: no message was sent", remedy="Inject the faults again.")
    for number, call in enumerate(drill.calls, 1):
        if call.outcome in DEFINED or (call.outcome == "answered" and _met_well(drill, call)):
            continue
        where = f"{drill.fault}: {'streamed ' if call.stream else ''}message {number}"
        late = call.outcome == "hung"
        expected = f"an answer within {deadline:g} s" if late else DEFINED_ANSWER
        yield Offender(WRONG[call.outcome], where, f"{call.duration:.1f} s" if late else call.detail, expected)


def _met_well(drill: Drill, call: Call) -> bool:
    """Whether a model answered it after all, in a request that met no fault."""
    return any(asked.status == 200 and not asked.fault for asked in drill.requests(call.id))


def _dying(drill: Drill, live: str) -> Iterator[Offender]:
    failed = [probe for probe in drill.probes if probe.path == live and not 200 <= (probe.status or 0) < 300]
    if failed and not drill.ended:
        found = f"status {failed[0].status}" if failed[0].status else "no answer"
        yield Offender(f"the liveness path {live} fails with Mistral", drill.fault, found, "200 to 299")


def _given_away(failures: Failures, outages: Outages) -> Iterator[Offender]:
    leaks = (*failures.leaks, *outages.leaks)
    for leak in leaks:
        yield Offender(f"gives away {leak.what}", f"{leak.fault}: {leak.where}")
    if not leaks and (blind := failures.unsearched) is not None:
        raise CannotObserve(blind.reason, blind.message, remedy=blind.remedy)
    if not leaks and not failures.searched:
        raise CannotObserve("no_data", "there was nothing to search for leaks", remedy="Inject the faults again.")
