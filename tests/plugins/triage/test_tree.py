"""The tree as data: every row can hold, none holds without each of its answers, and a broken file says where."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from plugins.catalogue import Catalogue
from plugins.triage.before import PHASES
from plugins.triage.runbook import page
from plugins.triage.tree import FILE, LEVELS, UNASKED, Condition, Fact, Row, TreeError, tree
from plugins.triage.words import WORDS

ROOT = Path(__file__).resolve().parents[3]
TREE = tree()
CHECKS = {
    id_ for id_, check in Catalogue.load(ROOT / "checks" / "catalogue.json").entries.items() if check.phase in PHASES
}
ROWS = [pytest.param(row, id=f"{number}-{row.diagnosis}") for number, row in enumerate(TREE.rows, 1)]
DIAGNOSES = [
    "nothing-wrong",
    "key-rejected",
    "model-not-allowed",
    "model-retired",
    "rate-limited-requests",
    "rate-limited-tokens",
    "never-allowed",
    "provider-capacity",
    "provider-errors",
    "provider-slow",
    "unreachable-dns",
    "unreachable-tcp",
    "unreachable-tls",
    "unreachable-egress",
    "unreachable-proxy",
    "service-down",
    "own-bug",
    "circuit-open",
    "fallback-failing",
    "metrics-blind",
    "unknown",
]


def _facts(condition: Condition) -> dict[str, Fact]:
    """The first answers with which a condition holds."""
    return {
        question: Fact(answers[0], f"{question} is {answers[0]}", "observations/x.json")
        for question, answers in condition.answers.items()
        if answers[0] != UNASKED
    }


def test_the_diagnoses_are_those_that_were_agreed() -> None:
    """Each has a title; a page of the runbook bears its id."""
    assert sorted(TREE.titles) == sorted(DIAGNOSES)
    assert {row.diagnosis for row in TREE.rows} == set(DIAGNOSES)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_holds_by_its_answers_and_by_every_one_of_them(row: Row) -> None:
    """Each question that must have been answered is needed: unasked, or answered otherwise, the row does not hold."""
    facts = _facts(row.when)
    assert row.when.holds(facts)
    for question, answers in row.when.answers.items():
        if UNASKED not in answers:
            assert not row.when.holds({name: fact for name, fact in facts.items() if name != question})
        for other in set(WORDS[question]) - set(answers):
            assert not row.when.holds(facts | {question: Fact(other, "", "")})


@pytest.mark.parametrize("row", ROWS)
def test_a_row_needs_an_answer(row: Row) -> None:
    """No cause is stated where nothing was answered."""
    assert not row.when.holds({})
    assert any(UNASKED not in answers for answers in row.when.answers.values())


@pytest.mark.parametrize("row", [row for row in ROWS if not row.values[0].aside])  # type: ignore[union-attr] # a Row
def test_no_row_stands_behind_one_that_always_holds_before_it(row: Row) -> None:
    """A row that another hides can never be the diagnosis."""

    def hides(before: Row) -> bool:
        return not before.unless and all(
            set(row.when.answers.get(question, (*WORDS[question], UNASKED))) <= set(answers)
            for question, answers in before.when.answers.items()
        )

    earlier = itertools.takewhile(lambda other: other is not row, TREE.rows)
    assert [other.diagnosis for other in earlier if not other.aside and hides(other)] == []


DARK = {"health": "down", "users": "unreached", "metrics": "unreachable", "cluster": "timeout", "mistral": "refused"}


@pytest.mark.parametrize(
    ("answers", "sure", "level"),
    [
        ({}, None, None),
        ({"mistral": UNASKED}, None, None),
        ({"mistral": "ok"}, None, None),
        ({"health": "name"}, None, None),
        ({"mistral": "unauthorized"}, "likely", None),
        ({"mistral": "ok", "metrics": "not_configured", "cluster": "not_configured"}, "confirmed", "P1"),
        ({"metrics": "not_configured", "cluster": "tool_missing"}, "likely", None),
        ({"metrics": "answers"}, "confirmed", "P1"),
        ({"metrics": "no_data"}, "confirmed", "P1"),
        ({"cluster": "denied"}, "confirmed", "P1"),
    ],
)
def test_a_service_is_down_for_sure_only_where_another_answers(
    answers: dict[str, str], sure: str | None, level: str | None
) -> None:
    """That nothing comes through says most about here: neither that users are served nor that they are not."""
    facts = {name: Fact(word, "", "") for name, word in (DARK | answers).items() if word != UNASKED}
    row, others = TREE.walked(facts)
    assert next((one.sure for one in (row, *others) if one.diagnosis == "service-down"), None) == sure
    assert ("your own connection" in row.title) is (sure is None)
    rule = TREE.rule(facts)
    assert (rule.level if rule else None) == level


def test_beside_the_doubt_about_ones_own_connection_nothing_is_stated_that_rests_on_it() -> None:
    """That Mistral is silent too proves nothing of Mistral."""
    facts = {name: Fact(word, "", "") for name, word in (DARK | {"mistral": "silent"}).items()}
    assert TREE.walked(facts)[1] == []


@pytest.mark.parametrize(
    ("answers", "title", "level"),
    [
        ({}, "though it serves others", "P2"),
        ({"pods": UNASKED}, "though it serves others", "P2"),
        ({"rate": "over"}, "", "P2"),
        ({"rate": UNASKED}, "", "P1"),
        ({"rate": "most"}, "", "P1"),
        ({"pods": "none"}, "Our service is down", "P2"),
    ],
)
@pytest.mark.parametrize("health", ["page", "name"])
def test_what_our_message_meets_on_its_way_need_not_be_what_others_meet(
    health: str, answers: dict[str, str], title: str, level: str
) -> None:
    """Where calls and pods were measured, they outweigh a page or a name that fails from here."""
    told = {"mistral": "ok", "health": health, "users": "failed", "rate": "within", "pods": "all", **answers}
    facts = {name: Fact(word, "", "") for name, word in told.items() if word != UNASKED}
    row, _ = TREE.walked(facts)
    assert (row.diagnosis, row.sure) == ("service-down", "confirmed" if answers.get("pods") == "none" else "likely")
    assert title in row.title
    assert {"rate", "pods"} & row.when.told(facts).keys() or not title
    rule = TREE.rule(facts)
    assert rule is not None
    assert rule.level == level


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].do])  # type: ignore[union-attr] # a Row
def test_the_steps_that_a_row_names_are_of_its_page(row: Row) -> None:
    """Each by the words that one step begins with."""
    steps = page(row.diagnosis).sections["Do"]
    assert [sum(step.says.startswith(begins) for step in steps) for begins in row.do] == [1] * len(row.do)


def test_without_a_single_answer_it_is_unknown_and_not_measured() -> None:
    """Nothing known, nothing said."""
    row, others = TREE.walked({})
    assert (row.diagnosis, row.sure, others, TREE.rule({})) == ("unknown", "unknown", [], None)


def test_what_follows_is_told_beside_the_cause() -> None:
    """A rejected key with the circuit open and Prometheus away: the key is the diagnosis, the rest is told too."""
    facts = {
        "mistral": Fact("unauthorized", "401", "a"),
        "circuit": Fact("open", "open", "b"),
        "metrics": Fact("unreachable", "down", "c"),
    }
    row, others = TREE.walked(facts)
    assert (row.diagnosis, row.sure) == ("key-rejected", "confirmed")
    assert [other.diagnosis for other in others] == ["circuit-open", "metrics-blind"]


WELL = {
    "mistral": "ok", "health": "healthy", "users": "served", "rate": "none", "pods": "all", "log": "quiet"
}  # fmt: skip


@pytest.mark.parametrize(
    ("pods", "title"),
    [
        ("all", "Nothing is wrong"),
        (UNASKED, "Nothing is wrong, as far as could be asked"),
        ("some", "Not all of our pods are available"),
        ("none", "None of our pods is available"),
        ("scaled-to-0", "Our Deployment is scaled to 0"),
        ("absent", "Our Deployment is not there, or has another name"),
    ],
)
def test_where_pods_are_missing_something_is_wrong(pods: str, title: str) -> None:
    """Though all else is well, and users are served."""
    facts = {name: Fact(word, "", "") for name, word in (WELL | {"pods": pods}).items() if word != UNASKED}
    assert TREE.walked(facts)[0].title == title


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ({"rate": "most"}, "P1"),
        ({"rate": "most", "users": "served"}, "P1"),
        ({"health": "down", "users": "unreached", "rate": "within"}, "P1"),
        ({"users": "failed"}, "P1"),
        ({"users": "failed", "rate": "over"}, "P1"),
        ({"users": "failed", "rate": "within"}, "P2"),
        ({"users": "failed", "rate": "few"}, "P1"),
        ({"users": "served", "rate": "few"}, "P4"),
        ({"rate": "few"}, None),
        ({"users": "fallback"}, "P2"),
        ({"users": "silent"}, "P2"),
        ({"rate": "over", "users": "served"}, "P2"),
        ({"health": "degraded", "users": "served", "rate": "none"}, "P3"),
        ({"mistral": "capacity", "users": "served", "rate": "none"}, "P3"),
        ({"pods": "some", "users": "served", "rate": "none"}, "P3"),
        ({"pods": "none", "users": "served", "rate": "none"}, "P3"),
        ({"pods": "absent", "users": "served", "rate": "none"}, "P3"),
        ({"pods": "some", "rate": "within"}, "P3"),
        ({"pods": "some", "users": "failed", "rate": "within"}, "P2"),
        ({"trend": "up", "rate": "within"}, "P3"),
        ({"users": "served", "rate": "none"}, "P4"),
        ({"health": "healthy", "rate": "within"}, "P4"),
        ({"rate": "none"}, None),
        ({"rate": "within", "mistral": "ok"}, None),
        ({"mistral": "unauthorized"}, None),
        ({"health": "healthy"}, None),
        ({"metrics": "unreachable"}, None),
        ({}, None),
    ],
)
def test_severity_goes_by_what_was_measured(answers: dict[str, str], level: str | None) -> None:
    """The impact on users decides; where it was not measured there is no severity."""
    rule = TREE.rule({question: Fact(word, "", "") for question, word in answers.items()})
    assert (rule.level if rule else None) == level


def test_each_level_has_its_time_to_respond() -> None:
    """Worse is sooner."""
    assert list(TREE.respond) == list(LEVELS)
    assert len(set(TREE.respond.values())) == len(LEVELS)


def test_the_checks_that_it_names_are_of_the_verdicts_that_are_looked_through() -> None:
    """What a verdict had left open is looked for by ids of the catalogue; each stands once in its list."""
    for ids in TREE.checks.values():
        assert [id_ for id_ in ids if id_ not in CHECKS] == []
        assert len(ids) == len(set(ids))


def test_each_check_of_those_verdicts_concerns_some_diagnosis() -> None:
    """A check that is left open and concerns no failure would never be told of at night."""
    assert sorted(CHECKS - {id_ for ids in TREE.checks.values() for id_ in ids}) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("auth", "auth"),
        ("401", "auth"),
        ("rate_limited", "rate"),
        ("RateLimitError", "rate"),
        ("429", "rate"),
        ("timeout", "timeout"),
        ("ReadTimeout", "timeout"),
        ("network", "network"),
        ("ECONNREFUSED", "network"),
        ("invalid", "invalid"),
        ("422", "invalid"),
        ("server", "server"),
        ("503", "server"),
        ("banana", "other"),
        ("", "other"),
    ],
)
def test_a_service_s_own_words_for_its_failures_are_understood(name: str, kind: str) -> None:
    """By what they come to; a word that nobody knows is no kind."""
    assert TREE.kind(name) == kind


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("failed by Mistral (kind=auth, status=401)", {"said-auth"}),
        ('{"status": "429", "msg": "failed"}', {"said-rate"}),
        ('{"code":422}', {"said-invalid"}),
        ("answered 503 after 0.401 s", {"said-server"}),
        ("answered after 0.429 s", set()),
        ("answered after 503 ms, 400ms of it waiting", set()),
        ("latency 504.2", set()),
        ("at 10:00:00.422Z chat-4011 came", set()),
    ],
)
def test_a_status_in_a_line_is_told_from_any_other_number(line: str, said: set[str]) -> None:
    """A duration of 0.401 s refuses no key."""
    assert {question for question, pattern in TREE.said.items() if pattern.search(line)} == said


BROKEN = {
    "": ('diagnosis = "key-rejected"', 'diagnosis = "key-lost"', "row 5 (key-lost): found the diagnosis key-lost"),
    "sure": ('sure = "likely"', 'sure = "maybe"', "found sure = 'maybe', expected one of confirmed, likely, unknown"),
    "word": ('mistral = "unauthorized"', 'mistral = "401"', "row 5 (key-rejected): found mistral = '401'"),
    "group": ('rate = "@failing"', 'rate = "@bad"', "found the group '@bad', expected one of spared"),
    "unless": ('{ mistral = ["@unconnected", "?"]', '{ mistral = ["gone"]', "found mistral = 'gone'"),
    "question": ('circuit = "open" }', 'fuse = "open" }', "found the question 'fuse'"),
    "level": ('level = "P1"', 'level = "P0"', "severity 1: found level = 'P0', expected one of P1, P2, P3, P4, ?"),
    "key": ('when = { mistral = "never" }', 'when = { mistral = "never" }\nweight = 3', "found the key weight"),
    "empty": ('when = { mistral = "never" }', "when = {}", "found an empty condition"),
    "questions": ('pods = "Are', 'pots = "Are', "[questions]: found others than those that are asked: pods, pots"),
    "words": ('words = ["rate", ', 'names = ["rate", ', "[kinds.rate]: found no words, expected words, and perhaps"),
    "statuses": ('statuses = "429"', 'status = "429"', "[kinds.rate]: found the key status, expected words"),
    "expression": ('statuses = "429"', 'statuses = "(429"', "[kinds.rate]: found what is no regular expression"),
    "said": ("said-rate = '", "said-rate = '(", "[said] said-rate: found what is no regular expression"),
    "toml": ("[[row]]", "[[row]", "the file: found what cannot be read"),
}


@pytest.mark.parametrize(("found", "put", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_tree_says_which_row_and_what_was_expected(found: str, put: str, says: str, tmp_path: Path) -> None:
    """Whoever edits it learns where."""
    text = FILE.read_text()
    assert found in text
    file = tmp_path / FILE.name
    file.write_text(text.replace(found, put, 1))
    with pytest.raises(TreeError, match=re.escape(says)):
        tree(file)
