"""The four rooms: which may import which, what must stay light, and that nothing is declared and forgotten."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.observation import OBSERVATIONS
from plugins import demand

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("checks", "fixtures", "plugins", "reports")
MAY_IMPORT = {
    "checks": ("fixtures.", "plugins.catalogue"),
    "fixtures": ("fixtures.",),
    "plugins": ("plugins", "fixtures.", "reports"),
    "reports": ("reports",),
}
HEAVY = {"aiohttp", "httpx", "jinja2", "kubernetes", "markdown_it", "prometheus_api_client", "promql_parser"}
HEAVY |= {"pydantic", "requests", "rich"}


def _files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_one_way(room: str) -> None:
    """A check knows observations, a client knows nobody, a report knows only itself."""
    wrong = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in _files(room)
        for name in _imports(file)
        if name.split(".")[0] in {*ROOMS, "tests"} and not name.startswith(MAY_IMPORT[room])
    ]
    assert wrong == []


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    """Help and collection stay fast: no client, no settings, no renderer is loaded for them."""
    command = [
        sys.executable,
        "-X",
        "importtime",
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-m",
        "preflight",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert sorted(loaded & HEAVY) == []


def test_a_run_finds_every_module_with_fixtures() -> None:
    """One that plugins/demand.py does not see would leave its checks without what they ask for."""
    declaring = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): count
        for file in _files("fixtures")
        if (count := len(re.findall(r"^@(?:observation|pytest\.fixture)\b", file.read_text(), re.MULTILINE)))
    }
    assert declaring == Counter(module for module, _ in demand.declared().values())


def test_what_a_fixture_asks_for_is_known_before_it_is_loaded() -> None:
    """By its text alone: what was left out of it would not be loaded either."""
    assert len(OBSERVATIONS) > 40
    for name, look in OBSERVATIONS.items():
        assert set(look.inputs) <= set(demand.declared()[name][1]), name


def test_no_module_is_named_after_nothing() -> None:
    """A file has one reason to exist, and its name says it."""
    vague = {"utils", "helpers", "common", "manager", "misc", "core"}
    assert [file for room in ROOMS for file in _files(room) if file.stem in vague] == []
