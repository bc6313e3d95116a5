"""Why a check of the phase has no result: the sentence that stands where its finding would be."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

import pytest

from reports.model import Entry


def why(row: Entry, session: pytest.Session, unloadable: Mapping[str, str], deselected: Collection[str]) -> str:
    """The likeliest cause that the run itself can name.

    `unloadable` maps node ids that failed to collect to their errors; `deselected` holds tests left out on purpose.
    """
    config = session.config
    file, _, function = row.test.partition("::")
    if not (config.rootpath / file).exists():
        return f"{file} does not exist"
    for nodeid, error in unloadable.items():
        if nodeid in {file, "checks", Path(file).parent.as_posix()}:
            return f"{file} could not be loaded: {error}"
    names = _functions(config.rootpath / file)
    if function not in names:
        near = get_close_matches(function, names, 1)
        return f"{file} has no {function}" + (f"; was it renamed to {near[0]}?" if near else "")
    if not _below_the_paths(config, file):
        return f"not below the paths given ({' '.join(map(str, config.args))})"
    if row.test in deselected or config.option.keyword or _last_failed(config):
        return f"deselected ({_selection(config)})"
    if session.shouldfail or session.shouldstop:
        return f"the run was stopped before it: {session.shouldfail or session.shouldstop}"
    return "no result of it was reported"


def _selection(config: pytest.Config) -> str:
    option = config.option
    flags = {"-k": option.keyword, "-m": option.markexpr, "--lf": "last failures only" if _last_failed(config) else ""}
    return ", ".join(f"{flag} {value}" for flag, value in flags.items() if value)


def _last_failed(config: pytest.Config) -> bool:
    return bool(getattr(config.option, "lf", False))  # an option of pytest's cache, which can be switched off


def _below_the_paths(config: pytest.Config, file: str) -> bool:
    target = (config.rootpath / file).resolve()
    given = [Path(config.invocation_params.dir, str(argument)).resolve() for argument in config.args]
    return any(path == target or path in target.parents for path in given)


def _functions(file: Path) -> list[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
