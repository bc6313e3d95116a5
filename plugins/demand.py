"""Modules with fixtures, loaded when a check first asks for one of theirs: a run reads what it needs, and no more.

They are in fixtures/, fixtures/observations/ and fixtures/drills/stage.py, where a line with `@observation(...)` or
`@pytest.fixture(...)` is followed by their `def`. Nothing lists them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("fixtures/*.py", "fixtures/observations/*.py", "fixtures/drills/stage.py")
ALWAYS = ("secrets",)
"""What every run asks for by itself: without it nothing would be redacted."""
_DECLARED = re.compile(r"^@(?:observation|pytest\.fixture)\(.*\)\ndef (\w+)\(([^)]*)\)", re.MULTILINE)
_PARAMETER = re.compile(r"(\w+):")


@functools.cache
def declared() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The module of each fixture, and the names that it asks for itself."""
    found = {}
    for place in PLACES:
        for file in sorted(ROOT.glob(place)):
            module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            for name, parameters in _DECLARED.findall(file.read_text("utf-8")):
                found[name] = module, tuple(_PARAMETER.findall(parameters))
    return found


def load(config: pytest.Config, names: Iterable[str]) -> None:
    """Load the modules of these fixtures and of those that they ask for; other names are not known here."""
    for name in names:
        module, asked = declared().get(name, ("", ()))
        if module and not config.pluginmanager.has_plugin(module):
            config.pluginmanager.register(importlib.import_module(module), module)
        load(config, asked)


def pytest_configure(config: pytest.Config) -> None:
    """A controller of workers collects nothing, and reads what all of them saw."""
    workers = config.getoption("numprocesses", None)
    load(config, declared() if workers else ALWAYS)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module | pytest.Class, name: str, obj: object) -> None:
    """Before pytest looks up what a test asks for."""
    function = inspect.unwrap(obj) if callable(obj) else None
    code = getattr(function, "__code__", None)
    if code is not None and collector.funcnamefilter(name):
        load(collector.config, code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
