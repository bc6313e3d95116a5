"""The checks of the drills: what each makes of evidence, down to the limits that it allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from fixtures.drills.evidence import (
    FAULTS,
    Call,
    Drill,
    Failures,
    Gap,
    Leak,
    Outage,
    Outages,
    Outcome,
    Probe,
    gathered,
)
from fixtures.observation import CannotObserve
from fixtures.sandbox.conduct import FLAWS
from fixtures.sandbox.healthy import resilience as healthy
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.resilience import ALL, SPECIMENS
from fixtures.sandbox.world import World
from tests.checks.drilled import broken, found
from tests.checks.judging import Bench, bench

__all__ = ["bench"]

GAP = Gap("not_redirectable", "no request met the fault", "Set resilience.base_url_variable.")
VALUES = [specimen for specimen in SPECIMENS if specimen.values is not None]


def failures(fault: str, drill: Drill) -> Specimen:
    """One fault's drill came to something else."""
    others = tuple(drill if made.fault == fault else made for made in healthy.failures().drills)
    return found(failures=replace(healthy.failures(), drills=others))


def outages(**changed: Any) -> Specimen:
    """The outage of 500 came to something else."""
    first = replace(healthy.outage("500"), **changed)
    return found(outages=replace(healthy.outages(), outages=(first, healthy.outage("timeout"))))


def one(fault: str, call: Call, *, met_well: bool = False) -> Drill:
    """One message, which met the fault, and perhaps a good answer after that."""
    requests = (healthy.asked(call.id, fault=fault), *([healthy.asked(call.id, 0.2)] if met_well else []))
    return healthy.drill(fault, (call,), requests, healthy.alive())


def says(bench: Bench, specimen: Specimen) -> dict[str, str]:
    """The message of each check that does not pass."""
    return {name: verdict.message for name, verdict in broken(bench, specimen).items()}


def test_a_service_that_does_everything_right_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert says(bench, found()) == {}


@pytest.mark.parametrize("specimen", [pytest.param(row, id=row.name) for row in VALUES])
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Evidence that no flaw of the sandbox's service leaves behind is judged as its specimen says."""
    verdicts = broken(bench, specimen)
    assert {name.partition("[")[0] for name in verdicts} == set(specimen.breaks)
    for verdict in verdicts.values():
        assert (verdict.status, verdict.reason) == (specimen.status, specimen.reason)
        assert specimen.message in verdict.message


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    for status in ("failed", "unverified"):
        assert {id_ for row in SPECIMENS if row.status == status for id_ in row.breaks} == set(ALL)


def test_every_flaw_has_a_specimen() -> None:
    """A way to be broken that nothing is told of proves nothing."""
    shown = set()
    for specimen in SPECIMENS:
        if specimen.mutate is not None:
            world = World()
            specimen.mutate(world)
            shown.add(world.service.flaw)
    assert set(FLAWS) <= shown


class TestEachFaultIsAnswered:
    """RES-001."""

    @pytest.mark.parametrize("outcome", ["fallback", "declined"])
    def test_a_defined_answer_passes(self, bench: Bench, outcome: Outcome) -> None:
        """A declared fallback, or a declared failure."""
        assert says(bench, failures("401", one("401", healthy.call(0, outcome)))) == {}

    @pytest.mark.parametrize(
        ("outcome", "message"),
        [
            ("answered", "success is reported for a message that failed"),
            ("empty", "success without a text"),
            ("error_text", "the text of an error is given for the model's answer"),
            ("page", "the answer has no declared shape: found 503 application/json, 142 bytes"),
            ("cut_off", "the stream ends with neither its last event nor an error"),
            ("hung", "no whole answer within the deadline: found 9.0 s, expected an answer within 1 s"),
            ("lost", "the connection ends without an answer"),
        ],
    )
    def test_any_other_is_wrong(self, bench: Bench, outcome: Outcome, message: str) -> None:
        """Each in its own words, with the fault and the message."""
        made = says(bench, failures("520", one("520", healthy.call(0, outcome, duration=9.0))))
        assert list(made) == ["RES-001[520]"]
        assert message in made["RES-001[520]"]
        assert made["RES-001[520]"].startswith("520: message 1: ")

    def test_an_answer_of_a_model_passes_where_one_gave_it(self, bench: Bench) -> None:
        """A retry met no fault: the message did not fail."""
        drill = one("reset", healthy.call(0, "answered"), met_well=True)
        assert says(bench, failures("reset", drill)) == {}

    def test_another_messages_good_answer_is_none_of_its_own(self, bench: Bench) -> None:
        """What was asked for somebody else proves nothing."""
        drill = one("reset", healthy.call(0, "answered"))
        drill = replace(drill, asked=(*drill.asked, healthy.asked("ffffffff")))
        assert list(says(bench, failures("reset", drill))) == ["RES-001[reset]"]

    def test_a_service_that_ends_is_told_of_once(self, bench: Bench) -> None:
        """Neither the lost message nor the liveness path says it again."""
        dead = (Probe(0.2, "/live", None, 0.01),)
        drill = replace(one("closed", healthy.call(0, "lost")), ended="exit code 1; its last lines: boom", probes=dead)
        assert says(bench, failures("closed", drill)) == {
            "RES-001[closed]": "closed: the service ends: found exit code 1; its last lines: boom, "
            "expected that it lives and answers"
        }

    @pytest.mark.parametrize(("status", "said"), [(503, "status 503"), (None, "no answer")])
    def test_liveness_must_not_fail(self, bench: Bench, status: int | None, said: str) -> None:
        """A pod that is restarted for Mistral's fault answers nobody."""
        drill = replace(one("500", healthy.call(0)), probes=(Probe(0.2, "/live", status, 0.01),))
        made = says(bench, failures("520", replace(drill, fault="520")))
        assert made == {
            "RES-001[520]": f"520: the liveness path /live fails with Mistral: found {said}, expected 200 to 299"
        }

    def test_the_health_may_fail(self, bench: Bench) -> None:
        """Other paths than that of the liveness are none of this check's."""
        drill = replace(one("520", healthy.call(0)), probes=healthy.unhealthy())
        assert says(bench, failures("520", drill)) == {}

    def test_a_fault_that_nothing_can_meet_does_not_apply(self, bench: Bench) -> None:
        """Where nothing is streamed no stream is cut; the reason is that of the settings."""
        seen = healthy.failures()
        why = "the service answers in one piece"
        drills = tuple(drill for drill in seen.drills if drill.fault != "stream-cut")
        verdicts = broken(bench, found(failures=replace(seen, drills=drills, left_out={"stream-cut": why})))
        assert {name: (verdict.status, verdict.message) for name, verdict in verdicts.items()} == {
            "RES-001[stream-cut]": ("not_applicable", why)
        }

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_gap_is_no_pass(self, bench: Bench, fault: str) -> None:
        """A fault that reached nobody proves nothing, and its reason is kept."""
        gap = Drill(fault=fault, copy="", gap=GAP)
        verdict = broken(bench, failures(fault, gap))[f"RES-001[{fault}]"]
        assert (verdict.status, verdict.reason) == ("unverified", "not_redirectable")
        assert verdict.message == f"{fault}: no request met the fault"

    def test_a_drill_without_messages_is_no_pass(self, bench: Bench) -> None:
        """Nothing was sent, so nothing was answered."""
        verdict = broken(bench, failures("520", healthy.drill("520", (), ())))["RES-001[520]"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")


def waits(*of_messages: Iterable[float]) -> Drill:
    return healthy.retried("500", tuple(tuple(pauses) for pauses in of_messages))


class TestRetries:
    """RES-002 and RES-003."""

    @pytest.mark.parametrize(
        ("drill", "message"),
        [
            pytest.param(waits((), (), (), ()), "is not asked again: found 1 request for each of 4", id="no-retry"),
            pytest.param(
                waits(*healthy.WAITS[:3], (0.1, 0.2, 0.3)),
                "message 4, mistral-small-2603: asked again more often than declared: found 3 times, expected 2",
                id="one-too-many",
            ),
            pytest.param(
                waits(*[(0.5, 0.5)] * 4), "retries come at a constant interval: found 0.50 s, 0.50 s", id="constant"
            ),
            pytest.param(waits(*[(0.0, 0.001)] * 4), "retries come at a constant interval: found 0.00 s", id="at-once"),
            pytest.param(
                waits(*[(0.2, 0.4)] * 4),
                "each retry comes after the same wait for everybody: found 0.20 s, 0.40 s",
                id="growing-without-chance",
            ),
        ],
    )
    def test_what_is_wrong_is_said(self, bench: Bench, drill: Drill, message: str) -> None:
        """Each in its own words."""
        made = says(bench, failures("500", drill))
        assert list(made) == ["RES-002[500]"]
        assert message in made["RES-002[500]"]

    def test_a_constant_wait_is_one_on_a_busy_machine_too(self, bench: Bench) -> None:
        """A few that come late by chance do not make chance of the others."""
        seen = healthy.failures()
        blurred = waits((0.5, 0.502), (0.503, 0.5), (0.506, 0.507), (0.501, 0.56))
        drills = tuple(
            replace(blurred, fault=drill.fault) if drill.fault in healthy.RETRIED else drill for drill in seen.drills
        )
        made = says(bench, found(failures=replace(seen, drills=drills)))
        assert list(made) == [f"RES-002[{fault}]" for fault in healthy.RETRIED]
        assert all("retries come at a constant interval: found 0.50 s, 0.50 s" in said for said in made.values())

    @pytest.mark.parametrize(
        "drill",
        [
            pytest.param(waits((0.3, 0.1), (0.05, 0.2), (0.21, 0.4), (0.12, 0.33)), id="full-jitter"),
            pytest.param(waits((0.40, 0.9), (0.45, 0.8), (0.49, 0.99), (0.38, 0.76)), id="a-quarter-of-jitter"),
            pytest.param(waits((), (0.21, 0.4), (0.05, 0.2), (0.3, 0.12)), id="one-without-a-retry"),
            pytest.param(waits((0.3,), (0.1,), (0.2,), (0.25,)), id="once"),
            pytest.param(
                waits((0.2, 0.1), (0.2, 0.4), (0.205, 0.5), (0.195, 0.3)), id="alike-by-chance-the-first-time"
            ),
        ],
    )
    def test_waits_with_chance_pass(self, bench: Bench, drill: Drill) -> None:
        """However much or little, so long as not all come at once again."""
        assert says(bench, failures("500", drill)) == {}

    def test_too_few_retries_tell_nothing_of_the_waits(self, bench: Bench) -> None:
        """Two waits may be alike by chance."""
        verdict = broken(bench, failures("500", waits((), (), (0.2,), (0.2,))))["RES-002[500]"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")

    @pytest.mark.parametrize(("wait", "passes"), [(0.96, True), (0.94, False), (0.1, False), (5.0, True)])
    def test_retry_after_is_a_bound_from_below(self, bench: Bench, wait: float, passes: bool) -> None:
        """Later is polite, sooner is not; clocks may be off by a little."""
        made = says(bench, failures("429-retry-after", healthy.retried("429-retry-after", ((wait,), (1.5,)))))
        assert list(made) == ([] if passes else ["RES-002[429-retry-after]"])
        assert passes or f"Retry-After is ignored: found asked again after {wait:.2f} s" in next(iter(made.values()))

    def test_who_is_asked_to_wait_may_give_up(self, bench: Bench) -> None:
        """Where the time named lies beyond the deadline no retry is the right one."""
        assert says(bench, failures("429-retry-after", healthy.retried("429-retry-after", ((), ())))) == {}

    @pytest.mark.parametrize("fault", ["400", "401", "403", "422"])
    def test_a_refusal_asked_again_is_wrong(self, bench: Bench, fault: str) -> None:
        """Once is all that it may be asked, whatever the answer."""
        made = says(bench, failures(fault, healthy.retried(fault, ((0.1,), ()))))
        assert list(made) == [f"RES-003[{fault}]"]
        assert (
            "message 1, mistral-small-2603: a refused message is asked for again: found 2 requests"
            in made[f"RES-003[{fault}]"]
        )

    def test_each_model_is_asked_once(self, bench: Bench) -> None:
        """The fallback model's request is no retry of the first one's."""
        drill = healthy.failed("401")
        others = tuple(replace(asked, model=healthy.OTHER_MODEL, at=0.1) for asked in drill.asked)
        assert says(bench, failures("401", replace(drill, asked=(*drill.asked, *others)))) == {}

    @pytest.mark.parametrize(("fault", "id_"), [("401", "RES-003"), ("503", "RES-002")])
    def test_messages_that_cannot_be_known_again_prove_nothing(self, bench: Bench, fault: str, id_: str) -> None:
        """Requests without the message's mark could be anybody's."""
        drill = healthy.failed(fault)
        lost = replace(drill, asked=tuple(replace(asked, call="") for asked in drill.asked))
        verdict = broken(bench, failures(fault, lost))[f"{id_}[{fault}]"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")
        assert "none of 2 messages reached the provider in a request of its own" in verdict.message


def burst(*numbers: int) -> Drill:
    """Six messages at once, of which these reached the provider."""
    calls = tuple(healthy.call(number) for number in range(6))
    return healthy.drill("500", calls, tuple(healthy.asked(calls[n].id, fault="500") for n in numbers))


def still_asking() -> Drill:
    calls = tuple(healthy.call(number) for number in range(3))
    return healthy.drill(
        "500", calls, tuple(healthy.asked(call.id, fault="500") for call in calls), healthy.unhealthy()
    )


def unanswered() -> Drill:
    calls = (healthy.call(0, "answered"), healthy.call(1))
    return healthy.drill("500", calls, (healthy.asked(calls[0].id),))


class TestCircuit:
    """RES-004, RES-005, RES-006."""

    def test_messages_that_reach_an_open_circuits_provider_are_wrong(self, bench: Bench) -> None:
        """It is not open. Nothing is said of how it tries again: it has no need to."""
        assert says(bench, outages(opened=still_asking())) == {
            "RES-004[500]": "500: after 3 failed messages in a row: messages keep reaching the provider: "
            "found 3 requests for 3 messages, expected none: the circuit open"
        }

    def test_a_circuit_that_no_outage_opens_does_not_try_again_either(self, bench: Bench) -> None:
        """Where it never opens, the claim that it closes holds of nothing."""
        each = tuple(
            replace(healthy.outage(fault), opened=replace(still_asking(), fault=fault)) for fault in ("500", "timeout")
        )
        made = says(bench, found(outages=replace(healthy.outages(), outages=each)))
        assert sorted(made) == ["RES-004[500]", "RES-004[timeout]", "RES-005"]
        assert made["RES-005"] == "each outage: the circuit never opens: messages keep reaching the provider"

    def test_good_messages_must_pass_after_refusals(self, bench: Bench) -> None:
        """What was refused for its own sake says nothing of the next one."""
        made = says(bench, found(outages=replace(healthy.outages(), callers_fault=unanswered())))
        assert list(made) == ["RES-004[422]"]
        assert "1 of 2 with no answer of the model's (503 application/json, 142 bytes)" in made["RES-004[422]"]

    @pytest.mark.parametrize(("trials", "passes"), [(burst(4), True), (burst(1, 2), False), (burst(*range(6)), False)])
    def test_one_message_is_the_trial(self, bench: Bench, trials: Drill, passes: bool) -> None:
        """The others of the burst get the fallback."""
        made = says(bench, outages(trial=trials))
        assert list(made) == ([] if passes else ["RES-005"])
        assert passes or "a stampede in place of a trial" in made["RES-005"]

    def test_as_many_trials_as_are_declared_pass(self, bench: Bench) -> None:
        """A half-open circuit may be declared to let several through."""
        each = (replace(healthy.outage("500"), trial=burst(1, 2)), healthy.outage("timeout"))
        budgets = replace(healthy.BUDGETS, trials=2)
        assert says(bench, found(outages=replace(healthy.outages(), budgets=budgets, outages=each))) == {}

    @pytest.mark.parametrize("kept", [(), ("500",)], ids=["neither", "one"])
    def test_an_outage_that_was_not_made_breaks_no_rule_and_keeps_none(
        self, bench: Bench, kept: tuple[str, ...]
    ) -> None:
        """Evidence that lacks one tells nothing of the circuit, of health or of the recovery."""
        made = broken(bench, found(outages=replace(healthy.outages(), outages=tuple(map(healthy.outage, kept)))))
        lacking = {"RES-004[timeout]", "RES-005", "RES-006", "RES-007", "RES-008"}
        assert made.keys() == lacking | (set() if kept else {"RES-004[500]"})
        assert {(verdict.status, verdict.reason) for verdict in made.values()} == {("unverified", "no_data")}

    @pytest.mark.parametrize("closed", [None, Drill(fault="", copy="copy 1")], ids=["none", "silent"])
    def test_no_message_after_the_outage_is_no_proof_that_it_closed(self, bench: Bench, closed: Drill | None) -> None:
        """That it recovered is told by others."""
        verdict = broken(bench, outages(closed=closed))["RES-005"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")

    def test_retries_of_the_trial_are_one_trial(self, bench: Bench) -> None:
        """What counts is whose messages get through."""
        assert says(bench, outages(trial=burst(2, 2, 2))) == {}

    def test_no_trial_and_no_recovery_is_a_circuit_that_stays_open(self, bench: Bench) -> None:
        """A trial of the service's own shows by its recovery."""
        assert says(bench, outages(trial=burst())) == {}
        made = says(bench, outages(trial=burst(), recovered=None))
        assert sorted(made) == ["RES-005", "RES-008"]
        assert "no trial is made" in made["RES-005"]

    def test_success_must_close_it(self, bench: Bench) -> None:
        """Messages after the recovery are all answered by the model."""
        made = says(bench, outages(closed=unanswered()))
        assert list(made) == ["RES-005"]
        assert "the circuit does not close again: found 1 of 2 messages" in made["RES-005"]

    def test_a_trial_that_was_not_waited_for_is_no_pass(self, bench: Bench) -> None:
        """The drill ended before."""
        verdict = broken(bench, outages(trial=None))["RES-005"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")

    @pytest.mark.parametrize("outcome", ["page", "declined", "lost", "hung", "empty"])
    def test_anything_else_than_a_fallback_is_wrong(self, bench: Bench, outcome: Outcome) -> None:
        """With what was found instead."""
        opened = replace(healthy.outage("500").opened, calls=(healthy.call(0, outcome),))
        made = says(bench, outages(opened=opened))
        assert list(made) == ["RES-006"]
        assert f"500: circuit open: no fallback answers: found {outcome} (503 application/json" in made["RES-006"]

    def test_another_providers_model_is_a_fallback(self, bench: Bench) -> None:
        """A user is answered, and Mistral was not asked."""
        opened = replace(healthy.outage("500").opened, calls=(healthy.call(0, "answered"),))
        assert says(bench, outages(opened=opened)) == {}

    def test_the_fallback_must_not_ask_the_failed_provider(self, bench: Bench) -> None:
        """Another model of the same provider fails with it; that is no open circuit's fault."""
        opened = healthy.outage("500").opened
        asked = (healthy.asked(opened.calls[0].id, fault="500", model=healthy.OTHER_MODEL),)
        assert says(bench, outages(opened=replace(opened, asked=asked))) == {
            "RES-006": "500: circuit open: the fallback asks the provider that failed: "
            "found 1 requests for ministral-8b-2512, expected none"
        }

    @pytest.mark.parametrize("id_", ["RES-004[500]", "RES-005", "RES-006", "RES-007"])
    def test_a_gap_is_no_pass(self, bench: Bench, id_: str) -> None:
        """Where the messages of the open circuit tell nothing, nothing is told of it."""
        verdict = broken(bench, outages(opened=Drill(fault="500", copy="", gap=GAP)))[id_]
        assert (verdict.status, verdict.reason) == ("unverified", "not_redirectable")

    def test_what_ended_before_says_nothing_of_a_circuit(self, bench: Bench) -> None:
        """And it does not recover by itself."""
        ended = "exit code 1; its last lines: boom"
        outage = healthy.outage("500")
        tripping, opened = replace(outage.tripping, ended=ended), replace(outage.opened, ended=ended, calls=())
        verdicts = broken(bench, outages(tripping=tripping, opened=opened, trial=None, recovered=None, closed=None))
        assert {name: verdict.status for name, verdict in verdicts.items()} == {
            "RES-004[500]": "unverified",
            "RES-005": "unverified",
            "RES-006": "unverified",
            "RES-008": "failed",
        }
        assert verdicts["RES-005"].message == f"500: the service had ended: {ended}"
        assert "after the outage: the service ended: found exit code 1" in verdicts["RES-008"].message


class TestOutage:
    """RES-007 and RES-008."""

    def test_health_must_not_say_that_all_is_well(self, bench: Bench) -> None:
        """The last word before the end of the outage counts."""
        lie = (*healthy.alive(), Probe(0.3, "/health", 200, 0.02, says="healthy", healthy=True))
        opened = replace(healthy.outage("500").opened, probes=lie)
        assert says(bench, outages(opened=opened)) == {
            "RES-007": "500: /health: says that all is well: found 'healthy' (status 200) 0.3 s after the outage "
            "began, expected that Mistral does not answer"
        }
        assert says(bench, outages(opened=replace(opened, probes=(*lie, *healthy.unhealthy())))) == {}

    def test_liveness_must_not_fail_at_any_time(self, bench: Bench) -> None:
        """Once is enough to restart a pod."""
        tripping = replace(healthy.outage("500").tripping, probes=(Probe(0.1, "/live", 503, 0.01), *healthy.alive()))
        made = says(bench, outages(tripping=tripping))
        assert list(made) == ["RES-007"]
        assert "500: /live: the liveness path fails with Mistral: found status 503" in made["RES-007"]

    def test_a_health_that_was_not_asked_is_no_pass(self, bench: Bench) -> None:
        """Silence is not the truth."""
        opened = replace(healthy.outage("500").opened, probes=healthy.alive())
        verdict = broken(bench, outages(opened=opened))["RES-007"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")
        assert "/health was not asked" in verdict.message

    @pytest.mark.parametrize(
        ("recovered", "restarted", "message"),
        [
            (3.0, None, ""),
            (3.1, None, "found 3.1 s, expected whole again within 3 s"),
            (None, True, "found it needs a restart"),
            (None, False, "found still degraded"),
            (None, None, "found still degraded"),
        ],
    )
    def test_recovery_has_a_bound(
        self, bench: Bench, recovered: float | None, restarted: bool | None, message: str
    ) -> None:
        """And what is beyond it says what it took."""
        made = says(bench, outages(recovered=recovered, restarted=restarted))
        assert list(made) == (["RES-008"] if message else [])
        assert message in made.get("RES-008", "")


class TestLeaks:
    """RES-009."""

    @pytest.mark.parametrize("where", ["failures", "outages"])
    def test_a_leak_is_located_and_not_shown(self, bench: Bench, where: str) -> None:
        """What, of which fault, and where."""
        leak = Leak("the key", "log of copy 1, field detail", "401")
        seen: Failures | Outages = healthy.failures() if where == "failures" else healthy.outages()
        made = says(bench, found(**{where: replace(seen, leaks=(leak,))}))
        assert made == {"RES-009": "401: log of copy 1, field detail: gives away the key"}

    def test_a_leak_counts_though_the_logs_are_out_of_reach(self, bench: Bench) -> None:
        """What was found was found."""
        leak = Leak("the prompt", "answer to /api/chat (503), the body", "500")
        seen = replace(healthy.failures(), leaks=(leak,), unsearched=GAP)
        assert broken(bench, found(failures=seen))["RES-009"].status == "failed"

    def test_nothing_to_search_is_no_pass(self, bench: Bench) -> None:
        """An empty haystack holds no needle."""
        verdict = broken(bench, found(failures=replace(healthy.failures(), searched=())))["RES-009"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")


def storm(times: Iterable[float]) -> Specimen:
    seen = healthy.load()
    asked = tuple(healthy.asked(f"{number:08x}", at, fault="429") for number, at in enumerate(times))
    return found(load=replace(seen, storm=replace(seen.storm, asked=asked)))


class TestLoad:
    """RES-010 and RES-011."""

    @pytest.mark.parametrize(("requests", "passes"), [(40, True), (41, False)])
    def test_twice_what_is_allowed_is_the_most(self, bench: Bench, requests: int, passes: bool) -> None:
        """Counted over the window, wherever it lies."""
        made = says(bench, storm(3.0 + 0.9 * number / requests for number in range(requests)))
        assert list(made) == ([] if passes else ["RES-010"])
        assert passes or f"found {requests} requests to the provider within 1 s, expected at most 40" in made["RES-010"]

    def test_what_comes_after_the_window_is_no_part_of_it(self, bench: Bench) -> None:
        """Thirty a second are below twice twenty a second, however long it goes on."""
        assert says(bench, storm(number / 30 for number in range(120))) == {}

    @pytest.mark.parametrize(("most", "passes"), [(6, True), (7, False)])
    def test_concurrency_has_a_bound(self, bench: Bench, most: int, passes: bool) -> None:
        """As the provider counts it."""
        seen = healthy.load()
        crowd = replace(seen.crowd, asked=(healthy.asked("00000000", in_flight=most),))
        made = says(bench, found(load=replace(seen, crowd=crowd)))
        assert list(made) == ([] if passes else ["RES-010"])
        assert (
            passes or "12 messages at once: more requests under way than declared: found 7 at once" in made["RES-010"]
        )

    @pytest.mark.parametrize("part", ["storm", "crowd"])
    def test_a_load_that_reached_nobody_is_no_pass(self, bench: Bench, part: str) -> None:
        """No request is not few requests."""
        seen = healthy.load()
        quiet = replace(getattr(seen, part), asked=())
        verdict = broken(bench, found(load=replace(seen, **{part: quiet})))["RES-010"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")

    def test_one_that_fails_is_told_though_the_other_is_blind(self, bench: Bench) -> None:
        """A finding is not lost because something else could not be seen."""
        seen = healthy.load()
        crowd = replace(seen.crowd, asked=(healthy.asked("00000000", in_flight=9),))
        blind = replace(seen, crowd=crowd, storm=Drill(fault="429", copy="", gap=GAP))
        assert broken(bench, found(load=blind))["RES-010"].status == "failed"

    @pytest.mark.parametrize(
        ("worst", "lag", "passes"), [(1.25, 0.0, True), (1.26, 0.0, False), (1.5, 0.3, True), (1.56, 0.3, False)]
    )
    def test_the_slowest_of_a_hundred_has_a_bound(self, bench: Bench, worst: float, lag: float, passes: bool) -> None:
        """Beyond the deadline only for the way there, and for what kept this machine itself waiting."""
        seen = healthy.load()
        calls = (*seen.slow.calls, healthy.call(99, duration=worst))
        made = says(bench, found(load=replace(seen, slow=replace(seen.slow, calls=calls, lag=lag))))
        assert list(made) == ([] if passes else ["RES-011"])

    def test_one_in_two_hundred_may_be_slow(self, bench: Bench) -> None:
        """The bound is of the 99th percentile."""
        seen = healthy.load()
        calls = tuple(healthy.call(number, duration=9.0 if number == 0 else 0.8) for number in range(200))
        assert says(bench, found(load=replace(seen, slow=replace(seen.slow, calls=calls)))) == {}


class TestRotation:
    """RES-012."""

    def test_a_message_may_fail_within_the_window(self, bench: Bench) -> None:
        """The key is not taken up at once everywhere."""
        seen = healthy.rotation()
        calls = tuple(replace(call, outcome="fallback") if 0.5 <= call.at <= 1.5 else call for call in seen.drill.calls)
        assert says(bench, found(rotation=replace(seen, drill=replace(seen.drill, calls=calls)))) == {}

    def test_nothing_is_told_before_the_old_key_ends(self, bench: Bench) -> None:
        """Until then the old one is as good, and an answer no sign of the new one."""
        seen = healthy.rotation()
        calls = tuple(call for call in seen.drill.calls if call.at <= seen.revoked)
        verdict = broken(bench, found(rotation=replace(seen, drill=replace(seen.drill, calls=calls))))["RES-012"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")

    def test_none_may_fail_after_it(self, bench: Bench) -> None:
        """And it says with which key the provider was asked."""
        seen = healthy.rotation()
        calls = tuple(replace(call, outcome="fallback") if call.at > 3.0 else call for call in seen.drill.calls)
        asked = tuple(replace(request, key="previous") for request in seen.drill.asked)
        made = says(bench, found(rotation=replace(seen, drill=replace(seen.drill, calls=calls, asked=asked))))
        assert list(made) == ["RES-012"]
        assert "messages fail after the key was changed: found 9 of 24 (200" in made["RES-012"]
        assert "with the old key" in made["RES-012"]

    def test_no_message_after_the_window_is_no_pass(self, bench: Bench) -> None:
        """The rotation was not waited for."""
        seen = healthy.rotation()
        early = replace(seen.drill, calls=seen.drill.calls[:5])
        verdict = broken(bench, found(rotation=replace(seen, drill=early)))["RES-012"]
        assert (verdict.status, verdict.reason) == ("unverified", "no_data")


def test_what_is_found_outweighs_what_cannot_be_seen() -> None:
    """A look that is blind is told only where the others find nothing."""

    def blind() -> list[str]:
        raise CannotObserve("no_data", "nothing there", remedy="Look again.")

    assert gathered([blind, lambda: ["wrong"]]) == ["wrong"]
    assert gathered([list[str]]) == []
    with pytest.raises(CannotObserve, match="nothing there"):
        gathered([blind, list[str]])


def test_healthy_evidence_is_of_the_declared_types() -> None:
    """What the specimens change is what a run would write down and read back."""
    from pydantic import TypeAdapter

    for value in healthy.everything().values():
        adapter = TypeAdapter(type(value))
        assert adapter.validate_python(adapter.dump_python(value, mode="json")) == value
    assert isinstance(healthy.outage("500"), Outage)
