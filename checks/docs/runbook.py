"""The documents that people follow at night: an answer to each class of error, and the way back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.markdown import Section
    from fixtures.observations.runbook import Document

REFUSED = r"\b(reject|refus|revok|invalid|expir)\w*"
# What a heading says that announces the class of errors.
CLASSES = {
    "401": r"\b401\b|\bunauthori[sz]ed\b|\bauth(entication|ori[sz]ation)?\b"
    rf"|{REFUSED}.*\bkey\b|\bkey\b.*{REFUSED}",
    "429": r"\b429\b|\brate[ -]?limit|\btoo many requests\b|\blimits our rate\b",
    "5xx": r"\b5(xx|00|02|03|20|29)\b(?! ?m?s\b)|\bserver[ -]errors?\b|\binternal errors?\b|\boutages?\b",
    "timeout": r"\btime[ -]?outs?\b|\btimed out\b|\btiming out\b",
}
ROLLBACK = r"\broll(ing)?[ -]?back"


@check(
    "DOC-001",
    severity="blocker",
    remedy="""\
Name the runbook in environments/NAME.toml, relative to the service's repository:

    [runbook]
    incident = "docs/RUNBOOK.md"

and give each class of errors a section of its own there, with steps in a list or commands in a block:

    ## 401: Mistral refuses the key
    1. Ask Mistral whether it knows the key; it must answer 200:
       `curl -sS -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $KEY" https://api.mistral.ai/v1/models`
    2. Store a new key, then restart: `kubectl rollout restart deployment/chat`

    ## 429: Mistral limits our rate
    1. Send less: `kubectl scale deployment/chat --replicas=1`, and wait 60 s.

    ## 5xx: Mistral is failing
    1. See whether it is known: https://status.mistral.ai
    2. See that the fallback answers.

    ## Timeout: Mistral does not answer
    1. See whether the pods reach it: `kubectl exec deployment/chat -- curl -sS -m 5 https://api.mistral.ai`""",
)
@pytest.mark.parametrize("error", list(CLASSES))
def test_the_runbook_covers_each_class_of_errors(incident_runbook: Document, error: str) -> None:
    """An incident runbook says what to do about each class of errors: 401, 429, 5xx, timeout."""
    assert list(uncovered(incident_runbook, error)) == []


def uncovered(runbook: Document, error: str) -> Iterator[Offender]:
    """Why the runbook does not help with this class of errors, where it does not."""
    sections = announcing(runbook, CLASSES[error])
    if not runbook.exists:
        yield Offender("the incident runbook is missing", runbook.path, "no such file", "a Markdown document")
    elif not sections:
        expected = f"a heading that names {error}, and steps below"
        yield Offender(f"no section is about {error}", runbook.path, titles(runbook), expected)
    elif not any(section.steps or section.commands for section in sections):
        first = sections[0]
        yield Offender(
            f"the section about {error} has no steps",
            f"{runbook.path}:{first.line}",
            f"only prose below {first.title!r}",
            "a list of steps, or a block of commands",
        )


@check(
    "DOC-003",
    severity="blocker",
    remedy="""\
Describe the rollback in the incident runbook, or in a document of its own:

    [runbook]
    rollback = "docs/ROLLBACK.md"

with the commands, ready to be pasted:

    ## Rollback
    ```sh
    kubectl -n NAMESPACE rollout history deployment/NAME
    kubectl -n NAMESPACE rollout undo deployment/NAME
    kubectl -n NAMESPACE rollout status deployment/NAME --timeout=120s
    ```""",
)
def test_the_rollback_is_documented(rollback_runbook: Document) -> None:
    """The runbook says how to undo a deployment, with the commands to do it."""
    assert list(no_way_back(rollback_runbook)) == []


def no_way_back(runbook: Document) -> Iterator[Offender]:
    """Why nobody can roll back by this document, where that is so."""
    sections = announcing(runbook, ROLLBACK)
    if not runbook.exists:
        yield Offender("the runbook for a rollback is missing", runbook.path, "no such file", "a Markdown document")
    elif not sections:
        yield Offender("no section is about the rollback", runbook.path, titles(runbook), "a heading that names it")
    elif not any(section.commands for section in sections):
        first = sections[0]
        yield Offender(
            "the rollback is described without commands",
            f"{runbook.path}:{first.line}",
            f"no command below {first.title!r}",
            "a block of commands to paste",
        )


def announcing(runbook: Document, subject: str) -> list[Section]:
    """The sections whose heading matches `subject`."""
    return [section for section in runbook.sections if re.search(subject, section.title, re.IGNORECASE)]


def titles(runbook: Document) -> str:
    """The headings that there are, for whoever looks for one."""
    named = [repr(section.title) for section in runbook.sections]
    return f"the sections {', '.join(named[:8])}{' ...' if len(named) > 8 else ''}" if named else "no section at all"
