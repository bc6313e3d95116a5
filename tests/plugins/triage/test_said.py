"""What the pods' log is taken to say of the cause: from its kinds of errors to the answers of the tree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.logs.digest import LogDigest, Signature
from fixtures.triage.log import KINDS, ErrorLog, merged
from fixtures.triage.rates import ErrorRates
from plugins.triage.answers import _kind, _log
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


@pytest.mark.parametrize(
    "line",
    [
        "at answer (/app/dist/server.js:400:12)",
        "at answer (/app/dist/server.js:12:401)",
        'File "/app/chat/answers.py", line 503, in answer',
        "main.answer /app/main.go:429 +0x1d",
        "disk quota exceeded",
        "redis: operation timed out",
        "connection refused: postgres-0:5432",
    ],
)
def test_a_place_and_another_peer_name_no_cause(line: str) -> None:
    """Neither is a number in a trace a status, nor a cache that hangs a slow Mistral."""
    assert "yes" not in said(error(line)).values()


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("Mistral answered 400 at answer (/app/dist/server.js:401:9)", "said-invalid"),
        ("operation timed out", "said-timeout"),
        ("the call to mistral timed out, nothing goes to redis", "said-timeout"),
        ("connect ECONNREFUSED 10.0.0.1:443", "said-network"),
        ("quota exceeded", "said-rate"),
    ],
)
def test_what_speaks_of_a_cause_is_heard(line: str, question: str) -> None:
    """Where nothing speaks against it, or Mistral is named."""
    assert [name for name, word in said(error(line)).items() if word == "yes"] == [question]


def test_a_peer_whose_name_is_masked_is_another_all_the_same() -> None:
    """It stands in the first line of its kind."""
    assert said(replace(error("<text> timed out"), sample="'redis-0' timed out"))["said-timeout"] == "no"


def test_the_status_that_decides_is_shown() -> None:
    """A number that is masked in the kind of the error stands in its first line."""
    row = replace(error("Mistral answered <n>", 3), sample="Mistral answered 401")
    log = ErrorLog("Deployment chat/chat", 2, 2, None, 600.0, 2, 9_999, (row,), ())
    assert ("said-auth", "yes", "3 x Mistral answered 401 (chat-1/chat, line 4)") in list(_log(log, tree()))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("client_closed", "other"),
        ("generate_failed", "other"),
        ("content_moderated", "other"),
        ("token_limit_exceeded", "other"),
        ("disk_quota", "other"),
        ("corporate_proxy", "network"),
        ("key_refused", "auth"),
        ("InvalidApiKey", "auth"),
        ("AuthenticationError", "auth"),
        ("APITimeoutError", "timeout"),
        ("APIConnectionError", "network"),
        ("InternalServerError", "server"),
        ("http_503", "server"),
        ("rate.limited", "rate"),
    ],
)
def test_a_kind_is_known_by_whole_words(name: str, kind: str) -> None:
    """What merely holds the letters of one is another."""
    assert tree().kind(name) == kind


def test_the_service_s_own_word_for_a_kind_is_shown() -> None:
    """Whoever reads the diagnosis can judge what it was taken for."""
    found = ErrorRates(300.0, 100.0, 60.0, 0.6, {"http_422": 60.0}, 0.5, 3600.0, 0.01, 0.0, ())
    assert _kind(found, tree()) == (
        "invalid",
        "60 of 60 failures are of the kind invalid: http_422, which the tree takes for that",
    )
