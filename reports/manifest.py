"""manifest.json: the sha256 of each file of a run's folder, so that a later change to any of them shows.

ManifestError    there is no manifest, it is no manifest, or it is not the one of what is in the folder
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from reports.inert import line

NAME = "manifest.json"


class ManifestError(Exception):
    """The manifest cannot be relied on; the message says where, what was found and what to do."""


def text(folder: Path) -> str:
    """The manifest of what is in `folder` now: path, sha256 and size in bytes of each file."""
    rows = [
        {"path": path, "sha256": _sha256(folder / path), "bytes": (folder / path).stat().st_size}
        for path in files(folder)
    ]
    return json.dumps({"schema": "1", "files": rows}, indent=1, ensure_ascii=False) + "\n"


def differences(folder: Path, among: Callable[[str], bool] = lambda _: True) -> list[str]:
    """A sentence for each file that is missing, changed or not in the manifest. `among`: which paths are looked at.

    Raises `ManifestError`.
    """
    recorded = {path: sha256 for path, sha256 in _recorded(folder / NAME).items() if among(path)}
    present = set(filter(among, files(folder)))
    found = []
    for path, sha256 in recorded.items():
        if path not in present:
            found.append(f"{line(path)} is missing")
        elif _sha256(folder / path) != sha256:
            found.append(f"{line(path)} is not the file that was recorded: its sha256 differs")
    added = sorted(present - set(recorded))
    return found + [f"{line(path)} was added: the manifest does not name it" for path in added]


def _recorded(file: Path) -> dict[str, str]:
    from pydantic_core import from_json

    again = f"Write it anew: python -m reports build {file.parent}"
    try:
        rows = from_json(file.read_bytes())["files"]
        return {str(row["path"]): str(row["sha256"]) for row in rows}
    except FileNotFoundError:
        raise ManifestError(f"{file}: found no file, expected the manifest of a run. {again}") from None
    except OSError as error:
        raise ManifestError(f"{file}: found no readable file ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{file}: found no manifest ({type(error).__name__}), expected a JSON object") from None


def files(folder: Path) -> Iterator[str]:
    """A run's files relative to `folder`, sorted. Hidden ones (locks) and unfinished ones are not part of it."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in path.parts)
        if not hidden and file.suffix != ".tmp" and path.as_posix() != NAME and file.is_file():
            yield path.as_posix()


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
