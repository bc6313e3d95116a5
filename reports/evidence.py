"""The evidence of a run as a report sees it: the files under observations/, their hashes verified."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.model import Observed

FOLDER = "observations"


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file. `problem` is a sentence where it is damaged or was edited, else empty; `text` is its JSON, indented."""

    path: str
    """Relative to the run's folder, with slashes: `observations/workload.json`."""
    observed: Observed
    text: str
    problem: str = ""


def files(folder: Path) -> tuple[EvidenceFile, ...]:
    """Every evidence file below `folder`, by name. A damaged one is a row too, with what is wrong."""
    return tuple(_file(file) for file in sorted((folder / FOLDER).glob("*.json")))


def parsed(text: str) -> Any:
    """The JSON of a run's own file. Raises `ValueError`, where it is nested without end too.

    Half of a surrogate pair stands in one as it was seen, spelt out; of the two readers only Python's knows it.
    """
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError:
        if "\\ud" not in text:
            raise
        return json.loads(text)


def _file(file: Path) -> EvidenceFile:
    path = f"{FOLDER}/{file.name}"
    try:
        document = parsed(file.read_text("utf-8"))
        observed = _observed(document)
        text = json.dumps(document, indent=2, ensure_ascii=False)
        intact = observed.sha256 == _digest([document["value"], document["reason"], document["message"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        lost = Observed(name=file.stem, seen=False, reason="malformed", source="", at="", duration=0.0, sha256="")
        return EvidenceFile(path, lost, "", f"{path} is not an evidence file ({type(error).__name__})")
    return EvidenceFile(path, observed, text, "" if intact else f"{path} was altered after it was recorded")


def _observed(document: dict[str, Any]) -> Observed:
    texts = [document["name"], document["at"], document["sha256"], *document["sources"]]
    if not all(isinstance(text, str) for text in texts) or not isinstance(document["seen"], bool):
        raise TypeError("a field of another type")
    return Observed(
        name=document["name"],
        seen=document["seen"],
        reason=document["reason"],
        source="; ".join(document["sources"]),
        at=document["at"],
        duration=float(document["duration"]),
        sha256=document["sha256"],
    )


def _digest(value: Any) -> str:
    """The sha256 of a JSON value in its canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
