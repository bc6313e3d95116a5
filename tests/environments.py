"""Settings on a disk that lead to a world which already runs, as if it were somebody's own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fixtures.drills.evidence import Redirection
from fixtures.drills.record import SignedOff, composed, kept
from fixtures.drills.records import folder as records_folder
from fixtures.drills.scene import budgets
from fixtures.sandbox.healthy import resilience as healthy
from fixtures.settings import load
from tests.fixtures.drills.observed import evidence

ROOT = Path(__file__).resolve().parents[1]


def environments(folder: Path, settings: Mapping[str, object], name: str = "bench") -> Path:
    """Make `folder` with base.toml and NAME.toml: the sandbox's settings, with `settings` laid over them.

    `settings` are `Running.settings` of a world that the caller has started. Returns the folder, for `--config`.
    """
    folder.mkdir()
    (folder / "base.toml").write_bytes((ROOT / "environments" / "base.toml").read_bytes())
    table = tomllib.loads((ROOT / "environments" / "sandbox.toml").read_text())
    (folder / f"{name}.toml").write_text(_toml(_merged(table | {"sandbox": False}, settings)))
    return folder


def recorded(folder: Path, revision: str, name: str = "bench", *, by: str = "ada@example.com") -> Path:
    """Keep the record of a drill of `revision` in which the service did everything right, for these settings.

    It was drilled with the budgets that they declare, so that nothing stands between the environment and GO but what
    a test does to its world. Returns the record's file.
    """
    environment = load(name, folder, variables={})
    declared = budgets(environment)
    observed = {name: replace(value, budgets=declared) for name, value in healthy.everything().items()}
    method = "variable MISTRAL_BASE_URL"
    document = composed(
        environment="staging",
        revision=revision,
        image=None,
        signed_off=SignedOff(by, "resilience.signed_off_by"),
        suite={"version": "0.1.0", "revision": None},
        observations={
            "redirection": evidence("redirection", Redirection(method=method, tried=(), plan=())),
            **{name: evidence(name, value) for name, value in observed.items()},
        },
        redact=lambda tree: tree,
    )
    return kept(records_folder(environment), document)


def _merged(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _toml(table: Mapping[str, object]) -> str:
    """Enough of TOML for settings: inline tables, and strings as JSON writes them."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value if isinstance(value, str | bool | int | float) else str(value))
