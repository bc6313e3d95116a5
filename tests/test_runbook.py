"""The pages that triage tells people to follow: one for each diagnosis, and nothing in them that cannot be pasted."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.triage.runbook import FOLDER, OPTIONS, PLACEHOLDERS, SECTIONS, Page, Step, actions, page
from plugins.triage.tree import tree

ROOT = Path(__file__).resolve().parents[1]
DIAGNOSES = tomllib.loads((ROOT / "plugins" / "triage" / "tree.toml").read_text("utf-8"))["diagnoses"]
PAGES = sorted(file.stem for file in FOLDER.glob("*.md"))
PROGRAMS = {".venv/bin/python", "curl", "date", "env", "getent", "kubectl", "openssl", "printf", "read"}
NAMES = {
    "environment": "production",
    "namespace": "chat",
    "deployment": "chat",
    "context": "production",
    "service_url": "https://chat.example.com",
    "provider_url": "https://api.mistral.ai",
    "service_host": "chat.example.com",
    "provider_host": "api.mistral.ai",
    "provider_address": "api.mistral.ai:443",
    "model": "mistral-small-2603",
    "fallback_model": "ministral-8b-2512",
    "secret": "mistral",
    "secret_key": "api-key",
    "prometheus_url": "https://prometheus.example.com",
    "key_variable": "MISTRAL_API_KEY",
}


def steps(found: Page) -> Iterator[Step]:
    for section in found.sections.values():
        yield from section


def commands(found: Page) -> list[str]:
    return [command for step in steps(found) for command in step.commands]


def parses(script: str) -> str:
    """What bash has against a script; nothing where it can be run."""
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False, timeout=30)
    return done.stderr


def test_there_is_a_page_for_each_diagnosis_and_no_other() -> None:
    """A diagnosis without a page would leave people alone; a page without one is never shown."""
    assert sorted(DIAGNOSES) == PAGES


def test_an_option_follows_where_it_is_one() -> None:
    """The folder of the settings stands behind the environment's name, the kubeconfig behind that of the context."""
    written = "\n".join(command for id_ in PAGES for command in commands(page(id_)))
    for name, before in {"environment": "-m triage --env", "context": "kubectl --context"}.items():
        assert written.count(f"{before} {{{name}}}") == written.count(f"{{{name}}}") > 0
    assert OPTIONS.keys() == {"environment", "context"}


def test_the_names_that_are_filled_in_are_those_of_this_test() -> None:
    """So that no new one is left untried."""
    assert NAMES.keys() == PLACEHOLDERS.keys()


@pytest.mark.parametrize("id_", PAGES)
def test_a_page_has_its_form(id_: str) -> None:
    """The sections, in their order, none of them empty; the title of the diagnosis, at the top and in the heading."""
    found = page(id_)
    text = (FOLDER / f"{id_}.md").read_text("utf-8")
    assert tuple(found.sections) == SECTIONS
    assert found.title == DIAGNOSES[id_]["title"]
    assert f"\n# {found.title}\n" in text
    assert re.search(r"P[1-4]", found.severity)
    assert found.public.endswith(".")


@pytest.mark.parametrize("id_", PAGES)
def test_something_can_be_done_and_it_is_said_when_it_is_over(id_: str) -> None:
    """At least one thing to do comes with a command, and so does what shows that it is over."""
    found = page(id_)
    assert any(step.commands for step in found.sections["Do"])
    assert any(step.commands for step in found.sections["Check"])
    assert any(step.commands for step in found.sections["Over when"])


@pytest.mark.parametrize("id_", PAGES)
def test_a_command_is_one_that_a_shell_understands(id_: str) -> None:
    """As it is written, and with the names in."""
    found = commands(page(id_))
    filled = [row["command"] for row in actions(id_, NAMES)]
    assert [(command, said) for command in [*found, *filled] if (said := parses(command))] == []


@pytest.mark.parametrize("id_", PAGES)
def test_a_command_begins_with_a_program_that_people_have(id_: str) -> None:
    """And names it by itself: what is not in the list needs a reason to be."""
    found = {command.split()[0] for command in commands(page(id_))}
    assert found - PROGRAMS == set()


@pytest.mark.parametrize("id_", PAGES)
def test_whatever_stands_in_braces_is_a_name_that_can_be_filled_in(id_: str) -> None:
    """Nothing that looks like a placeholder is left once the names are known, in a command or in what is said."""
    rows = actions(id_, NAMES)
    left = [found for row in rows for found in re.findall(r"(?<![%$])\{[a-z_]+\}", f"{row['says']} {row['command']}")]
    asked = re.findall(r"(?<!%)\{([a-z_]+)\}", "\n".join(commands(page(id_))))
    assert left == []
    assert set(asked) - PLACEHOLDERS.keys() == set()


@pytest.mark.parametrize("id_", PAGES)
def test_a_name_is_one_word_of_a_command_whatever_it_holds(id_: str) -> None:
    """A name is configured by people: blanks, quotes and what a shell would run stay what they are."""
    hostile = dict.fromkeys(NAMES, "a b'; $(touch x) \"`id`") | {"key_variable": "MISTRAL_API_KEY"}
    for step, row in zip(actions(id_, NAMES), actions(id_, hostile), strict=True):
        assert parses(row["command"]) == ""
        plain, odd = (_words(found["command"]) for found in (step, row))
        assert len(plain) == len(odd), row["command"]


def _words(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " ").replace("\n", " ; "), comments=False)


@pytest.mark.parametrize("id_", PAGES)
def test_a_page_shows_nobody_the_key(id_: str) -> None:
    """It is read without an echo and used by its variable: no command prints it or takes it as a word of its own."""
    found = "\n".join(commands(page(id_)))
    assert not re.search(r"\becho\b|jsonpath='\{\.data|base64|--from-literal", found)
    used = re.findall(r".{0,40}\$\{key_variable\}.{0,20}", found)
    ways = ("Bearer ${key_variable}", 'printf %s "${key_variable}" |')
    assert [use for use in used if not any(way in use for way in ways)] == []


@pytest.mark.parametrize("id_", PAGES)
def test_the_key_is_in_the_shell_before_it_is_used(id_: str) -> None:
    """A page is followed from its top: no command of it has to be gone back for."""
    found = commands(page(id_))
    using = [number for number, command in enumerate(found) if "${key_variable}" in command]
    read = [number for number, command in enumerate(found) if command == "read -rs {key_variable}"]
    assert not using or read[0] < using[0]


@pytest.mark.parametrize("id_", PAGES)
def test_a_page_fits_a_tired_reader(id_: str) -> None:
    """No line that has to be scrolled, no sentence without an end, at most five things to do at once."""
    text = (FOLDER / f"{id_}.md").read_text("utf-8")
    body = text.partition("\n---\n")[2]
    assert [line for line in body.splitlines() if len(line) > 120] == []
    rows = [row for row in tree().rows if row.diagnosis == id_]
    over = len(page(id_).sections["Over when"])
    assert [row.title for row in rows if len(actions(id_, NAMES, do=row.do)) - over > 5] == []
    assert [step.says for step in steps(page(id_)) if not step.says.endswith((".", ":"))] == []
