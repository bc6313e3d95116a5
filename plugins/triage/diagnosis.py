"""The diagnosis of a run, from its evidence: what is wrong, how bad, which answers say so, and what to do now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugins.names import filled
from plugins.triage import runbook
from plugins.triage.answers import Answers, answers
from plugins.triage.before import before
from plugins.triage.tree import Facts, Row, Rule, Tree, tree
from reports import drafts

if TYPE_CHECKING:
    from plugins.opening import Opening

MEASURES = {"rate": "how many calls fail", "users": "what a message comes to"}
"""The questions that measure the impact on users, as they are named where they could not be asked."""


def diagnosed(opening: Opening) -> dict[str, Any]:
    """The document of `Report.triage`. Needs nothing but the run's folder and its premises."""
    branches, found = tree(), answers(opening.folder, opening.environment, tree())
    row, others = branches.walked(found.facts)
    harmless = row.diagnosis == "nothing-wrong" and row.sure == "confirmed"
    rule = None if harmless else branches.rule(found.facts)
    level = rule.level if rule else None
    return {
        "diagnosis": row.diagnosis,
        "title": row.title,
        "sure": row.sure,
        "severity": level,
        "respond": branches.respond[level] if level else "",
        "why": why(rule, found.facts),
        "path": _path(branches, row, found),
        "also": [_also(other) for other in others],
        "actions": runbook.actions(row.diagnosis, _names(opening, found.facts), do=row.do),
        "runbook": f"runbook/{row.diagnosis}.md",
        "unasked": [row | {"remedy": _remedy(row["remedy"], opening, found.facts)} for row in found.unasked],
        "before": before(opening, branches.checks[row.diagnosis]),
        "drafts": drafts.listed(row.diagnosis),
        "public": runbook.public(row.diagnosis),
        "changed": sorted(found.changed, key=lambda change: change["at"]),
    }


def why(rule: Rule | None, facts: Facts) -> str:
    """What was measured of the impact, and what was not: a severity is never guessed."""
    told = {question: facts[question] for question in ("rate", "trend", "users") if question in facts}
    told |= rule.when.told(facts) if rule and rule.level else {}
    said = [*(fact.says for fact in told.values()), *([rule.says] if rule and rule.says else ())]
    missing = [what for question, what in MEASURES.items() if question not in facts]
    return "; ".join([*said, f"not measured: {' and '.join(missing)}"] if missing else said)


def _names(opening: Opening, facts: Facts) -> dict[str, str | None]:
    """What is filled into commands. Where the settings lead to no cluster of this environment's, none is named."""
    names = runbook.names(opening.environment)
    return names if _ours(facts) else names | {"context": None}


def _remedy(remedy: str, opening: Opening, facts: Facts) -> str:
    """With this environment's names in, as the findings have it; likewise none where that is no cluster of its own."""
    return filled(remedy, opening.environment) if _ours(facts) else remedy


def _ours(facts: Facts) -> bool:
    """Whether the cluster that the settings lead to is one of this environment's, as far as it was looked at."""
    return "cluster" not in facts or facts["cluster"].value != "not_configured"


def _also(row: Row) -> dict[str, str]:
    """What else is wrong, and its page. Users are told of causes, and of none that only follows from another."""
    return {
        "diagnosis": row.diagnosis,
        "title": row.title,
        "sure": row.sure,
        "runbook": f"runbook/{row.diagnosis}.md",
        "public": "" if row.aside else runbook.public(row.diagnosis),
    }


def _path(branches: Tree, row: Row, found: Answers) -> list[dict[str, str]]:
    """The answers that led there. Where no cause is known, all that were given: none of them names one."""
    facts: Facts = row.when.told(found.facts) or found.facts
    return [
        {"question": branches.questions[question], "answer": fact.says, "evidence": fact.evidence}
        for question, fact in facts.items()
    ]


def crashed(error: Exception) -> dict[str, Any]:
    """What stands in place of a diagnosis that could not be made: the answers remain, in the findings."""
    what = f"{type(error).__name__}: {error}"[:300]
    remedy = "This is a defect of the suite: report it with the run's folder. The answers stand in the findings."
    unasked = {"what": "the decision tree", "reason": "crashed", "message": what, "remedy": remedy}
    return {
        "diagnosis": "unknown",
        "title": "Unknown: the diagnosis itself failed",
        "sure": "unknown",
        "severity": None,
        "respond": "",
        "why": "not measured: the diagnosis itself failed",
        "path": [],
        "also": [],
        "actions": [],
        "runbook": "runbook/unknown.md",
        "unasked": [unasked],
        "before": [],
        "drafts": drafts.listed("unknown"),
        "changed": [],
    }


def document(opening: Opening) -> dict[str, Any]:
    """The diagnosis, whatever happens: a run must not lose its answers over it."""
    try:
        return diagnosed(opening)
    except Exception as error:  # noqa: BLE001 - said in the document, and never lost
        return crashed(error)
