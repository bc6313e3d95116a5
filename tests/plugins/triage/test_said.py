"""What the pods' log is taken to say of the cause: from its kinds of errors to the answers of the tree."""

from __future__ import annotations

from fixtures.logs.digest import LogDigest, Signature
from fixtures.triage.log import KINDS, ErrorLog, merged
from plugins.triage.answers import _log
from plugins.triage.tree import tree


def error(text: str, count: int = 1) -> Signature:
    return Signature(text, "error", count, "", "", text, "chat-1/chat, line 4")


def said(*errors: Signature) -> dict[str, str]:
    """The answers, by question."""
    found = merged([LogDigest("chat-1/chat", 9_999, 99, 0, None, errors, ())])
    log = ErrorLog("Deployment chat/chat", 2, 2, None, 600.0, 2, 9_999, found, ())
    return {question: word for question, word, _ in _log(log, tree())}


def test_a_cause_is_found_among_all_kinds_of_errors() -> None:
    """It need not be among those that came last."""
    others = [error(f"cannot do {chr(97 + number)}", 9) for number in range(13)]
    assert said(error("invalid api key", 400), *others)["said-auth"] == "yes"
    assert said(*others, error("invalid api key"))["said-auth"] == "yes"


def test_no_is_said_only_where_every_kind_was_looked_at() -> None:
    """What was not told apart may speak of anything."""
    few = [error(f"cannot do {number}", 9) for number in range(KINDS)]
    assert said(*few)["said-auth"] == "no"
    assert "said-auth" not in said(*few, error("cannot do more"))
