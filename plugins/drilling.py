"""What a run says before it injects faults, and the record that it leaves of what came of it."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixtures.drills.record import NAMES, SignedOff, composed, gaps, kept
from fixtures.drills.records import folder as records_folder
from fixtures.files import shown_path
from fixtures.observation import CannotObserve, Seen, read
from fixtures.repository import Repository
from fixtures.workload import digest

if TYPE_CHECKING:
    from fixtures.settings import Environment
    from plugins.opening import Opening
    from reports.model import Entry

ACTORS = (
    "GITHUB_ACTOR",
    "GITLAB_USER_LOGIN",
    "BUILD_REQUESTEDFOR",
    "CIRCLE_USERNAME",
    "BUILDKITE_BUILD_CREATOR",
    "BITBUCKET_STEP_TRIGGERER_UUID",
    "BUILD_USER_ID",
)
"""The variables in which a CI system names whoever started the job."""


class NoRecordError(Exception):
    """Why a drill leaves no record: a clause that goes after "no record was kept: "."""


def ahead(opening: Opening, selected: Iterable[Entry]) -> bool:
    """Whether a run of these checks, which may inject faults, is going to."""
    if opening.replay is not None:
        return False
    asked = (row for row in selected if not _exempt(opening.environment, row))
    return any(not set(NAMES).isdisjoint(row.observations) for row in asked)


def _exempt(environment: Environment, row: Entry) -> bool:
    settings = environment.checks.get(row.id)
    return settings is not None and bool(settings.not_applicable)


class Drilling:
    """The drills of one run, in its controller: begun before the first, ended after the last."""

    def __init__(self, environment: Environment, redact: Callable[[Any], Any]) -> None:
        self._environment = environment
        self._redact = redact
        self._source: str | NoRecordError = ""
        if not self._environment.sandbox:
            self._source = self._clean()

    def plan(self) -> list[str]:
        """What is going to be done, for people; nothing where it is refused, which the checks then report."""
        from fixtures.drills.fault_server import FaultServer
        from fixtures.drills.plan import Plan

        outside = self._environment.resilience.fault_server
        try:
            if outside is not None:
                FaultServer(outside)  # asks nobody: the real provider is refused by its name
            return list(Plan(self._environment).lines())
        except CannotObserve:
            return []

    def ended(self, folder: Path, suite: Mapping[str, str | None], *, stopped: bool) -> str:
        """Keep the record where there is one to keep. A sentence for the report; empty for the sandbox's own service,
        whose drills prove nothing.

        A run that was `stopped` took the copies away from drills that were under way: what they saw then is no answer.
        """
        if self._environment.sandbox:
            return ""
        try:
            if stopped:
                raise NoRecordError("the run was stopped before its end")
            file, signed_off = self._kept(folder, suite)
        except NoRecordError as error:
            return f"No record was kept of the drills: {error}."
        except OSError as error:
            place = shown_path(records_folder(self._environment))
            return f"No record was kept of the drills: {place} cannot be written ({error.strerror or error})."
        return f"The record of the drills: {shown_path(file)}, signed off by {signed_off.by} ({signed_off.how})."

    def _kept(self, folder: Path, suite: Mapping[str, str | None]) -> tuple[Path, SignedOff]:
        if self._environment.resilience.fault_server is not None:
            raise NoRecordError("a service that runs elsewhere was drilled, and nothing shows of which source it is")
        observations = dict(_observed(folder, NAMES))
        revision = self._revision()
        signed_off = _signer(self._environment)
        document = composed(
            environment=self._environment.name,
            revision=revision,
            image=_image(folder, revision),
            signed_off=signed_off,
            suite=suite,
            observations=observations,
            redact=self._redact,
        )
        return kept(records_folder(self._environment), document), signed_off

    def _revision(self) -> str:
        """The commit that was drilled. Raises `NoRecordError` where none can be named, or it changed meanwhile."""
        before = self._source
        if isinstance(before, NoRecordError):
            raise before
        after = self._clean(untracked=False)  # what the service itself leaves behind is not its source
        if isinstance(after, NoRecordError) or after != before:
            raise NoRecordError(f"the source changed while it was drilled ({after})")
        return before

    def _clean(self, *, untracked: bool = True) -> str | NoRecordError:
        """The commit of the source that is drilled, where nothing uncommitted lies in it; else why there is none."""
        repository, own = Repository(self._environment), self._environment.resilience.folder
        try:
            path = repository.path
            if own is not None and not own.resolve().is_relative_to(path):
                return NoRecordError(f"resilience.folder {own} is not in the repository {path}: its source is unknown")
            source = repository.source(untracked=untracked)
        except CannotObserve as error:
            return NoRecordError(error.message)
        if source.changed:
            more = f" and {source.changed - 1} more" if source.changed > 1 else ""
            return NoRecordError(f"{path} has changes that are not committed ({source.changes[0].strip()}{more})")
        return source.head


def _observed(folder: Path, names: Iterable[str]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The evidence files of this run. Raises `NoRecordError` where one is not there, or does not tell all."""
    for name in names:
        file = folder / "observations" / f"{name}.json"
        try:
            seen = read(file)
        except CannotObserve:
            raise NoRecordError(f"{name} was not observed in this run; run all of them: -m resilience") from None
        if seen.reason is not None:
            raise NoRecordError(f"{name} could not be observed ({seen.reason})")
        for gap in gaps(name, seen.value):
            raise NoRecordError(f"it would not be whole: {gap}")
        yield name, seen.document()


def _image(folder: Path, revision: str) -> str | None:
    """The digest of the image that is deployed here of the same commit, where the run has seen it."""
    try:
        seen: Seen = read(folder / "observations" / "workload.json")
    except CannotObserve:
        return None
    value = seen.value or {}
    named = str(value.get("revision") or "").lower()
    if len(named) < 7 or not revision.startswith(named):
        return None
    return next(filter(None, (digest(str(row.get("image"))) for row in value.get("containers") or ())), None)


def _signer(environment: Environment) -> SignedOff:
    """Raises `NoRecordError` where nobody stands for the record."""
    if named := (environment.resilience.signed_off_by or "").strip():
        return SignedOff(named, "resilience.signed_off_by")
    for variable in ACTORS:
        if actor := os.environ.get(variable, "").strip():
            return SignedOff(actor, f"variable {variable}")
    try:
        return SignedOff(getpass.getuser(), "the user of the machine")
    except (OSError, KeyError, ImportError):
        raise NoRecordError("nobody signs it off; set resilience.signed_off_by") from None
