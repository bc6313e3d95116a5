"""The bad twins: the two good services, each made bad by one variable, and what the suite must find.

    python -m tests.real.twins                   lists them, and the good ones
    python -m tests.real.twins LANGUAGE NAME     makes the settings for one, and says how to see it found out
    python -m tests.real.twins write             writes the table into docs/resilience.md

The Python service does as FLAW says (python_service/chat/flaws.py), the one in TypeScript too (service/src/flaws.ts);
other twins are good programs with a bad setting.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.environments import environments
from tests.real import python_service, service

ROOT = Path(__file__).resolve().parents[2]
FALLBACK_TEXT = "Later, please."
MODEL, FALLBACK_MODEL = "mistral-small-2603", "ministral-8b-2512"

PAGE = ROOT / "docs" / "resilience.md"
MARKERS = ("<!-- twins -->", "<!-- /twins -->")

Language = Literal["python", "typescript"]
GOOD: tuple[Language, ...] = ("python", "typescript")
NAMES: dict[Language, str] = {"python": "Python", "typescript": "TypeScript"}


@dataclass(frozen=True, slots=True)
class Twin:
    """One bad service: `variable` is all that makes it so.

    `fails` are the checks that find it: these of all fail, and no others. `says` is said by one.
    """

    name: str
    language: Language
    variable: tuple[str, str]
    does: str
    """What it does, for people."""
    fails: tuple[str, ...]
    says: str
    delicate: bool = False
    """Whether a busy machine hides it: then fewer copies run side by side, and a run that finds nothing is repeated."""


def _flaw(name: str, does: str, fails: str, says: str, language: Language = "python", delicate: bool = False) -> Twin:
    return Twin(f"{language} {name}", language, ("FLAW", name), does, tuple(fails.split()), says, delicate)


def _setting(name: str, variable: tuple[str, str], does: str, fails: str, says: str) -> Twin:
    return Twin(f"python {name}", "python", variable, does, tuple(fails.split()), says)


TWINS: tuple[Twin, ...] = (
    _flaw(
        "success-for-a-failure",
        "answers 200 with the text of an error",
        "RES-001 RES-006",
        "the text of an error is given for the model's answer",
    ),
    _flaw("empty-success", "answers 200 with nothing in it", "RES-001 RES-006", "success without a text is reported"),
    _flaw(
        "stack-trace", "answers a bare 500 with a stack trace", "RES-001 RES-006 RES-009", "with a stack trace (Python)"
    ),
    _flaw(
        "half-a-stream-is-an-answer",
        "takes a stream that ends early for a whole one",
        "RES-001",
        "success without a text",
    ),
    _flaw(
        "no-limit-on-streams",
        "has no time limit once a stream has begun",
        "RES-001",
        "no whole answer within the deadline",
    ),
    _setting(
        "no-deadline",
        ("REQUEST_DEADLINE_MS", "60000"),
        "waits for a minute",
        "RES-001 RES-004 RES-006 RES-011",
        "users wait beyond the deadline",
    ),
    _flaw("dies-on-401", "ends when its key is refused", "RES-001", "the service ends"),
    _flaw(
        "blocked-event-loop",
        "waits for Mistral in its event loop",
        "RES-001 RES-007 RES-011",
        "the liveness path fails with Mistral",
    ),
    _setting("no-retry", ("RETRY_MAX", "0"), "gives up at the first failure", "RES-002", "is not asked again"),
    _setting(
        "too-many-retries",
        ("RETRY_MAX", "50"),
        "retries as often as the time allows",
        "RES-002",
        "asked again more often than declared",
    ),
    _flaw(
        "retries-within-retries",
        "retries in the SDK, and around that",
        "RES-002 RES-010",
        "a rate limit turns into a storm of requests",
    ),
    _flaw("constant-pause", "pauses for the same time each time", "RES-002", "at a constant interval", delicate=True),
    _flaw("deaf-to-retry-after", "does not wait as long as it is told", "RES-002", "Retry-After is ignored"),
    _flaw("retries-refusals", "tries refused messages again", "RES-003", "a refused message is asked for again"),
    _setting(
        "no-circuit",
        ("BREAKER_THRESHOLD", "1000000"),
        "has a circuit that never opens",
        "RES-004 RES-005 RES-010",
        "the circuit never opens",
    ),
    _flaw(
        "circuit-counts-only-timeouts",
        "has a circuit that no status opens",
        "RES-004 RES-010",
        "messages keep reaching the provider",
    ),
    _flaw(
        "circuit-counts-refusals",
        "has a circuit that bad messages open",
        "RES-004",
        "the circuit opens for refusals that are the messages' own fault",
    ),
    _setting(
        "never-half-opens",
        ("BREAKER_RESET_MS", "86400000"),
        "leaves its circuit open for a day",
        "RES-005 RES-008",
        "no trial is made",
    ),
    _flaw(
        "half-open-stampede",
        "lets everybody through once the reset time is over",
        "RES-005",
        "a stampede in place of a trial",
    ),
    _flaw("error-page-while-open", "shows an error page while the circuit is open", "RES-006", "no fallback answers"),
    _flaw(
        "fallback-asks-the-same-provider",
        "asks the other model while the circuit is open",
        "RES-006",
        "the fallback asks the provider that failed",
    ),
    _setting(
        "undeclared-fallback",
        ("FALLBACK_TEXT", "Oops!"),
        "has another fallback text than it declares",
        "RES-006",
        "no fallback answers",
    ),
    _flaw("always-healthy", "says that it is healthy whatever happens", "RES-007", "says that all is well"),
    _flaw("liveness-asks-mistral", "is not alive while Mistral is down", "RES-001 RES-007", "fails with Mistral"),
    _flaw("degraded-for-ever", "stays degraded after an outage", "RES-008", "does not recover by itself in time"),
    _flaw("upstream-body", "shows users what Mistral said", "RES-009", "gives away the provider's answer"),
    _flaw("key-in-the-log", "logs the headers of requests that failed", "RES-009", "gives away the key"),
    _flaw("prompt-in-the-log", "logs the messages that it could not answer", "RES-009", "gives away the prompt"),
    _flaw("stack-trace-in-the-log", "prints stack traces", "RES-009", "gives away a stack trace"),
    _setting(
        "unbounded",
        ("MAX_CONCURRENCY", "100000"),
        "sends as many requests as there are messages",
        "RES-010",
        "more requests under way than declared",
    ),
    _flaw("key-read-once", "needs a restart for a new key", "RES-012", "messages fail after the key was changed"),
    _flaw("dies-on-401", "has a rejection that nobody handles", "RES-001", "the service ends", "typescript"),
    _flaw("sdk-debug-output", "has the SDK print each request", "RES-009", "gives away the key", "typescript"),
    _flaw(
        "key-read-once",
        "needs a restart for a new key",
        "RES-012",
        "messages fail after the key was changed",
        "typescript",
    ),
)

VARIABLES = {
    "HOST": "127.0.0.1",
    "MISTRAL_MODEL": MODEL,
    "MISTRAL_FALLBACK_MODEL": FALLBACK_MODEL,
    "FALLBACK_TEXT": FALLBACK_TEXT,
    "REQUEST_DEADLINE_MS": "900",
    "RETRY_MAX": "2",
    "BREAKER_THRESHOLD": "5",
    "BREAKER_RESET_MS": "1000",
    "MAX_CONCURRENCY": "8",
}
"""Of a good service; what makes a twin is put over them."""
BUDGETS = {
    "deadline": 1.2,
    "max_retries": 2,
    "breaker_threshold": 5,
    "breaker_reset": 1.0,
    "recovery": 5.0,
    "max_concurrency": 8,
    "storm_rate": 10.0,
    "storm_window": 1.0,
    "rotation_window": 1.0,
}
"""What both good services declare: small, so that a run takes seconds; a deadline longer than the one they keep to."""


def settings(
    folder: Path,
    language: Language,
    variable: tuple[str, str] | None = None,
    *,
    methods: tuple[str, ...] = ("variable",),
    copies: int = 4,
) -> Path:
    """The settings of an environment `drill` in `folder`, which must not exist; without a variable, of a good service.

    `methods` are the ways to point it at the fault server that may be tried, `copies` run side by side at the most.
    Returns the folder, for --config. Raises PartMissing, BuildError.
    """
    variables = VARIABLES | dict([variable] if variable else [])
    resilience = {
        "command": _command(language),
        "folder": str(python_service.SOURCES),
        "variables": variables,
        "base_url_variable": "MISTRAL_BASE_URL",
        "key_file_variable": "MISTRAL_API_KEY_FILE",
        "methods": list(methods),
        "copies": copies,
        **BUDGETS,
    }
    environment = {
        "tier": "staging",
        "service": {"name": f"chat ({language})", "url": "http://127.0.0.1:9", "fallback_texts": [FALLBACK_TEXT]},
        "provider": {"model": MODEL, "fallback_model": FALLBACK_MODEL},
        "repository": {"path": str(ROOT)},
        "resilience": resilience,
    }
    return environments(folder, environment, name="drill")


def _command(language: Language) -> list[str]:
    if language == "python":
        return [str(python_service.prepared()), "-m", "chat"]
    return [service.program("node"), str(service.prepared() / "dist" / "server.js")]


def table() -> str:
    """The twins in Markdown."""
    lines = ["| service | its one variable | what it does | found by | says |", "| --- | --- | --- | --- | --- |"]
    for twin in TWINS:
        variable = "=".join(twin.variable)
        cells = (NAMES[twin.language], f"`{variable}`", twin.does, ", ".join(twin.fails), twin.says)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def documented(page: str) -> str:
    """The page with the table as it is now. Raises ValueError where it has no place for it."""
    before, begin, rest = page.partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not (begin and end):
        raise ValueError(f"{PAGE}: expected the lines {MARKERS[0]} and {MARKERS[1]}")
    return f"{before}{begin}\n{table()}\n{end}{after}"


def main(arguments: Sequence[str]) -> int:
    """List the twins, write the table, or make one's settings."""
    made: dict[str, tuple[Language, tuple[str, str] | None]] = {
        f"{language} good": (language, None) for language in GOOD
    }
    made |= {twin.name: (twin.language, twin.variable) for twin in TWINS}
    if not arguments:
        print("\n".join(made))
    elif arguments == ["write"]:
        PAGE.write_text(documented(PAGE.read_text()))
    elif " ".join(arguments) in made:
        config = settings(Path(tempfile.mkdtemp(prefix="golive-twin-")) / "environments", *made[" ".join(arguments)])
        print(f"{sys.executable} -m pytest -m resilience --env drill --config={config} --allow-changes")
    else:
        sys.stderr.write(f"there is no twin {' '.join(arguments)}; see: python -m tests.real.twins\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
