"""The rules from results to a verdict: that GO means what it says, and that nothing gets better by getting worse."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reports import verdict
from reports.model import STATUSES, Finding, Offender, Parameter, Report, Result, Severity, Status
from tests.reports import runs, strategies

WORSE: dict[Status, tuple[Status, ...]] = {
    "passed": ("waived", "not_run", "unverified", "failed"),
    "not_applicable": ("waived", "not_run", "unverified", "failed"),
    "waived": ("not_run", "unverified", "failed"),
    "not_run": ("failed",),
    "unverified": ("failed",),
    "failed": (),
}
BADNESS = {0: 0, 10: 1, 1: 2}


def finding(status: Status, severity: Severity = "blocker", **fields: object) -> Finding:
    given_ = {"id": "INF-001", "area": "infra", "claim": "It holds."} | fields
    return Finding(status=status, severity=severity, **given_)  # type: ignore[arg-type] # test fields


def decided(*findings: Finding, **facts: object) -> verdict.Decision:
    given_: dict[str, object] = {"phase": "preflight", "pytest_status": 0, "foreign": 0, "ended": True}
    return verdict.decide(findings, **(given_ | facts))  # type: ignore[arg-type] # test facts


def outcome(*findings: Finding, **facts: object) -> tuple[str | None, int]:
    decision = decided(*findings, **facts)
    return decision.verdict, decision.exit_code


ONE_FINDING: list[tuple[Status, Severity, tuple[str, int]]] = [
    ("passed", "blocker", ("GO", 0)),
    ("passed", "advisory", ("GO", 0)),
    ("not_applicable", "blocker", ("GO", 0)),
    ("not_applicable", "advisory", ("GO", 0)),
    ("waived", "blocker", ("GO", 0)),
    ("waived", "advisory", ("GO", 0)),
    ("unverified", "advisory", ("GO", 0)),
    ("failed", "advisory", ("GO", 0)),
    ("failed", "blocker", ("NO-GO", 1)),
    ("unverified", "blocker", ("NO-GO", 10)),
    ("not_run", "blocker", ("PARTIAL", 10)),
    ("not_run", "advisory", ("PARTIAL", 10)),
]


@pytest.mark.parametrize(("status", "severity", "expected"), ONE_FINDING)
def test_each_status_has_its_verdict(status: Status, severity: Severity, expected: tuple[str, int]) -> None:
    """Each status, as blocker and as advisory, beside a blocker that passed."""
    assert outcome(finding("passed", id="INF-000"), finding(status, severity)) == expected


def test_the_table_of_statuses_is_whole() -> None:
    """No status was forgotten above."""
    assert {(status, severity) for status, severity, _ in ONE_FINDING} == {
        (status, severity) for status in STATUSES for severity in ("blocker", "advisory")
    }


PASSED, FAILED, UNVERIFIED, NOT_RUN = (finding(status) for status in ("passed", "failed", "unverified", "not_run"))
ADVISORY_FAILED = finding("failed", "advisory")


@pytest.mark.parametrize(
    ("findings", "facts", "expected"),
    [
        ([PASSED], {"pytest_status": 2}, ("NO-GO", 2)),
        ([PASSED], {"pytest_status": 3}, ("NO-GO", 3)),
        ([PASSED], {"pytest_status": 4}, ("NO-GO", 4)),
        ([PASSED], {"pytest_status": 5}, ("NO-GO", 5)),
        ([PASSED], {"pytest_status": 6}, ("NO-GO", 6)),
        ([PASSED], {"pytest_status": 10}, ("NO-GO", 3)),
        ([PASSED], {"pytest_status": -11}, ("NO-GO", 3)),
        ([FAILED], {"pytest_status": 2}, ("NO-GO", 2)),
        ([PASSED], {"pytest_status": 2, "phase": None}, ("NO-GO", 2)),
        ([PASSED], {"pytest_status": 2, "ended": False}, ("NO-GO", 2)),
        ([PASSED], {"foreign": 1}, ("NO-GO", 1)),
        ([PASSED], {"foreign": 1, "ended": False}, ("NO-GO", 1)),
        ([UNVERIFIED], {"foreign": 1}, ("NO-GO", 1)),
        ([PASSED], {"ended": False}, ("PARTIAL", 10)),
        ([FAILED], {"ended": False}, ("NO-GO", 1)),
        ([UNVERIFIED], {"ended": False}, ("PARTIAL", 10)),
        ([FAILED, NOT_RUN], {}, ("NO-GO", 1)),
        ([UNVERIFIED, NOT_RUN], {}, ("PARTIAL", 10)),
        ([ADVISORY_FAILED, NOT_RUN], {}, ("PARTIAL", 10)),
        ([], {}, ("NO-GO", 5)),
        ([], {"phase": None}, ("NO-GO", 5)),
        ([], {"pytest_status": 4}, ("NO-GO", 4)),
        ([PASSED], {"pytest_status": 1}, ("NO-GO", 1)),
        ([finding("not_applicable")], {"pytest_status": 1}, ("NO-GO", 1)),
        ([PASSED, ADVISORY_FAILED], {"pytest_status": 1}, ("GO", 0)),
        ([finding("waived")], {"pytest_status": 1}, ("GO", 0)),
        ([PASSED], {"phase": None}, (None, 0)),
        ([finding("waived"), finding("not_applicable")], {"phase": None}, (None, 0)),
        ([ADVISORY_FAILED], {"phase": None}, (None, 1)),
        ([finding("unverified", "advisory")], {"phase": None}, (None, 10)),
        ([NOT_RUN], {"phase": None}, (None, 10)),
        ([PASSED], {"phase": None, "ended": False}, (None, 10)),
        ([PASSED], {"phase": None, "foreign": 2}, (None, 1)),
    ],
)
def test_the_run_itself_counts(findings: list[Finding], facts: dict[str, object], expected: tuple[str, int]) -> None:
    """What pytest says, failures of nobody's, and a run that was cut short weigh before the findings do."""
    assert outcome(*findings, **facts) == expected


@pytest.mark.parametrize("status", ["failed", "unverified"])
def test_a_parameter_that_did_not_run_is_not_hidden_by_a_worse_one(status: Status) -> None:
    """An advisory that failed for one alert and was not run for another is not whole, and so neither is the phase."""
    rows = (
        Parameter(name="api-down", status=status, reason=None, message=""),
        Parameter(name="high-latency", status="not_run", reason=None, message=""),
    )
    decision = decided(PASSED, finding(status, "advisory", id="INF-009", parameters=rows))
    assert (decision.verdict, decision.exit_code) == ("PARTIAL", 10)
    assert "not run in part: INF-009" in decision.reasons


def test_a_check_whose_parameters_all_hold_is_whole() -> None:
    """Five alerts that pass are one check that passed."""
    rows = tuple(
        Parameter(name=name, status="passed", reason=None, message="") for name in ("api-down", "rate-limited")
    )
    assert outcome(finding("passed", parameters=rows)) == ("GO", 0)


@settings(deadline=None)  # the machine may be busy
@given(
    strategies.findings(),
    st.sampled_from(["preflight", None]),
    st.integers(-1, 12),
    st.integers(0, 2),
    st.booleans(),
)
def test_go_is_exactly_its_definition(
    findings: list[Finding], phase: str | None, pytest_status: int, foreign: int, ended: bool
) -> None:
    """GO: the phase has checks, all of them ran to the end, and each blocker passed, does not apply or is waived."""
    decision = verdict.decide(findings, phase=phase, pytest_status=pytest_status, foreign=foreign, ended=ended)
    spoken_for = pytest_status == 0 or any(row.status in {"failed", "unverified", "waived"} for row in findings)
    whole = bool(findings) and ended and foreign == 0 and pytest_status in {0, 1} and spoken_for
    ran = all(row.status != "not_run" for row in findings)
    gating = [row for row in findings if phase is None or row.severity == "blocker"]
    holds = all(row.status in {"passed", "not_applicable", "waived"} for row in gating)
    assert (decision.exit_code == 0) == (whole and ran and holds)
    assert (decision.verdict == "GO") == (decision.exit_code == 0 and phase is not None)
    assert (decision.verdict is None) == (phase is None and bool(findings) and pytest_status in {0, 1})


@settings(deadline=None)  # the machine may be busy
@given(strategies.findings(min_size=1), st.data(), st.booleans(), st.integers(0, 1))
def test_nothing_improves_by_getting_worse(
    findings: list[Finding], data: st.DataObject, ended: bool, foreign: int
) -> None:
    """To worsen one finding never betters the exit code and never makes a GO.

    An advisory that was not run is no less than one that failed: the latter is an answer, and it does not gate.
    """
    place = data.draw(st.integers(0, len(findings) - 1))
    unanswered_advice = findings[place].status == "not_run" and findings[place].severity == "advisory"
    candidates = WORSE[findings[place].status]
    assume(candidates and not unanswered_advice)
    worse = list(findings)
    worse[place] = replace(findings[place], status=data.draw(st.sampled_from(candidates)))
    facts = {"phase": "preflight", "pytest_status": 0, "foreign": foreign, "ended": ended}
    before, after = decided(*findings, **facts), decided(*worse, **facts)
    assert BADNESS[after.exit_code] >= BADNESS[before.exit_code]
    assert not (after.verdict == "GO" and before.verdict != "GO")


@settings(deadline=None)  # the machine may be busy
@given(strategies.findings(min_size=1))
def test_promotion_never_improves(findings: list[Finding]) -> None:
    """An advisory that becomes a blocker can only make the verdict worse."""
    promoted = [replace(row, severity="blocker") for row in findings]
    assert BADNESS[decided(*promoted).exit_code] >= BADNESS[decided(*findings).exit_code]


CATALOGUE = {row.id: row for row in (runs.entry("INF-001"), runs.entry("INF-002"), runs.entry("INF-003"))}


def found(*results: Result, not_run: dict[str, str] | None = None, promoted: tuple[str, ...] = ()) -> list[Finding]:
    return list(verdict.findings(CATALOGUE, results, not_run or {}, set(promoted)))


def test_there_is_one_finding_for_each_id_whatever_ran() -> None:
    """The catalogue says what must be answered, and in which order; results in any order do not."""
    rows = found(Result(id="INF-003", status="passed"), Result(id="INF-001", status="failed"))
    assert [(row.id, row.status) for row in rows] == [
        ("INF-001", "failed"),
        ("INF-002", "not_run"),
        ("INF-003", "passed"),
    ]
    assert rows[1].message == verdict.UNTOLD == "no result of it was reported"
    assert "pytest -m preflight" in rows[1].remedy


def test_a_check_that_did_not_run_says_why() -> None:
    """The reason that pytest's side gives is the message."""
    assert found(not_run={"INF-002": "deselected by -k"})[1].message == "deselected by -k"


WORST = [
    (("failed", "unverified", "not_run", "waived", "passed", "not_applicable"), "failed"),
    (("unverified", "not_run", "waived", "passed", "not_applicable"), "unverified"),
    (("not_run", "waived", "passed", "not_applicable"), "not_run"),
    (("waived", "passed", "not_applicable"), "waived"),
    (("passed", "not_applicable"), "passed"),
    (("not_applicable",), "not_applicable"),
]


@pytest.mark.parametrize(("statuses", "expected"), WORST)
def test_the_worst_parameter_counts(statuses: tuple[Status, ...], expected: Status) -> None:
    """failed > unverified = not_run > waived > passed > not_applicable, in whatever order they came."""
    results = [Result(id="INF-001", status=status, parameter=status) for status in reversed(statuses)]
    assert found(*results)[0].status == expected


def test_a_finding_gathers_what_its_worst_results_say() -> None:
    """All failing parameters' offenders and messages, one message once; everybody's evidence; the whole duration."""
    down, late = Offender("api-down", "rules"), Offender("high-latency", "rules")
    row = found(
        Result(id="INF-001", parameter="a", status="passed", message="fine", evidence=("x.json",), duration=1),
        Result(id="INF-001", parameter="b", status="failed", message="none", offenders=(down,), evidence=("y.json",)),
        Result(id="INF-001", parameter="c", status="failed", message="none", offenders=(late, down), duration=2),
        Result(id="INF-001", parameter="d", status="failed", message="other", remedy="Do d.", evidence=("x.json",)),
    )[0]
    assert row.message == "b, c: none\nd: other"
    assert row.offenders == (down, late)
    assert row.evidence == ("x.json", "y.json")
    assert row.duration == 3
    assert row.remedy == "Do d."
    assert [(parameter.name, parameter.status) for parameter in row.parameters] == [
        ("a", "passed"),
        ("b", "failed"),
        ("c", "failed"),
        ("d", "failed"),
    ]


def test_a_finding_is_told_in_one_order_whichever_parameter_ends_first() -> None:
    """By the catalogue's: two runs of one state, and a run and its replay, read the same."""
    results = [Result(id="INF-009", parameter=name, status="failed", message=name) for name in ("a", "b", "c", "other")]
    entry = runs.entry("INF-009", parameters=("c", "a", "b"))
    for came in permutations(results):
        (row,) = verdict.findings({"INF-009": entry}, came, {}, ())
        assert row.message.splitlines() == ["c: c", "a: a", "b: b", "other: other"]
        assert [parameter.name for parameter in row.parameters] == ["c", "a", "b", "other"]


def test_a_check_tried_twice_has_the_worse_of_its_results() -> None:
    """A rerun that passes does not wipe out the failure before it."""
    row = found(Result(id="INF-001", status="failed", message="first"), Result(id="INF-001", status="passed"))[0]
    assert (row.status, row.message, row.parameters) == ("failed", "first", ())
    twice = [Result(id="INF-002", parameter="a", status=status) for status in ("failed", "passed")]
    assert [parameter.status for parameter in found(*twice)[1].parameters] == ["failed"]


def test_a_waived_finding_keeps_what_is_beneath_and_the_waiver() -> None:
    """The worst of what the waiver covers is what is beneath."""
    row = found(
        Result(id="INF-001", parameter="a", status="waived", beneath="unverified", reason="denied", waiver=runs.WAIVER),
        Result(id="INF-001", parameter="b", status="waived", beneath="failed", waiver=runs.WAIVER),
    )[0]
    assert (row.status, row.beneath, row.waiver, row.reason) == ("waived", "failed", runs.WAIVER, "denied")
    assert [finding_.beneath for finding_ in found(Result(id="INF-001", status="failed"))] == [None] * 3


def test_a_parameter_left_out_beside_others_is_seen() -> None:
    """`not_run` for a check that has results too counts as one more parameter."""
    row = found(Result(id="INF-001", parameter="a", status="passed"), not_run={"INF-001": "the others: by -k"})[0]
    assert (row.status, row.message) == ("not_run", "the others: by -k")
    assert [parameter.name for parameter in row.parameters] == ["a", "the others"]


def test_promotion_makes_a_blocker_and_nothing_demotes_one() -> None:
    """An environment may only add to what gates."""
    rows = (
        runs.entry("INF-005", severity="advisory"),
        runs.entry("INF-006"),
        runs.entry("INF-007", severity="advisory"),
    )
    found = verdict.findings({row.id: row for row in rows}, [], {}, {"INF-005"})
    assert [row.severity for row in found] == ["blocker", "blocker", "advisory"]


def test_results_of_unknown_ids_are_strays() -> None:
    """They answer nothing that was asked, and are not lost either."""
    known, stray = Result(id="INF-001", status="passed"), Result(id="INF-999", status="failed")
    assert [row.id for row in found(known, stray)] == list(CATALOGUE)
    assert verdict.strays(CATALOGUE, [known, stray]) == [stray]


@pytest.mark.parametrize(
    ("findings", "facts", "expected"),
    [
        ([PASSED], {}, "GO: 1 of 1 check holds"),
        ([PASSED, finding("passed")], {}, "GO: 2 of 2 checks hold"),
        (
            [PASSED, finding("failed", "advisory", id="INF-005"), finding("waived", id="SEC-001")],
            {},
            "GO: 1 of 3 checks holds; 1 fails: INF-005 (advisory); 1 is waived: SEC-001",
        ),
        (
            [
                finding("failed", id="INF-002"),
                finding("failed", id="SEC-003"),
                finding("unverified", id="INF-008"),
                PASSED,
            ],
            {},
            "NO-GO: 2 of 4 checks fail: INF-002, SEC-003; 1 could not be verified: INF-008",
        ),
        (
            [NOT_RUN, finding("not_run", "advisory", id="INF-005"), finding("waived"), finding("waived", id="SEC-001")],
            {},
            "PARTIAL: 2 of 4 checks were not run: INF-001, INF-005 (advisory); 2 are waived: INF-001, SEC-001",
        ),
        (
            [PASSED, finding("not_run", "advisory", id="INF-005")],
            {},
            "PARTIAL: 1 of 2 checks was not run: INF-005 (advisory)",
        ),
        ([NOT_RUN, PASSED], {}, "PARTIAL: 1 of 2 checks was not run: INF-001"),
        ([finding("not_applicable"), PASSED], {}, "GO: 1 of 2 checks holds; 1 does not apply"),
        ([finding("not_applicable"), finding("not_applicable")], {}, "GO: 0 of 2 checks hold; 2 do not apply"),
        ([PASSED], {"ended": False}, "PARTIAL: the run was cut short; 1 of 1 check holds"),
        ([PASSED], {"foreign": 1}, "NO-GO: 1 failure belongs to no check; 1 of 1 check holds"),
        ([PASSED], {"foreign": 2}, "NO-GO: 2 failures belong to no check; 1 of 1 check holds"),
        (
            [PASSED],
            {"pytest_status": 2},
            "NO-GO: the run was interrupted (pytest status 2); 1 of 1 check holds",
        ),
        (
            [PASSED],
            {"pytest_status": 1},
            "NO-GO: pytest reports a failure that no finding explains; 1 of 1 check holds",
        ),
        ([], {"pytest_status": 5}, "NO-GO: no check was selected (pytest status 5); there is no check to answer"),
        ([PASSED], {"phase": None}, "No verdict: 1 of 1 check holds"),
    ],
)
def test_the_headline_says_what_decides_first(findings: list[Finding], facts: dict[str, object], expected: str) -> None:
    """One sentence, the deciding clause first, ids named."""
    assert verdict.headline(decided(*findings, **facts), sandbox=False) == expected


@pytest.mark.parametrize(
    ("pytest_status", "says"),
    [
        (2, "the run was interrupted"),
        (3, "pytest met an internal error"),
        (4, "pytest was called wrongly"),
        (5, "no check was selected"),
        (6, "pytest met more warnings than are allowed"),
        (7, "pytest ended in an unknown way"),
    ],
)
def test_pytest_s_own_end_is_said_in_words(pytest_status: int, says: str) -> None:
    """With the number, for who looks it up."""
    assert decided(PASSED, pytest_status=pytest_status).reasons[0] == f"{says} (pytest status {pytest_status})"


def test_the_headline_names_ten_ids_at_most() -> None:
    """A phase that fails as a whole still has a headline that can be read."""
    rows = [finding("failed", id=f"INF-{number:03}") for number in range(1, 15)]
    assert decided(*rows).reasons[0].endswith("INF-010 and 4 more")


def test_the_headline_carries_its_caveats() -> None:
    """A sandbox proves nothing about a real service; a replay looked at nothing."""
    decision = decided(PASSED)
    assert verdict.headline(decision, sandbox=True).endswith("(sandbox: this proves nothing about a real service)")
    assert verdict.headline(decision, sandbox=True, replay="R").endswith(
        "(sandbox: this proves nothing about a real service; replay of R: nothing was looked at anew)"
    )


def report(verdict_: str | None, exit_code: int) -> Report:
    return Report(
        schema="1",
        phase="preflight" if verdict_ else None,
        environment={"name": "staging", "sandbox": False, "config": []},
        verdict=verdict_,  # type: ignore[arg-type] # one of the verdicts
        exit_code=exit_code,
        headline=f"{verdict_ or 'No verdict'}: as it was",
        started=runs.STARTED,
        finished=runs.FINISHED,
        service={"name": "chat", "image": None, "revision": None},
        suite={"version": "1", "revision": None},
        findings=(),
        observations=(),
        counts={},
        masked={"total": 0, "by_kind": {}},
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("GO", 0), ("PARTIAL", 10, "PARTIAL: the disk is full; as it was")),
        (("PARTIAL", 10), ("PARTIAL", 10, "PARTIAL: the disk is full; as it was")),
        (("NO-GO", 1), ("NO-GO", 1, "NO-GO: the disk is full; as it was")),
        (("NO-GO", 4), ("NO-GO", 4, "NO-GO: the disk is full; as it was")),
        ((None, 0), (None, 10, "No verdict: the disk is full; as it was")),
    ],
)
def test_trouble_with_the_report_itself_is_never_go(
    before: tuple[str | None, int], after: tuple[str | None, int, str]
) -> None:
    """It is said first in the headline, the exit code is not 0, and a worse verdict stays."""
    worse = verdict.worsened(report(*before), ["the disk is full"])
    assert (worse.verdict, worse.exit_code, worse.headline) == after
    assert worse.notes == ("the disk is full",)


def test_no_trouble_leaves_the_report_as_it_is() -> None:
    """Nothing is made worse for nothing."""
    assert verdict.worsened(report("GO", 0), []) == report("GO", 0)
