"""What is told while triage waits: each answer once its evidence is there, and no answer in place of one."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.settings import Environment
from plugins.triage import telling
from plugins.triage.answers import ASKED
from plugins.triage.telling import Telling
from plugins.triage.tree import TreeError
from tests.plugins.triage.nights import Night, night
from tests.reports import runs

PATIENCE = 20.0
"""Seconds that a busy machine may take; what is waited for comes at once."""


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "run" / "observations").mkdir(parents=True)
    return tmp_path / "run"


@pytest.fixture
def environment(healthy: Night) -> Environment:
    return healthy.opening.environment


def comes(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def arrive(name: str, healthy: Night, folder: Path) -> None:
    """As evidence is written: under another name first, then whole."""
    shutil.copy(healthy.folder / "observations" / f"{name}.json", folder / "part")
    (folder / "part").replace(folder / "observations" / f"{name}.json")


def test_an_answer_is_told_before_the_others_are_there(healthy: Night, folder: Path, environment: Environment) -> None:
    """Whoever hangs holds up nobody else's line; each is told once, with the seconds that it took."""
    said: list[str] = []
    told = Telling(folder, environment, said.append)
    told.start()
    assert said == ["asking Mistral, our service, Prometheus, the pods and their logs, all at once\n"]
    arrive("error_rates", healthy, folder)
    assert comes(lambda: len(said) == 2)
    assert re.search(r" s  Prometheus: \d+ of \d+ calls failed", said[1])
    assert "Mistral:" not in said[1]
    arrive("mistral_reply", healthy, folder)
    assert comes(lambda: len(said) == 3)
    assert " s  Mistral: POST " in said[2]
    told.stop()
    assert len(said) == 3


def test_what_came_in_the_last_moment_is_told(healthy: Night, folder: Path, environment: Environment) -> None:
    """A run that is over says all that it knows, and its thread is gone."""
    said: list[str] = []
    told = Telling(folder, environment, said.append)
    for name in ASKED:
        arrive(name, healthy, folder)
    told.start()
    told.stop()
    assert len(said) == 1 + len(ASKED)
    assert "telling" not in [thread.name for thread in threading.enumerate()]


def test_what_could_not_be_asked_is_not_known(folder: Path, environment: Environment) -> None:
    """Neither well nor unwell; and nothing in a message moves the cursor."""
    said: list[str] = []
    runs.observe(folder, "error_log", None, reason="denied", message="may not get\npods/log \x1b[2J" + "x" * 9000)
    told = Telling(folder, environment, said.append, 500)
    told.start()
    told.stop()
    (line,) = said[1].splitlines()
    assert "the pods and their logs: not known: may not get pods/log ␛[2J" in line
    assert len(line) < 400


def test_a_long_answer_is_told_at_the_width_of_the_terminal(folder: Path, environment: Environment) -> None:
    """Its further lines stand below its first word: no word is broken where the screen ends."""
    said: list[str] = []
    runs.observe(folder, "error_log", None, reason="denied", message="may not get pods/log in namespace chat, " * 4)
    told = Telling(folder, environment, said.append, 60)
    told.start()
    told.stop()
    first, *further = said[1].splitlines()
    assert re.match(r" *[\d.]+ s  the pods and their logs: not known: may not get", first)
    assert further
    assert all(re.match(r" {8}\S", line) for line in further)
    assert max(map(len, (first, *further))) <= 60


def test_evidence_that_is_damaged_is_not_known(healthy: Night, folder: Path, environment: Environment) -> None:
    """It is told as what it is, and ends nothing."""
    said: list[str] = []
    arrive("own_health", healthy, folder)
    (folder / "observations" / "mistral_reply.json").write_text("{", "utf-8")
    told = Telling(folder, environment, said.append)
    told.start()
    told.stop()
    assert any("Mistral: not known: mistral_reply.json: not an evidence file" in line for line in said)
    assert any("our service: GET " in line for line in said)


def test_a_tree_that_cannot_be_read_is_said(
    healthy: Night, folder: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People edit it; the answers stand in the findings all the same."""

    def broken() -> None:
        raise TreeError("row 3", "the diagnosis 'x'", "one of these")

    monkeypatch.setattr(telling, "tree", broken)
    said: list[str] = []
    arrive("own_health", healthy, folder)
    told = Telling(folder, environment, said.append)
    told.start()
    told.stop()
    assert said[1:] == ["tree.toml: row 3: found the diagnosis 'x', expected one of these\n"]
