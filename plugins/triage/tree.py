"""The decision tree as data: tree.toml read, held against itself, and walked.

TreeError    the file cannot be used; says which row, what was found, what was expected
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from plugins.triage.words import WORDS

FILE = Path(__file__).with_name("tree.toml")
UNASKED = "?"
"""The answer of a question that could not be asked."""
Sure = Literal["confirmed", "likely", "unknown"]
LEVELS = ("P1", "P2", "P3", "P4")


class TreeError(Exception):
    """The tree cannot be used."""

    def __init__(self, where: str, found: str, expected: str) -> None:
        super().__init__(f"{FILE.name}: {where}: found {found}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Fact:
    """The answer to one question: a word of the tree, the sentence that says it, and the evidence for it."""

    value: str
    says: str
    evidence: str


Facts = Mapping[str, Fact]
"""By question. One that could not be asked is not in it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Where it holds: the questions, and the answers that each may have."""

    answers: dict[str, tuple[str, ...]]

    def holds(self, facts: Facts) -> bool:
        return all(_answer(facts, question) in wanted for question, wanted in self.answers.items())

    def told(self, facts: Facts) -> dict[str, Fact]:
        """The answers that it rests on."""
        return {question: facts[question] for question in self.answers if question in facts}


def _answer(facts: Facts, question: str) -> str:
    return facts[question].value if question in facts else UNASKED


@dataclass(frozen=True, slots=True)
class Row:
    """A branch: what leads to a diagnosis, and how sure that makes it."""

    diagnosis: str
    sure: Sure
    title: str
    when: Condition
    unless: tuple[Condition, ...] = ()
    """Each by itself takes the row back."""
    aside: bool = False
    """It is told beside another diagnosis, and is none by itself."""
    do: tuple[str, ...] = ()
    """How the steps of the page begin that are to be done, the first one first; all of them where there is none."""

    def holds(self, facts: Facts) -> bool:
        return self.when.holds(facts) and not any(condition.holds(facts) for condition in self.unless)

    def explains(self, other: Row) -> bool:
        """Whether the other rests on nothing but answers that this one doubts."""
        return self.sure == "unknown" and other.when.answers.keys() <= self.when.answers.keys()


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes an incident so bad."""

    level: str | None
    """None: it cannot be told, though users were asked of."""
    when: Condition
    says: str = ""
    """Why it cannot be told."""


@dataclass(frozen=True, slots=True)
class Tree:
    questions: dict[str, str]
    titles: dict[str, str]
    checks: dict[str, tuple[str, ...]]
    """The checks that would have told of a diagnosis before."""
    rows: tuple[Row, ...]
    rules: tuple[Rule, ...]
    respond: dict[str, str]
    kinds: dict[str, re.Pattern[str]]
    said: dict[str, re.Pattern[str]]

    def walked(self, facts: Facts) -> tuple[Row, list[Row]]:
        """The diagnosis, and the others that hold, each once and as surely as any row makes it."""
        held = [row for row in self.rows if row.holds(facts)]
        first = next((row for row in held if not row.aside), self.unknown)
        return first, _once(row for row in held if row.diagnosis != first.diagnosis and not first.explains(row))

    @property
    def unknown(self) -> Row:
        """Where nothing else holds."""
        return Row("unknown", "unknown", self.titles["unknown"], Condition({}))

    def rule(self, facts: Facts) -> Rule | None:
        """The first rule of severity that holds; None where the impact was not measured."""
        return next((rule for rule in self.rules if rule.when.holds(facts)), None)

    def kind(self, name: str) -> str:
        """What a failure of this name comes to; "other" where no word is known in it."""
        return next((kind for kind, pattern in self.kinds.items() if pattern.search(name)), "other")


_ORDER = get_args(Sure)
_CASE = "(?-i:(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z]))"
"""Where a word begins, or ends, by a change of case."""


def _once(rows: Iterable[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for row in rows:
        before = found.get(row.diagnosis)
        if row.diagnosis not in {"unknown", "nothing-wrong"} and (
            before is None or _ORDER.index(row.sure) < _ORDER.index(before.sure)
        ):
            found[row.diagnosis] = row
    return list(found.values())


@functools.cache
def tree(file: Path = FILE) -> Tree:
    """The tree of a file. Raises `TreeError`."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TreeError("the file", f"what cannot be read ({error})", "TOML") from None
    return _read(document)


def _read(document: dict[str, Any]) -> Tree:
    questions, groups = dict(document["questions"]), document["groups"]
    if questions.keys() != WORDS.keys():
        odd = ", ".join(sorted(questions.keys() ^ WORDS.keys()))
        raise TreeError("[questions]", f"others than those that are asked: {odd}", "one for each")
    diagnoses = document["diagnoses"]
    rows = [_row(number, row, diagnoses, groups) for number, row in enumerate(document["row"], 1)]
    rules = [_rule(number, rule, groups) for number, rule in enumerate(document["severity"], 1)]
    return Tree(
        questions=questions,
        titles={name: str(row["title"]) for name, row in diagnoses.items()},
        checks={name: tuple(row["checks"]) for name, row in diagnoses.items()},
        rows=tuple(rows),
        rules=tuple(rules),
        respond={level: str(document["respond"][level]) for level in LEVELS},
        kinds={name: _kind(name, row) for name, row in document["kinds"].items()},
        said={name: _pattern(f"[said] {name}", text) for name, text in document["said"].items()},
    )


def _kind(name: str, row: Mapping[str, Any]) -> re.Pattern[str]:
    """What finds one of its words, or one of its statuses, in what a service calls a failure."""
    where = f"[kinds.{name}]"
    if not row.get("words") or (odd := row.keys() - {"words", "statuses"}):
        raise TreeError(where, f"the key {min(odd)}" if row.get("words") else "no words", "words, and perhaps statuses")
    words = "|".join(row["words"]).replace("_", "[_. -]?")
    statuses = rf"|(?<![\d.])(?:{row['statuses']})(?!\d)" if "statuses" in row else ""
    return _pattern(where, rf"(?:(?<![a-z])|{_CASE})(?:{words})(?:(?![a-z])|{_CASE}){statuses}")


def _pattern(where: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise TreeError(where, f"what is no regular expression ({error})", "one") from None


def _row(number: int, row: dict[str, Any], diagnoses: Mapping[str, Any], groups: Mapping[str, list[str]]) -> Row:
    name = str(row.get("diagnosis"))
    where = f"row {number} ({name})"
    if name not in diagnoses:
        raise TreeError(where, f"the diagnosis {name}", f"one of {', '.join(diagnoses)}")
    if row.get("sure") not in _ORDER:
        raise TreeError(where, f"sure = {row.get('sure')!r}", f"one of {', '.join(_ORDER)}")
    if odd := row.keys() - {"diagnosis", "sure", "title", "when", "unless", "aside", "do"}:
        raise TreeError(where, f"the key {min(odd)}", "diagnosis, sure, title, when, unless, aside, do")
    title = str(row.get("title", diagnoses[name]["title"]))
    when = _condition(where, row["when"], groups)
    unless = tuple(_condition(where, condition, groups) for condition in row.get("unless", ()))
    do = tuple(row.get("do", diagnoses[name].get("do", ())))
    return Row(name, row["sure"], title, when, unless, row.get("aside") is True, do)


def _rule(number: int, rule: dict[str, Any], groups: Mapping[str, list[str]]) -> Rule:
    where, level = f"severity {number}", rule.get("level")
    if level not in {*LEVELS, UNASKED}:
        raise TreeError(where, f"level = {level!r}", f"one of {', '.join(LEVELS)}, {UNASKED}")
    when = _condition(where, rule["when"], groups)
    return Rule(None if level == UNASKED else str(level), when, str(rule.get("says", "")))


def _condition(where: str, when: Mapping[str, str | list[str]], groups: Mapping[str, list[str]]) -> Condition:
    """What must hold, groups written out. A word that no answer can be would make a branch that nobody reaches."""
    if not when:
        raise TreeError(where, "an empty condition", "answers that lead there")
    return Condition({question: _wanted(where, question, words, groups) for question, words in when.items()})


def _wanted(where: str, question: str, words: str | list[str], groups: Mapping[str, list[str]]) -> tuple[str, ...]:
    if question not in WORDS:
        raise TreeError(where, f"the question {question!r}", f"one of {', '.join(WORDS)}")
    written = [words] if isinstance(words, str) else words
    if odd := [word for word in written if word.startswith("@") and word[1:] not in groups]:
        raise TreeError(where, f"the group {odd[0]!r}", f"one of {', '.join(groups)}")
    meant = [one for word in written for one in (groups[word[1:]] if word.startswith("@") else [word])]
    if odd := [word for word in meant if word not in {*WORDS[question], UNASKED}]:
        raise TreeError(where, f"{question} = {odd[0]!r}", f"one of {', '.join(WORDS[question])}, {UNASKED}")
    return tuple(meant)
