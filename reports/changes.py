"""What a run changed and sent, as changes.jsonl tells it: for one that did not come to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "changes.jsonl"


def notes(folder: Path) -> tuple[str, ...]:
    """A note on each thing that the run in `folder` began to change or to tell, by the last line on it.

    The last line of a run that was killed may be torn, which is no damage.
    """
    file = folder / NAME
    try:
        lines = file.read_text("utf-8", errors="replace").split("\n") if file.exists() else []
    except OSError as error:
        return (f"{NAME} cannot be read ({error.strerror}): whether anything was changed is not known.",)
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = json.loads(line)
            found[row["what"]] = _note(row)
        except (ValueError, KeyError, TypeError, RecursionError):
            if number < len(lines):  # the text after the last line is empty, or torn
                found[NAME] = f"{NAME}:{number}: found no line of its form: what was changed is not known for sure."
    return tuple(found.values())


def _note(row: dict[str, Any]) -> str:
    open_ = f" This began at {row['at']}, and how it ended is not known." if row["state"] == "begun" else ""
    onward = f" Next: {row['onward']}" if row["onward"] else ""
    return f"{row['what']}: {row['says']}.{open_}{onward}"
