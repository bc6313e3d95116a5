"""Which findings have one cause: what is grouped is the same, and what is not the same is not grouped."""

from __future__ import annotations

from typing import Any

import pytest

from reports.causes import blocks
from reports.model import Finding

DOWN: dict[str, Any] = {"status": "unverified", "reason": "unreachable", "remedy": "Start it."}
REFUSED = "10.0.0.1:6443 refuses connections"


def finding(id_: str, **fields: Any) -> Finding:
    given: dict[str, Any] = {"area": "infra", "severity": "blocker", "claim": "It holds.", "status": "failed"}
    return Finding(id=id_, **(given | fields))


def ids(*findings: Finding) -> list[list[str]]:
    return [[row.id for row in block.findings] for block in blocks(findings)]


def test_the_same_message_is_one_cause() -> None:
    """Whatever stands between them, in the order of the first."""
    same = {"status": "unverified", "reason": "crashed", "message": "the look raised TypeError"}
    assert ids(finding("A", **same, remedy="Mend a."), finding("B"), finding("C", **same)) == [["A", "C"], ["B"]]


def test_the_same_peer_is_one_cause_whatever_it_was_asked() -> None:
    """The reason, the end of the message and the remedy are the same."""
    (block,) = blocks([finding(id_, message=f"get {id_}: {REFUSED}", **DOWN) for id_ in "AB"])
    assert block.cause == REFUSED
    assert [(question, [row.id for row in rows]) for question, rows in block.questions] == [
        ("get A", ["A"]),
        ("get B", ["B"]),
    ]


def test_the_cause_names_the_peer_where_the_messages_do() -> None:
    """`Prometheus`, not only its address; names of parameters before it are no part of it."""
    asked = {"A": "Prometheus (GET http://p/rules)", "B": "api-down, high-latency: Prometheus (GET http://p/targets)"}
    (block,) = blocks([finding(id_, message=f"{text}: {REFUSED}", **DOWN) for id_, text in asked.items()])
    assert block.cause == f"Prometheus: {REFUSED}"


def test_a_question_may_be_only_which_of_several() -> None:
    """One message is the other with names of parameters before it: the cause is the whole of what they share."""
    unset: dict[str, Any] = {"status": "unverified", "reason": "not_configured", "remedy": "Set it."}
    said = "production.toml: [runbook] incident is not set"
    (block,) = blocks([finding("A", message=f"401, 429: {said}", **unset), finding("B", message=said, **unset)])
    assert block.cause == said
    assert [(question, [row.id for row in rows]) for question, rows in block.questions] == [
        ("401, 429", ["A"]),
        ("", ["B"]),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"message": f"get B: {REFUSED}", "remedy": "Start the other."},
        {"message": f"get B: {REFUSED}", "reason": "timeout"},
        {"message": "get B: 10.0.0.2:6443 refuses connections"},
        {"message": f"get B\n: {REFUSED}"},
        {"message": f"get B: {REFUSED}", "status": "failed", "reason": None},
    ],
    ids=["remedy", "reason", "end", "lines", "status"],
)
def test_what_differs_in_more_than_the_question_stays_apart(other: dict[str, Any]) -> None:
    """Another remedy, reason, peer, or status is another cause."""
    assert ids(finding("A", message=f"get A: {REFUSED}", **DOWN), finding("B", **(DOWN | other))) == [["A"], ["B"]]


def test_silence_is_no_cause() -> None:
    """Two findings without a message share nothing; each waiver is a word of its own."""
    assert ids(finding("A"), finding("B")) == [["A"], ["B"]]
    waived = {"status": "waived", "message": "the same"}
    assert ids(finding("A", **waived), finding("B", **waived)) == [["A"], ["B"]]


def test_each_remedy_is_given_once() -> None:
    """With the findings that it is for."""
    rows = [finding(id_, message="the same", remedy=remedy) for id_, remedy in zip("ABC", "xxy", strict=True)]
    (block,) = blocks(rows)
    assert {remedy: [row.id for row in of] for remedy, of in block.remedies.items()} == {"x": ["A", "B"], "y": ["C"]}
