"""The rounds of a watch: what each look found and measured, as it is written to rounds.jsonl and read back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from reports.model import Round, Value

NAME = "rounds.jsonl"
MOST = 5000
"""Rounds that are read: more than a day has at one in twenty seconds."""


def measured(value: float | None) -> Value:
    """A figure as a reading holds it."""
    if value is None or math.isnan(value):
        return None
    return "off scale" if math.isinf(value) else value


def read(folder: Path) -> tuple[tuple[Round, ...], str]:
    """The rounds of the run in `folder`; where a line of theirs is damaged, those before it and a sentence on it.

    The last line of a run that was killed may be torn, which is no damage.
    """
    file = folder / NAME
    try:
        lines = file.read_text("utf-8", errors="replace").split("\n") if file.exists() else []
    except OSError as error:
        return (), f"{NAME} cannot be read ({error.strerror}): the rounds of the watch are not shown."
    found: list[Round] = []
    for number, line in enumerate(lines[:MOST], 1):
        try:
            found += [_round(line)] if line else []
        except ValueError as error:
            torn = number == len(lines)
            return tuple(found), "" if torn else f"{NAME}:{number}: {_told(error)}; only the rounds before are shown."
    return tuple(found), f"Of the watch the first {MOST:,} rounds are shown." if len(lines) > MOST + 1 else ""


def _round(line: str) -> Round:
    """Raises `ValueError`, pydantic's among them."""
    from pydantic import TypeAdapter
    from pydantic_core import from_json

    return TypeAdapter(Round).validate_python(from_json(line, allow_inf_nan=False))


def _told(error: ValueError) -> str:
    first: list[Any] = error.errors(include_url=False, include_input=False) if hasattr(error, "errors") else []
    if first:
        return f"{'.'.join(map(str, first[0]['loc']))}: {first[0]['msg']}"
    return "found no JSON"
