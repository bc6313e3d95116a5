"""Settings on a disk that lead to a world which already runs, as if it were somebody's own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

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
