"""The honest judges: the official SDKs make of the fault server what they were measured to make of the real API.

Each SDK makes every call in one process, several at once, and each call is known again by the mark in its message.
What is told here of an SDK that nobody configured is what a service gets that does nothing of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from fixtures.drills.evidence import FAULTS, STREAM_FAULTS, Asked
from fixtures.drills.fault_server import FaultServers
from tests.real import sdks
from tests.real.service import program

pytestmark = pytest.mark.real

SDKS = ("python-1", "python-2", "python-3", "typescript-2")
HTTP = {"python-1": "httpx", "python-2": "httpx", "python-3": "httpx2", "typescript-2": None}
"""The package whose errors come through where a connection fails. JavaScript's say no package."""
MODEL = "mistral-small-2603"
KEY, FORMER, UNKNOWN = "c" * 32, "f" * 32, "u" * 32
TIMEOUT = 1.5
"""Seconds that an impatient call gives itself (in calls.py and calls.mjs)."""
PATIENCE = 60.0
"""Seconds for a call that must end by itself, on a machine that has other work."""
A_WHILE = 4.0
"""Seconds after which a call that does not end by itself was waited for long enough."""

RAISED: dict[str, str | tuple[str, str, str, str] | None] = {
    "answered": None,
    "refused": "SDKError",
    "invalid": "HTTPValidationError",
    "unreadable refusal": "ResponseValidationError",
    "unreadable": ("ResponseValidationError", "ResponseValidationError", "ResponseValidationError", "SyntaxError"),
    "unreadable event": ("ValidationError", "ResponseValidationError", "ResponseValidationError", "ZodError"),
    "timed out": ("ReadTimeout", "ReadTimeout", "ReadTimeout", "RequestTimeoutError"),
    "reset": ("ReadError", "ReadError", "ReadError", "ConnectionError"),
    "closed": ("RemoteProtocolError", "RemoteProtocolError", "RemoteProtocolError", "ConnectionError"),
    "cut": ("RemoteProtocolError", "RemoteProtocolError", "RemoteProtocolError", "TypeError"),
    "cut by a reset": ("ReadError", "ReadError", "ReadError", "TypeError"),
    "header crash": ("ResponseNotRead", "ResponseNotRead", "ResponseNotRead", ""),
}
"""How a call ends: the class of what each of the SDKS raises."""
TOLD = {"SDKError", "HTTPValidationError", "ResponseValidationError"}
"""The classes that know the status. Those of pydantic, httpx and JavaScript know none."""


@dataclass(frozen=True)
class Ends:
    """How a call ends. `status` where the SDK tells one; `finish` is the last word of a model that was heard."""

    how: str
    status: int | None = None
    finish: str | None = None
    detail: tuple[str, ...] | None = None


ANSWERED = Ends("answered", finish="stop")
SILENT = Ends("answered")
"""No error, and no finish_reason: the one clue that half of the answer is missing."""


def refused(status: int) -> Ends:
    return Ends("refused", status)


EVERY = {
    "401": refused(401),
    "403": refused(403),
    "404": refused(404),
    "422": Ends("invalid", 422, detail=("extra_forbidden",)),
    "429": refused(429),
    "429-for-ever": refused(429),
    "500": refused(500),
    "503": refused(503),
    "520": refused(520),
    "timeout": Ends("timed out"),
    "reset": Ends("reset"),
    "closed": Ends("closed"),
}
"""Fault classes that strike before an answer begins."""
PLAIN = {
    **EVERY,
    "broken-json": Ends("unreadable", 200),
    "400": refused(400),
    "400-model": refused(400),
    "400-retired": refused(400),
    "401-key": refused(401),
    "401-gateway": refused(401),
    "404-gateway": refused(404),
    "422-wrapped": Ends("invalid", 422),
    "422-plain": Ends("unreadable refusal", 422),
    "429-never": refused(429),
    "429-tokens": refused(429),
    "429-capacity": refused(429),
    "429-pending": refused(429),
    "429-retry-after": refused(429),
    "503-capacity": refused(503),
    "504": refused(504),
    "html": refused(200),
    "cut": Ends("cut"),
    "deprecated": ANSWERED,
}
STREAMED = {
    **EVERY,
    "broken-json": Ends("unreadable event", 200),
    "stream-cut": Ends("cut"),
    "stream-ended-early": SILENT,
    "stream-reset": Ends("cut by a reset"),
    "stream-broken-json": Ends("unreadable event", 200),
    "stream-error": Ends("unreadable event", 200),
}
DRIPS = "slow-drip"
"""No single read of it ever times out; what becomes of it has a test of its own."""
RETRIED = {"429": 429, "500": 500, "503": 503, "504": 504, "reset": None}
"""What is tried again once retries are configured, and the status that is raised in the end."""
NOT_RETRIED = ("400-model", "401", "403", "422", "520")


@dataclass(frozen=True)
class Case:
    """One call. Its name is its own, so is its mark."""

    call: str
    fault: str = ""
    key: str | None = KEY
    patience: float = PATIENCE

    @property
    def name(self) -> str:
        whose = {KEY: "", FORMER: " (former key)", UNKNOWN: " (unknown key)", None: " (no key)"}[self.key]
        return f"{self.call} {self.fault}".strip() + whose

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:8]


def calls(kind: str, fault: str) -> Case:
    """A call of this kind under this fault, by a client that gives up where the fault never does."""
    return Case(f"impatient{kind}" if fault == "timeout" else (kind.strip("_") or "chat"), fault)


WAITING = (
    Case("chat", "timeout", patience=A_WHILE),
    Case("stream", "timeout", patience=A_WHILE),
    Case("impatient", DRIPS, patience=A_WHILE),
    Case("impatient_stream", DRIPS, patience=A_WHILE),
)
KEYS = (Case("chat", key=FORMER), Case("stream", key=FORMER), Case("chat", key=UNKNOWN), Case("chat", key=None))
OTHERS = tuple(Case(call) for call in ("chat", "stream", "models", "model", "tool", "hot", "unknown_model"))
CASES = (
    *WAITING,  # these take the longest: first, beside all others
    *OTHERS,
    *KEYS,
    *(calls("", fault) for fault in (*PLAIN, *STREAM_FAULTS)),
    *(calls("_stream", fault) for fault in (*STREAMED, "stream-half-line", "deprecated")),
    *(Case("models", fault) for fault in ("401", "429", "500", "503", "520")),
    *(Case("retried", fault) for fault in (*RETRIED, *NOT_RETRIED, "closed", "429-retry-after")),
    Case("impatient_stream", "stream-hang"),
)


@dataclass(frozen=True)
class Judgement:
    """What came of each case: as the SDK says, and as the provider saw it."""

    sdk: str
    outcomes: Mapping[str, Any]
    asked: tuple[Asked, ...]

    def outcome(self, case: Case) -> dict[str, Any]:
        return dict(self.outcomes[case.name])

    def requests(self, case: Case) -> tuple[Asked, ...]:
        """What it took; a list of models carries no mark, and is known by its path."""
        if case.call == "models":
            path = f"/fault-{case.fault}/v1/models" if case.fault else "/v1/models"
            return tuple(item for item in self.asked if item.path == path)
        return tuple(item for item in self.asked if item.call == case.mark)

    def expected(self, ends: Ends) -> dict[str, Any]:
        raised = RAISED[ends.how]
        error = raised[SDKS.index(self.sdk)] if isinstance(raised, tuple) else raised
        status = ends.status if error in TOLD else None
        detail = list(ends.detail) if ends.detail is not None else None
        return {"waiting": False, "error": error, "status": status, "finish": ends.finish, "detail": detail}

    def found(self, case: Case) -> dict[str, Any]:
        outcome = self.outcome(case)
        return {name: outcome.get(name) for name in self.expected(ANSWERED)}


class Judges:
    """Each SDK's judgement, made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Judgement | Exception] = {}

    def __getitem__(self, sdk: str) -> Judgement:
        if sdk not in self._made:
            try:
                self._made[sdk] = _judgement(sdk)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is made once and told by each test
                self._made[sdk] = error
        made = self._made[sdk]
        if isinstance(made, Exception):
            raise made.with_traceback(None)
        return made


def _judgement(sdk: str) -> Judgement:
    command = _command(sdk)
    cases = [{"name": case.name, "mark": case.mark, **vars(case)} for case in CASES]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MISTRAL")}
    with FaultServers.start(1) as started:
        (server,) = started.servers
        server.accept(KEY, FORMER)
        began = server.now()
        said = json.dumps({"url": server.url, "cases": cases})
        done = subprocess.run(
            command, input=said, capture_output=True, text=True, env=variables, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["version"].startswith(f"{sdk[-1]}.")
        return Judgement(sdk, document["outcomes"], server.asked(began, began))


def _command(sdk: str) -> list[str]:
    if sdk.startswith("python"):
        return [str(sdks.python(int(sdk[-1]))), str(sdks.PINS / "calls.py")]
    return [program("node"), str(sdks.PINS / "calls.mjs"), str(sdks.typescript())]


@pytest.fixture(scope="session")
def judges() -> Judges:
    return Judges()


@pytest.fixture(params=SDKS)
def judgement(request: pytest.FixtureRequest, judges: Judges) -> Judgement:
    """The verdict of one SDK on all cases."""
    return judges[request.param]


def test_every_fault_class_has_its_ending() -> None:
    """A new class of faults is not done before it is known what the SDKs make of it."""
    assert set(FAULTS) - {*PLAIN, *STREAM_FAULTS, DRIPS} == set()
    assert set(FAULTS) - {*STREAMED, DRIPS} == set()
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("fault", PLAIN)
def test_a_fault_ends_a_call_as_it_was_measured_to(judgement: Judgement, fault: str) -> None:
    """The class of the error, its status, and what a 422 says is wrong."""
    case = calls("", fault)
    assert judgement.found(case) == judgement.expected(PLAIN[fault])
    assert bool(judgement.outcome(case)["texts"]) is (PLAIN[fault] == ANSWERED)


@pytest.mark.parametrize("fault", STREAMED)
def test_a_fault_ends_a_stream_as_it_was_measured_to(judgement: Judgement, fault: str) -> None:
    """What came before the fault was received; then the class of the error, if there is one."""
    case = calls("_stream", fault)
    assert judgement.found(case) == judgement.expected(STREAMED[fault])
    assert bool(judgement.outcome(case)["texts"]) is (fault not in EVERY)


@pytest.mark.parametrize("fault", STREAM_FAULTS)
def test_a_plain_call_meets_no_fault_of_streams(judgement: Judgement, fault: str) -> None:
    """It is answered as ever."""
    assert judgement.found(calls("", fault)) == judgement.expected(ANSWERED)


def test_a_good_answer_is_read_whole(judgement: Judgement) -> None:
    """The models, a chat, a stream word by word, a tool; and the schema refuses what it does not allow."""
    chat, stream, models, model, tool, hot, unknown = OTHERS
    for case in (chat, stream):
        assert judgement.found(case) == judgement.expected(ANSWERED)
    whole = judgement.outcome(chat)["texts"]
    assert "".join(judgement.outcome(stream)["texts"]) == "".join(whole) != ""
    assert MODEL in judgement.outcome(models)["texts"]
    assert judgement.outcome(model)["texts"] == [MODEL]
    assert (judgement.outcome(tool)["texts"], judgement.outcome(tool)["finish"]) == (["now"], "tool_calls")
    assert judgement.found(hot) == judgement.expected(Ends("invalid", 422, detail=("less_than_equal",)))
    assert judgement.found(unknown) == judgement.expected(refused(400))


def test_a_stream_that_ends_early_looks_like_success(judgement: Judgement) -> None:
    """Nothing is raised: only the missing finish_reason tells, and in JavaScript not even half a line is an error."""
    early = calls("_stream", "stream-ended-early")
    whole = "".join(judgement.outcome(OTHERS[1])["texts"])
    assert judgement.found(early) == judgement.expected(SILENT)
    assert len("".join(judgement.outcome(early)["texts"])) < len(whole)
    half = judgement.found(calls("_stream", "stream-half-line"))
    silent = judgement.sdk == "typescript-2"
    assert half == judgement.expected(SILENT if silent else Ends("unreadable event", 200))


def test_a_stream_of_a_model_that_will_retire_crashes_in_python(judgement: Judgement) -> None:
    """The header that announces it makes the Python SDK read a body that is not there yet."""
    found = judgement.found(calls("_stream", "deprecated"))
    typescript = judgement.sdk == "typescript-2"
    assert found == judgement.expected(ANSWERED if typescript else Ends("header crash"))


@pytest.mark.parametrize("kind", ["", "_stream"], ids=["chat", "stream"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != DRIPS])
def test_nothing_is_retried_by_default(judgement: Judgement, fault: str, kind: str) -> None:
    """An SDK that nobody configured asks once, whatever it gets."""
    assert len(judgement.requests(calls(kind, fault))) == 1


@pytest.mark.parametrize("fault", ["401", "429", "500", "503", "520"])
def test_the_list_of_models_is_refused_alike(judgement: Judgement, fault: str) -> None:
    """One request, and the error that a chat gets."""
    case = Case("models", fault)
    assert judgement.found(case) == judgement.expected(refused(int(fault)))
    assert len(judgement.requests(case)) == 1


@pytest.mark.parametrize("fault", RETRIED)
def test_what_passes_is_retried_where_retries_are_configured(judgement: Judgement, fault: str) -> None:
    """Five statuses and, since version 2 in Python, a reset; what is raised in the end is the last one."""
    case = Case("retried", fault)
    times = len(judgement.requests(case))
    assert judgement.found(case) == judgement.expected(PLAIN[fault])
    assert (times == 1) if (judgement.sdk, fault) == ("python-1", "reset") else (times > 1)


@pytest.mark.parametrize("fault", NOT_RETRIED)
def test_what_does_not_pass_is_never_retried(judgement: Judgement, fault: str) -> None:
    """Nor is a 520, which would pass."""
    assert len(judgement.requests(Case("retried", fault))) == 1


def test_a_connection_closed_without_a_reply_is_retried_in_typescript_alone(judgement: Judgement) -> None:
    """In Python it never is, though retries are on for connection errors."""
    times = len(judgement.requests(Case("retried", "closed")))
    assert (times > 1) if judgement.sdk == "typescript-2" else (times == 1)


def test_python_waits_as_it_is_told_and_typescript_does_not(judgement: Judgement) -> None:
    """`Retry-After: 1` with at most 0.1 s between tries: Python waits the second, JavaScript cuts it."""
    asked = judgement.requests(Case("retried", "429-retry-after"))
    gaps = [later.at - sooner.at for sooner, later in pairwise(asked)]
    assert gaps
    assert (gaps[0] < 0.9) if judgement.sdk == "typescript-2" else (min(gaps) > 0.95)


@pytest.mark.parametrize("call", ["chat", "stream"])
def test_a_silent_provider_is_waited_for(judgement: Judgement, call: str) -> None:
    """The SDK's own timeout is 300 s or none: a service must have a deadline of its own."""
    assert judgement.outcome(Case(call, "timeout"))["waiting"]


@pytest.mark.parametrize("call", ["impatient", "impatient_stream"])
def test_a_timeout_ends_the_wait_for_a_silent_provider(judgement: Judgement, call: str) -> None:
    """Neither before its time nor much after it."""
    assert TIMEOUT - 0.1 < judgement.outcome(Case(call, "timeout"))["seconds"] < TIMEOUT + 10


@pytest.mark.parametrize("call", ["impatient", "impatient_stream"])
def test_a_timeout_does_not_end_a_drip(judgement: Judgement, call: str) -> None:
    """In Python it is one of each read. In JavaScript it was seen to fire and not to: nothing is promised."""
    outcome = judgement.outcome(Case(call, DRIPS))
    assert outcome["finish"] is None
    assert outcome["waiting"] or (outcome["error"] and judgement.sdk == "typescript-2")


def test_a_stream_that_falls_silent_times_out_in_python(judgement: Judgement) -> None:
    """In JavaScript a timeout was seen not to end a stream that had begun: nothing is promised of it."""
    if judgement.sdk != "typescript-2":
        assert judgement.found(Case("impatient_stream", "stream-hang")) == judgement.expected(Ends("timed out"))


@pytest.mark.parametrize("fault", ["timeout", "reset", "closed"])
def test_errors_of_the_connection_are_of_the_library_below(judgement: Judgement, fault: str) -> None:
    """Since version 3 that is httpx2: what catches httpx's errors catches none of these."""
    assert judgement.outcome(calls("", fault))["library"] == HTTP[judgement.sdk]


def test_the_provider_knows_each_request_again(judgement: Judgement) -> None:
    """By the mark of its message, with the model, the key, and whether it is a stream."""
    for case in CASES:
        if case.call in {"models", "model"}:
            continue
        asked = judgement.requests(case)
        assert asked, case.name
        model = "mistral-nonesuch" if case.call == "unknown_model" else MODEL
        whose = {KEY: "current", FORMER: "previous", UNKNOWN: "other", None: "none"}[case.key]
        seen = {(item.model, item.key, item.stream, item.of_chat, item.fault) for item in asked}
        assert seen == {(model, whose, "stream" in case.call, True, _met(case))}, case.name


def _met(case: Case) -> str:
    """The fault that the log holds: a plain call meets none of streams, and one that is answered well met none."""
    streamed = case.fault.startswith("stream-") and "stream" not in case.call
    return "" if streamed or case.fault == "deprecated" else case.fault


def test_a_key_counts_as_long_as_it_is_accepted(judgement: Judgement) -> None:
    """The former one is, for a while; an unknown one and none are refused."""
    former, streamed, unknown, none = (judgement.found(case) for case in KEYS)
    assert former == streamed == judgement.expected(ANSWERED)
    assert unknown == none == judgement.expected(refused(401))
