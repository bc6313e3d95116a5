"""The four questions: what each answer is worth, where it cannot be told, and that the worlds of the sandbox say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from checks.triage.errors import excess
from checks.triage.errors import test_the_error_rate_is_within_its_bound as error_rate
from checks.triage.logs import test_the_latest_logs_hold_no_error as logs
from checks.triage.logs import written
from checks.triage.mistral import FINE, WHAT, unanswered
from checks.triage.mistral import test_mistral_answers_us as mistral
from checks.triage.service import test_our_service_says_that_it_is_healthy as service
from checks.triage.service import unwell
from fixtures.logs.digest import Signature
from fixtures.observation import CannotObserve
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.triage import SPECIMENS
from fixtures.triage.calls import Call, Kind, Unasked
from fixtures.triage.log import ErrorLog
from fixtures.triage.mistral import MistralReply
from fixtures.triage.rates import ErrorRates
from fixtures.triage.service import OwnHealth
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {
    "TRI-001": mistral,
    "TRI-002": service,
    "TRI-003": error_rate,
    "TRI-004": logs,
}
OK = Call("POST https://api.mistral.ai/v1/chat/completions", "ok", "answered 200 in 0.3 s", 200, duration=0.3)
DENIED = Unasked("a thing", "denied", "may not get it", "Allow it.")


def reply(kind: Kind = "ok", chat: Kind | None = "ok", *unasked: Unasked) -> MistralReply:
    said = None if chat is None else call(chat)
    return MistralReply("api.mistral.ai", "m", call(kind), said, True, None, unasked)


def call(kind: Kind) -> Call:
    return replace(OK, kind=kind, reason="timeout" if kind == "hurried" else None)


def own(**changed: Any) -> OwnHealth:
    return replace(OwnHealth(OK, "healthy", "healthy", True, "closed", OK, "served", True, ()), **changed)


def rates(**changed: Any) -> ErrorRates:
    return replace(ErrorRates(300.0, 100.0, 1.0, 0.01, {"server": 1.0}, 0.5, 3600.0, 0.01, 0.0, ()), **changed)


def log(*errors: Signature, logs: int = 2, unasked: tuple[Unasked, ...] = ()) -> ErrorLog:
    return ErrorLog("Deployment chat/chat", 2, 2, None, 600.0, logs, 9, errors, unasked)


SIGNATURE = Signature("boom", "error", 3, "", "", "boom 1", "chat-1/chat, line 4")


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert {id_: found.status for id_, found in bench.judged(CHECKS, HEALTHY).items()} == dict.fromkeys(
        CHECKS, "passed"
    )


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each question is answered as its world has it, in words that name what is wrong, and the others are fine."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


@pytest.mark.parametrize("kind", sorted(set(get_args(Kind)) - {*FINE, "settings", "hurried"}))
def test_every_way_not_to_answer_is_said_in_words(kind: Kind) -> None:
    """A kind without words, or one that passes, would be a silence taken for an answer."""
    (found,) = unanswered(reply("ok", kind))
    assert found.what == WHAT[kind]
    assert unanswered(reply(kind, "ok")) != []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (reply("reachable", None, DENIED), "denied"),
        (reply("ok", None, DENIED), "denied"),
        (reply("settings", None), "not_configured"),
        (reply("ok", "settings"), "not_configured"),
        (reply("reachable", "hurried"), "timeout"),
        (reply("hurried", None), "timeout"),
    ],
)
def test_mistral_half_asked_is_no_pass(given: MistralReply, reason: str) -> None:
    """Without the key or the model it is not known whether it answers us."""
    with pytest.raises(CannotObserve) as caught:
        unanswered(given)
    assert caught.value.reason == reason


def test_a_failure_that_was_seen_outweighs_what_was_not_asked() -> None:
    """Mistral out of reach is told, also where the key could not be read."""
    assert unanswered(reply("refused", None, DENIED)) != []


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (own(state="degraded"), "the service is degraded"),
        (own(state="down"), "the service is down"),
        (own(circuit="open"), "its circuit is open"),
        (own(users="fallback"), "a message gets the fallback in place of an answer"),
        (own(users="failed"), "a message gets neither an answer nor the fallback"),
        (own(users="silent"), "a message gets nothing in time"),
        (own(users="unreached"), "a message does not reach it"),
    ],
)
def test_each_way_to_be_unwell_is_told(given: OwnHealth, what: str) -> None:
    """One row for what is wrong, and none for what is not."""
    assert [found.what for found in unwell(given)] == [what]


@pytest.mark.parametrize("given", [own(), own(circuit=None), own(circuit="half-open"), own(users=None, message=None)])
def test_a_service_that_is_well_passes(given: OwnHealth) -> None:
    """Also one that tells no circuit, or to which no message is sent by its settings."""
    assert unwell(given) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (own(health=call("settings")), "not_configured"),
        (own(health=call("hurried"), state="down"), "timeout"),
        (own(message=call("hurried"), users=None), "timeout"),
        (own(message=call("settings"), users=None), "not_configured"),
    ],
)
def test_a_service_that_cannot_be_asked_is_no_pass(given: OwnHealth, reason: str) -> None:
    """A URL that is none is nobody's health, and a call that had no time says nothing."""
    with pytest.raises(CannotObserve) as caught:
        unwell(given)
    assert caught.value.reason == reason


def test_what_is_wrong_with_the_service_outweighs_what_was_not_asked() -> None:
    """A message that fails is told, also where the health had no time to be."""
    assert unwell(own(health=call("hurried"), state="down", users="failed")) != []


def test_an_error_rate_is_told_by_kind_the_most_frequent_first() -> None:
    """Kinds that did not happen are left out."""
    found = excess(rates(rate=0.2, kinds={"auth": 2.0, "server": 18.0, "timeout": 0.0}), 0.05)
    assert [offender.where for offender in found] == ["1 of 100 calls in 300 s", "server", "auth"]


@pytest.mark.parametrize(("rate", "fails"), [(0.0, False), (0.05, False), (0.0501, True), (1.0, True)])
def test_the_bound_itself_is_allowed(rate: float, fails: bool) -> None:
    """More than may fail is too much."""
    assert bool(excess(rates(rate=rate), 0.05)) is fails


@pytest.mark.parametrize("given", [rates(rate=None, requests=0.0), rates(rate=1.0, requests=0.4, errors=0.4)])
def test_no_call_is_no_error_rate(given: ErrorRates) -> None:
    """Nought of nought says nothing, nor does what is extrapolated to less than a call."""
    with pytest.raises(CannotObserve, match="not one call in 300 s"):
        excess(given, 0.05)


def test_errors_in_a_log_are_told_with_their_number_and_place() -> None:
    """Also where another log could not be read."""
    for unasked in ((), (DENIED,)):
        (found,) = written(log(SIGNATURE, unasked=unasked))
        assert (found.what, found.where, found.found) == ("3 x error", "chat-1/chat, line 4", "boom")


@pytest.mark.parametrize(("given", "reason"), [(log(unasked=(DENIED,)), "denied"), (log(logs=0), "no_data")])
def test_a_log_that_was_not_read_is_no_pass(given: ErrorLog, reason: str) -> None:
    """Neither a part that is missing nor that there is none."""
    with pytest.raises(CannotObserve) as caught:
        written(given)
    assert caught.value.reason == reason


def test_a_pod_that_is_missing_is_told_whatever_the_logs_say() -> None:
    """That no pod writes a log follows from there being none."""
    (found,) = written(replace(log(logs=0), available=0))
    assert (found.what, found.where, found.found) == ("pods are not available", "Deployment chat/chat", "0 of 2")
    assert len(written(replace(log(SIGNATURE), available=1))) == 2
    (found,) = written(replace(log(logs=0), wanted=0, available=0))
    assert found.what == "the Deployment is scaled to 0"


def test_a_quiet_log_passes() -> None:
    """Read to its end, without an error."""
    assert written(log()) == []
