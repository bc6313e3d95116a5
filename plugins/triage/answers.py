"""From the evidence of a run to the facts that the tree is walked with. What was not seen is no fact, and is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixtures.observation import OBSERVATIONS, CannotObserve, decoded, read
from plugins.triage.tree import Fact, Tree
from reports.wording import plural

if TYPE_CHECKING:
    from fixtures.logs.digest import Signature
    from fixtures.settings import Environment
    from fixtures.triage.calls import Call, Limits
    from fixtures.triage.log import ErrorLog
    from fixtures.triage.mistral import MistralReply
    from fixtures.triage.rates import ErrorRates
    from fixtures.triage.service import OwnHealth

ASKED = {
    "mistral_reply": "Mistral",
    "own_health": "our service",
    "error_rates": "Prometheus",
    "error_log": "the pods and their logs",
}
"""The observations of triage, and whom each asks."""
SCARCE = 0.05
"""The share of a minute's bucket below which it is nearly used up."""
CAUSED = 0.5
"""The share of all failures from which on a kind of them is told as the one that most are of."""


Told = Iterator[tuple[str, str, str]]
"""Question, answer, and the sentence that says it."""


@dataclass(slots=True)
class Answers:
    """What was answered, and what could not be asked."""

    facts: dict[str, Fact] = field(default_factory=dict)
    unasked: list[dict[str, str]] = field(default_factory=list)
    changed: list[dict[str, str]] = field(default_factory=list)
    """What changed of late: `at` (RFC 3339) and `what`."""


def answers(folder: Path, environment: Environment, tree: Tree) -> Answers:
    """The facts of the run in `folder`, from its evidence alone."""
    found = Answers()
    values = {name: _seen(folder, name, found) for name in ASKED}
    readers: dict[str, Callable[[Any], Told]] = {
        "mistral_reply": _mistral,
        "own_health": _own,
        "error_rates": lambda rates: _rates(rates, environment, tree),
        "error_log": lambda log: _log(log, tree),
    }
    for name, value in values.items():
        if value is not None:
            found.unasked += [asdict(row) for row in value.unasked]
            facts = {question: Fact(word, says, _file(name)) for question, word, says in readers[name](value)}
            found.facts |= {question: fact for question, fact in facts.items() if question not in found.facts}
    log = values["error_log"]
    if log is not None and not log.logs and not log.unasked:
        message, remedy = (
            f"{log.of} has no pod that writes a log",
            "See why:\n\n    kubectl get pods,events -n NAMESPACE",
        )
        found.unasked.append({"what": "the pods' logs", "reason": "no_data", "message": message, "remedy": remedy})
    if log is not None and log.rolled_out:
        found.changed.append({"at": log.rolled_out, "what": f"{log.of}: its last rollout came so far"})
    return found


def _file(name: str) -> str:
    return f"observations/{name}.json"


def _seen(folder: Path, name: str, found: Answers) -> Any:
    """What was observed, typed; None where it was not, which is noted, and for some is an answer by itself."""
    try:
        seen = read(folder / _file(name))
        if (name, seen.reason) == ("error_log", "no_data"):  # the cluster was asked, and has no such Deployment
            found.facts["cluster"] = Fact("answers", f"{ASKED[name]} could be asked", _file(name))
            found.facts["pods"] = Fact("absent", seen.message, _file(name))
            return None
        if seen.reason:
            raise CannotObserve(seen.reason, seen.message, remedy=seen.remedy)  # type: ignore[arg-type] # read() checked it
        value = decoded(OBSERVATIONS[name], seen.value)
    except CannotObserve as error:
        row = {"what": ASKED[name], "reason": error.reason, "message": error.message, "remedy": error.remedy}
        found.unasked.append(row)
        value, word, says = None, str(error.reason), error.message
    else:
        word, says = "answers", f"{ASKED[name]} could be asked"
    if question := {"error_rates": "metrics", "error_log": "cluster"}.get(name):
        found.facts[question] = Fact(word, says, _file(name))
    return value


def _mistral(reply: MistralReply) -> Told:
    for question, call in (("mistral", reply.call), ("models", reply.models)):
        unproven = question == "mistral" and call is not reply.chat and call.kind in ("ok", "slow", "forbidden")
        if call.tells:
            yield question, "reachable" if unproven else call.kind, _called(call)
    if reply.listed is not None:
        there = "is in the list" if reply.listed else "is not in the list"
        retires = f", and retires on {reply.retires}" if reply.retires else ""
        yield "model", "listed" if reply.listed else "absent", f"{reply.model} {there} of {reply.host}{retires}"
    if bucket := _bucket(reply.call.limits):
        limits = reply.call.limits
        left = f"{limits.requests_left} of {limits.requests} requests"
        yield "bucket", bucket, f"{left} and {limits.tokens_left} of {limits.tokens} tokens are left of this minute"


def _called(call: Call) -> str:
    return f"{call.asked}: {_outcome(call)}"


def _outcome(call: Call) -> str:
    """What came of it. Where nothing did, the message names its request by itself: `the service (GET URL): refused`."""
    return call.message.partition(f"({call.asked}): ")[2] or call.message


def _bucket(limits: Limits) -> str:
    """The bucket that is nearly used up; empty where the headers do not tell both."""
    if not limits.requests or not limits.tokens or limits.requests_left is None or limits.tokens_left is None:
        return ""
    if limits.tokens_left < SCARCE * limits.tokens:
        return "tokens"
    return "requests" if limits.requests_left < SCARCE * limits.requests else "none"


def _own(own: OwnHealth) -> Told:
    if own.health.tells and own.state is not None:
        says = f", it says {own.said!r}" if own.said else ""
        yield "health", own.state, f"{_called(own.health)}{says}"
    if own.mistral is not None:
        word = "healthy" if own.mistral else "unhealthy"
        yield "upstream", word, f"our service says that Mistral is {word}"
    if own.circuit is not None:
        yield "circuit", own.circuit, f"our service says that its circuit is {own.circuit}"
    if own.users is not None and own.message is not None:
        yield "users", own.users, f"one message was {_MESSAGE[own.users]} ({_outcome(own.message)})"
    word = "declared" if own.fallback_declared else "undeclared"
    yield "fallback", word, f"in the settings a fallback is {word}"


_MESSAGE = {
    "served": "answered by a model",
    "fallback": "answered with the fallback's text",
    "failed": "answered with neither a model's text nor the fallback's",
    "silent": "not answered in time",
    "unreached": "not taken at all",
}


def _rates(rates: ErrorRates, environment: Environment, tree: Tree) -> Told:
    word = _word(rates, environment)
    few = f", too few to tell how many fail (fewer than {environment.triage.calls})" if word == "few" else ""
    yield "rate", word, rate_says(rates) + few
    if rates.rate is not None and rates.rate_before is not None:
        up = rates.rate > max(2 * rates.rate_before, rates.rate_before + 0.01)
        yield "trend", "up" if up else "same", f"{rates.rate_before:.1%} in the {_span(rates.before)} before"
    if kind := _kind(rates, tree):
        yield "kind", kind[0], kind[1]
    if rates.circuit is not None:
        word = "open" if rates.circuit >= 1 else "closed" if rates.circuit <= 0 else "half-open"
        yield "circuit", word, f"Prometheus has the circuit at {rates.circuit:g}"


def rate_says(rates: ErrorRates) -> str:
    if rates.rate is None or rates.requests < 0.5:  # what is extrapolated to less than half a call is none
        return f"not one call in the last {_span(rates.window)}"
    errors = min(rates.errors, rates.requests)  # either is extrapolated by itself
    return f"{errors:.0f} of {rates.requests:.0f} calls failed in {_span(rates.window)} ({rates.rate:.1%})"


def _span(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.3g} min"


def _word(rates: ErrorRates, environment: Environment) -> str:
    if rates.rate is None or rates.requests < 0.5:
        return "idle"
    if rates.rate > environment.traffic.max_error_rate:
        if rates.requests < environment.triage.calls:
            return "few"
        return "most" if rates.rate >= environment.triage.most else "over"
    return "within" if rates.errors >= 0.5 else "none"


def _kind(rates: ErrorRates, tree: Tree) -> tuple[str, str] | None:
    """The kind that most failures are of, in the tree's words; None where there is none."""
    sums: dict[str, float] = {}
    for name, count in rates.kinds.items():
        sums[tree.kind(name)] = sums.get(tree.kind(name), 0.0) + count
    total = sum(sums.values())
    if total < 0.5:
        return None
    kind, count = max(sums.items(), key=lambda row: row[1])
    if count < CAUSED * total:
        return "other", "no kind of failure is that of most: " + ", ".join(f"{n:.0f} {k}" for k, n in sums.items() if n)
    names = sorted(name for name in rates.kinds if rates.kinds[name] and tree.kind(name) == kind)
    taken = "" if names == [kind] else f": {', '.join(names)}, which the tree takes for that"
    return kind, f"{count:.0f} of {total:.0f} failures are of the kind {kind}{taken}"


_PLACE = re.compile(r"\.[\w$-]+:\d+(?::\d+)*|\bline \d+")
"""In a file, or the port of a host."""
_ANOTHER = re.compile(
    r"(?i)\b(?:redis|valkey|memcached|postgres\w*|mysql|mariadb|mongo\w*|sql|database|kafka|rabbitmq|amqp|nats"
    r"|elastic\w*|opensearch|s3|smtp|ldap|disk|volume|file ?system)\b"
)
_MISTRAL = re.compile(r"(?i)mistral")


def _speaks(row: Signature, pattern: re.Pattern[str]) -> str:
    """The text in which an error speaks of what is asked for; empty where it does not, or speaks of another peer."""
    texts = (row.text, row.sample)
    if any(map(_ANOTHER.search, texts)) and not any(map(_MISTRAL.search, texts)):
        return ""
    return next((text for text in texts if pattern.search(_PLACE.sub("", text))), "")


def _available(log: ErrorLog) -> str:
    if not log.wanted:
        return "scaled-to-0"
    return "all" if log.available >= log.wanted else "some" if log.available > 0 else "none"


def _log(log: ErrorLog, tree: Tree) -> Told:
    pods = f"{log.available} of {log.wanted} pods are available" if log.wanted else "it is scaled to 0"
    yield "pods", _available(log), f"{log.of}: {pods}"
    if not log.errors and not log.whole:
        return
    total = sum(row.count for row in log.errors)
    found = f"{plural(total, 'error')} of {plural(len(log.errors), 'kind')}" if log.errors else "no error"
    yield "log", "errors" if log.errors else "quiet", f"{found} in {plural(log.lines, 'line')}"
    for question, pattern in tree.said.items():
        row, text = next(((row, text) for row in log.errors if (text := _speaks(row, pattern))), (None, ""))
        if row is not None:
            yield question, "yes", f"{row.count} x {text} ({row.where})"
        elif log.whole:
            yield question, "no", f"no such error in {log.lines} lines"
