"""The closed world: every check that must be answered, by id. `python -m plugins.catalogue` writes it anew.

The catalogue is generated from the checks and committed. A run compares the two: a check that is in the one and
not in the other, or differs, stops the run or is reported as not run; it is never silently left out.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from reports.model import Entry, Offender, Severity

__all__ = ["AREAS", "PHASES", "Area", "Catalogue", "CatalogueError", "Check", "Offender", "check"]


@dataclass(frozen=True, slots=True)
class Area:
    """A folder under checks/, a marker and an id prefix, all at once."""

    prefix: str
    phase: str
    says: str


AREAS: dict[str, Area] = {
    "secrets": Area("SEC", "preflight", "keys and credentials"),
    "environments": Area("ENV", "preflight", "the right settings in the right environment"),
    "code": Area("COD", "preflight", "the service's source"),
    "infra": Area("INF", "preflight", "cluster, probes, metrics and alerts"),
    "resilience": Area("RES", "preflight", "behaviour under injected faults"),
    "docs": Area("DOC", "preflight", "runbooks"),
    "postdeploy": Area("POS", "postdeploy", "what was just shipped"),
    "rollout": Area("ROL", "rollout", "the gate of a canary step"),
    "rollback": Area("RBK", "rollback", "what was just undone"),
    "triage": Area("TRI", "triage", "what is wrong now"),
}
PHASES: tuple[str, ...] = tuple(dict.fromkeys(area.phase for area in AREAS.values()))


class CatalogueError(Exception):
    """The catalogue or a check's declaration is not usable; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """What a check declares about itself, beside its claim (the docstring) and its body."""

    id: str
    severity: Severity
    remedy: str
    waivable: bool
    applies: Callable[..., str | None] | None


Function = TypeVar("Function", bound=Callable[..., None])


def check(
    id: str,  # noqa: A002 - the field's word for it
    *,
    severity: Severity,
    remedy: str,
    waivable: bool = True,
    applies: Callable[..., str | None] | None = None,
) -> Callable[[Function], Function]:
    """Declare a check.

    `remedy` is an instruction that ends in something to paste. `applies` takes some of the check's own arguments by
    name and returns None where the claim applies, else the reason why it does not (status not_applicable).
    """

    def declare(function: Function) -> Function:
        function.__check__ = Check(id, severity, remedy, waivable, applies)  # type: ignore[attr-defined] # our own mark
        return function

    return declare


def entry(function: Callable[..., Any], test: str) -> Entry:
    """The catalogue's row for a check function found at `test` (`checks/AREA/FILE.py::NAME`)."""
    declared: Check = function.__check__  # type: ignore[attr-defined] # set by check()
    name = Path(test.split("::")[0]).parts[1]
    area = AREAS.get(name)
    if area is None:
        raise CatalogueError(f"{test}: no area is named {name!r}; the areas are {', '.join(AREAS)}")
    if not declared.id.startswith(f"{area.prefix}-"):
        raise CatalogueError(f"{test}: found id {declared.id}, expected {area.prefix}-NNN in checks/{name}/")
    if not (function.__doc__ or "").strip():
        raise CatalogueError(f"{test}: {declared.id} has no docstring; the docstring is the claim")
    return Entry(
        id=declared.id,
        area=name,
        phase=area.phase,
        severity=declared.severity,
        claim=inspect.cleandoc(function.__doc__ or "").split("\n\n")[0].replace("\n", " "),
        remedy=inspect.cleandoc(declared.remedy),
        waivable=declared.waivable,
        test=test,
        observations=_looked_at(function),
        parameters=_parameters(function, test),
    )


def _marks(function: Callable[..., Any]) -> list[Any]:
    return [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]


def _looked_at(function: Callable[..., Any]) -> tuple[str, ...]:
    parametrized = {mark.args[0] for mark in _marks(function)}
    return tuple(name for name in inspect.signature(function).parameters if name not in parametrized)


def _parameters(function: Callable[..., Any], test: str) -> tuple[str, ...]:
    """The ids of a check's parameters. They must be plain words, so that each can be missed by name."""
    marks = _marks(function)
    if not marks:
        return ()
    values = marks[0].args[1] if len(marks) == 1 and len(marks[0].args) == 2 else None
    if marks[0].kwargs or not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise CatalogueError(f"{test}: parametrize a check once, over a list of plain words, which are its ids")
    return tuple(values)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries by id, in id order within each area."""

    entries: dict[str, Entry]

    @classmethod
    def load(cls, file: Path) -> Catalogue:
        """Read catalogue.json. Raises `CatalogueError` with file, place, found and expected."""
        advice = "Write it anew: python -m plugins.catalogue"
        try:
            rows = json.loads(file.read_text("utf-8"))["checks"]
            lists = ("observations", "parameters")
            entries = [Entry(**{**row, **{name: tuple(row[name]) for name in lists}}) for row in rows]
        except FileNotFoundError:
            raise CatalogueError(f"{file}: there is no catalogue of checks. {advice}") from None
        except OSError as error:
            raise CatalogueError(f"{file}: cannot be read ({error.strerror}). {advice}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise CatalogueError(f"{file}: not a catalogue ({type(error).__name__}: {error}). {advice}") from None
        return cls({row.id: row for row in entries})

    def phase(self, phase: str) -> dict[str, Entry]:
        return {id_: row for id_, row in self.entries.items() if row.phase == phase}

    def selected(self, nodeids: Iterable[str]) -> dict[str, Entry]:
        """The entries of some node ids, each with only those of its parameters that are among them, in our order."""
        given: dict[str, set[str]] = {}
        for nodeid in nodeids:
            row = self.by_test(nodeid)
            if row is not None:
                given.setdefault(row.id, set()).add(nodeid.partition("[")[2].removesuffix("]"))
        return {
            id_: replace(row, parameters=tuple(name for name in row.parameters if name in given[id_]))
            for id_, row in self.entries.items()
            if id_ in given
        }

    def by_test(self, nodeid: str) -> Entry | None:
        """The entry of a pytest node id, parameters aside."""
        return next((row for row in self.entries.values() if row.test == nodeid.split("[")[0]), None)

    def dump(self) -> str:
        return (
            json.dumps({"checks": [asdict(row) for row in self.entries.values()]}, indent=1, ensure_ascii=False) + "\n"
        )


def discover(root: Path) -> Catalogue:
    """Import every file under `root`/checks and list the checks it declares."""
    entries: dict[str, Entry] = {}
    for row in _declared(root):
        if row.id in entries:
            raise CatalogueError(f"{row.test}: {row.id} is taken by {entries[row.id].test}; an id is never used twice")
        entries[row.id] = row
    areas = list(AREAS)
    return Catalogue({row.id: row for row in sorted(entries.values(), key=lambda row: (areas.index(row.area), row.id))})


def _declared(root: Path) -> Iterator[Entry]:
    for file in sorted((root / "checks").glob("*/*.py")):
        path = file.relative_to(root)
        module = importlib.import_module(".".join(path.with_suffix("").parts))
        for name, function in vars(module).items():
            if name.startswith("test_") and hasattr(function, "__check__"):
                yield entry(function, f"{path.as_posix()}::{name}")


def main() -> int:
    root = Path.cwd()
    try:
        catalogue = discover(root)
    except CatalogueError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    file = root / "checks" / "catalogue.json"
    file.write_text(catalogue.dump(), "utf-8")
    sys.stdout.write(f"{file.relative_to(root)}: {len(catalogue.entries)} checks\n")
    return 0


if __name__ == "__main__":
    # Run as a program this file is __main__, but the checks import it by its name: use that one's code.
    from plugins import catalogue as _self

    sys.exit(_self.main())
