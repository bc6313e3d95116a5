"""What is settled before the first look: the environment, the sandbox if it is one, the waivers, the run's folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.intent import Intent
from fixtures.observation import now
from fixtures.permission import Permission, production
from plugins.catalogue import Catalogue
from plugins.waivers import WaiverError, Waivers
from plugins.waivers import load as load_waivers

if TYPE_CHECKING:
    from fixtures.settings import Environment
    from plugins.redaction import Redactor

PREMISES = "premises.json"  # in the run's folder: settings and clock as they were, so that a replay needs nothing else
WAIVERS = "waivers.toml"
ELSEWHERE = "Name one on another disk with --run-dir"
PACKED = ("triage", "rollback", "rollout", "postdeploy")
"""The phases that look at what is deployed, of which an incident pack can be made."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The premises of a run, the same in every process of it."""

    environment: Environment
    because: str
    """Which option or variable chose the environment."""
    waivers: Waivers
    replay: Path | None
    folder: Path
    clock: str
    """The moment by which waivers and records are judged: the start of the run, or of the run that is replayed."""
    permission: Permission
    """What the run may do beside looking; in a replay, what the run that is replayed was allowed."""
    intent: Intent
    """What it was asked for beside its phase; in a replay, what the run that is replayed was asked for."""

    def shared(self) -> dict[str, Any]:
        """What a worker is told, so that it works on the very same premises."""
        from fixtures.settings import dumped

        return {
            "settings": dumped(self.environment),
            "because": self.because,
            "replay": str(self.replay) if self.replay else None,
            "folder": str(self.folder),
            "clock": self.clock,
            "permission": asdict(self.permission),
            "intent": asdict(self.intent),
        }


def joined(shared: dict[str, Any], catalogue: Catalogue, redactor: Redactor) -> Opening:
    """The controller's premises, in a worker."""
    from fixtures.settings import from_dump

    _known(shared["settings"], redactor)
    environment = from_dump(shared["settings"])
    folder, clock = Path(shared["folder"]), shared["clock"]
    waivers = load_waivers(folder / WAIVERS, catalogue, environment.name, _day(clock))
    replay = Path(shared["replay"]) if shared["replay"] else None
    permission, intent = Permission(**shared["permission"]), Intent(**shared["intent"])
    return Opening(environment, shared["because"], waivers, replay, folder, clock, permission, intent)


@contextlib.contextmanager
def opened(config: pytest.Config, catalogue: Catalogue, phase: str | None, redactor: Redactor) -> Iterator[Opening]:
    """Settle everything, and keep the sandbox up meanwhile. Raises `pytest.UsageError`, each located."""
    from fixtures.settings import SettingsError, dumped

    with contextlib.ExitStack() as stack:
        try:
            replay = _replayed(config)
            if replay is not None:
                environment, clock, permission, intent = _recorded(replay, config)
                because, waivers_file = f"recorded in {replay.name}", replay / WAIVERS
            else:
                environment, because = _configured(config, stack)
                clock, waivers_file, permission = now(), _folder(config) / WAIVERS, _permission(config)
                intent = _intent(config, phase, environment, clock)
            waivers = load_waivers(waivers_file, catalogue, environment.name, _day(clock))
            _refuse_exempted(environment, catalogue)
        except (SettingsError, WaiverError) as error:
            raise pytest.UsageError(str(error)) from None
        folder = _run_folder(config, environment.name, phase)
        settings = dumped(environment)
        _known(settings, redactor)
        premises = {"clock": clock, "permission": asdict(permission), "intent": asdict(intent), "environment": settings}
        with written(folder):
            _keep(folder, premises, waivers_file, redactor)
        yield Opening(environment, because, waivers, replay, folder, clock, permission, intent)


def _known(settings: dict[str, Any], redactor: Redactor) -> None:
    """Make known what the URLs of the settings hold, before anything is written down."""
    from fixtures.secrets import in_urls

    for secret in in_urls(settings):
        redactor.register(secret)


def _day(clock: str) -> date:
    return datetime.fromisoformat(clock).astimezone(UTC).date()


def _folder(config: pytest.Config) -> Path:
    named = config.option.config or os.environ.get("GOLIVE_CONFIG")
    folder = Path(config.invocation_params.dir, named) if named else config.rootpath / "environments"
    if not folder.is_dir():
        raise pytest.UsageError(
            f"--config {folder}: there is no such folder; expected one with base.toml and NAME.toml"
        )
    return folder


def _configured(config: pytest.Config, stack: contextlib.ExitStack) -> tuple[Environment, str]:
    from fixtures.settings import load, refuse_sandbox_in_ci, resolve_name

    folder = _folder(config)
    name, because = resolve_name(config.option.env, os.environ, folder)
    environment = load(name, folder)
    refuse_sandbox_in_ci(environment, config.option.env, os.environ)
    _refuse_unconfirmed(config, environment)
    if not environment.sandbox:
        if config.option.scenario:
            raise pytest.UsageError(
                f"--scenario {config.option.scenario}: {environment.name} is a real environment; "
                "only the sandbox can be started broken (--env sandbox)"
            )
        return environment, because
    return load(name, folder, overlay=_sandbox(config.option.scenario, stack)), because


def _permission(config: pytest.Config) -> Permission:
    return Permission(config.option.allow_changes, config.option.confirm or "")


def _intent(config: pytest.Config, phase: str | None, environment: Environment, clock: str) -> Intent:
    """What the options ask for. Raises `pytest.UsageError` for one that is not of this phase, or has no such value."""
    step, revision, notify = config.option.step, config.option.to_revision, config.option.notify
    _refuse_foreign("--step", step, phase, "rollout")
    _refuse_foreign("--to-revision", revision, phase, "rollback")
    if notify and phase != "rollback":
        raise pytest.UsageError(f"--notify: {phase or 'a run without a phase'} tells nobody; it goes with -m rollback")
    if notify and not Permission(config.option.allow_changes).alters(environment):
        raise pytest.UsageError("--notify: telling people is a change; allow it as well: --allow-changes --notify")
    if config.option.bundle and phase not in PACKED:
        raise pytest.UsageError(f"--bundle: it goes with -m {', '.join(PACKED)}; found {phase or 'no phase'}")
    steps = environment.rollout.steps
    if phase == "rollout":
        step = _whole("--step", step, f"one of {', '.join(map(str, steps))}") if step is not None else steps[0]
        if step not in steps:
            raise pytest.UsageError(f"--step {step}: expected one of {', '.join(map(str, steps))} (rollout.steps)")
    revision = _whole("--to-revision", revision, "a number that kubectl rollout history shows") if revision else None
    if phase == "rollback" and environment.sandbox:
        revision = revision or environment.rollback.rehearsal
    return Intent(step, revision, notify, _watched(config, phase), clock, bundle=config.option.bundle)


def _watched(config: pytest.Config, phase: str | None) -> float | None:
    """--watch in seconds. Raises `pytest.UsageError`."""
    value = config.option.watch
    _refuse_foreign("--watch", value, phase, "rollout")
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([smh]?)", value, re.ASCII)
    seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not 0 < seconds <= 86400:
        raise pytest.UsageError(f"--watch {value}: expected a time up to a day, such as 600, 90s, 10m or 1h")
    if config.pluginmanager.hasplugin("dsession"):  # xdist's, there where it distributes the run
        raise pytest.UsageError("--watch and -n or --tx: one process watches; leave -n, --dist and --tx out")
    return float(seconds)


def _refuse_foreign(option: str, value: str | None, phase: str | None, expected: str) -> None:
    if value is not None and phase != expected:
        raise pytest.UsageError(f"{option} {value}: it goes with -m {expected}, found {phase or 'no phase'}")


def _whole(option: str, value: str, expected: str) -> int:
    """A number from 1 on. Raises `pytest.UsageError`."""
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise pytest.UsageError(f"{option} {value}: expected {expected}")
    return int(value)


def _refuse_unconfirmed(config: pytest.Config, environment: Environment) -> None:
    """Changes in production take its name once more; and a name that is typed must be that of the environment."""
    from fixtures.settings import canonical

    typed = config.option.confirm
    if typed is not None and canonical(typed) != canonical(environment.name):
        raise pytest.UsageError(
            f"--confirm {typed}: the environment is {environment.name}; changes are confirmed by its own name: "
            f"--confirm {environment.name}"
        )
    if typed is not None and not config.option.allow_changes:
        raise pytest.UsageError(f"--confirm {typed}: there is nothing to confirm without --allow-changes")
    if config.option.allow_changes and typed is None and production(environment) and not environment.sandbox:
        raise pytest.UsageError(
            f"--allow-changes: {environment.name} is production, where people work; to allow changes there all the "
            f"same, name it once more: --allow-changes --confirm {environment.name}"
        )


def _sandbox(scenario: str | None, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Start the embedded world, broken as asked. Returns the settings that lead to it."""
    from fixtures.sandbox.world import World, started

    world = World()
    if scenario:
        from fixtures.sandbox.specimen import SpecimenError, scenarios

        try:
            known = scenarios()
        except SpecimenError as error:
            raise pytest.UsageError(str(error)) from None
        if scenario not in known:
            near = get_close_matches(scenario, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise pytest.UsageError(
                f"--scenario {scenario}: no such scenario{hint} (python -m fixtures.sandbox --list prints them)"
            )
        mutate = known[scenario].mutate
        assert mutate is not None
        mutate(world)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="golive-", ignore_cleanup_errors=True)))
    return stack.enter_context(started(world, folder)).settings


def _replayed(config: pytest.Config) -> Path | None:
    if not config.option.replay:
        return None
    if config.option.scenario:
        raise pytest.UsageError("--replay and --scenario: a replay starts nothing; give one of the two")
    if config.option.allow_changes or config.option.confirm:
        raise pytest.UsageError("--replay and --allow-changes: a replay changes nothing; give one of the two")
    for option in ("step", "to_revision", "notify", "watch", "bundle"):
        if getattr(config.option, option):
            name = f"--{option.replace('_', '-')}"
            raise pytest.UsageError(f"--replay and {name}: a replay repeats what its run asked for; leave {name} out")
    run = Path(config.invocation_params.dir, config.option.replay)
    for part in (PREMISES, "observations"):
        if not (run / part).exists():
            raise pytest.UsageError(f"--replay {config.option.replay}: not a run's folder: it has no {part}")
    _refuse_altered(run, f"--replay {config.option.replay}")
    return run


def _refuse_altered(run: Path, option: str) -> None:
    """What is judged again must be what the run left. Without a manifest nobody can tell: see `Header.doubts`."""
    from reports import manifest
    from reports.inert import inert

    if not (run / manifest.NAME).exists():
        return
    try:
        found = manifest.differences(run, lambda path: path in (PREMISES, WAIVERS) or path.startswith("observations/"))
    except manifest.ManifestError as error:
        raise pytest.UsageError(f"{option}: {error}. Replay an unedited copy of the run's folder") from None
    if found:
        raise pytest.UsageError(
            f"{option}: {inert('; '.join(found))}; what was changed since is not what the run saw. Replay an unedited "
            "copy of its folder"
        )


def _recorded(replay: Path, config: pytest.Config) -> tuple[Environment, str, Permission, Intent]:
    from fixtures.settings import SettingsError, canonical, from_dump

    file = replay / PREMISES
    try:
        premises = json.loads(file.read_text("utf-8"))
        environment, clock = from_dump(premises["environment"]), premises["clock"]
        permission, intent = Permission(**premises.get("permission", {})), Intent(**premises.get("intent", {}))
        _day(clock)
    except (OSError, ValueError, KeyError, TypeError, SettingsError) as error:
        raise pytest.UsageError(f"{file}: not the premises of a run ({type(error).__name__})") from None
    if config.option.env and canonical(config.option.env) != environment.name:
        raise pytest.UsageError(
            f"--env {config.option.env}: the run to replay looked at {environment.name}; leave --env out or name that"
        )
    return environment, clock, permission, intent


def _refuse_exempted(environment: Environment, catalogue: Catalogue) -> None:
    """`[checks.ID]` may say "does not apply" only of checks that exist and that nobody may waive away."""
    for id_, settings in environment.checks.items():
        row = catalogue.entries.get(id_)
        where = f"{environment.config[-1] if environment.config else environment.name}: checks.{id_}"
        if row is None:
            near = get_close_matches(id_, catalogue.entries, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise pytest.UsageError(f"{where}: there is no such check{hint}")
        if settings.not_applicable and not row.waivable:
            raise pytest.UsageError(f"{where}: found not_applicable, but nothing exempts from {id_}: {row.claim}")


def _run_folder(config: pytest.Config, environment: str, phase: str | None) -> Path:
    if config.option.run_dir:
        folder = Path(config.invocation_params.dir, config.option.run_dir)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise pytest.UsageError(f"--run-dir {config.option.run_dir}: exists and is not an empty folder")
        return _made(folder)
    stem = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{environment}-{phase or 'checks'}"
    runs = config.rootpath / "reports" / "runs"
    for name in (stem, *(f"{stem}-{number}" for number in range(2, 100))):
        with contextlib.suppress(FileExistsError):
            return _made(runs / name, exist_ok=False)
    raise pytest.UsageError(f"{runs / stem}: a hundred runs began in this second; name one with --run-dir")


def _made(folder: Path, *, exist_ok: bool = True) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        raise
    except OSError as error:
        raise pytest.UsageError(f"{folder}: the run's folder cannot be made: {error.strerror}. {ELSEWHERE}") from None
    return folder


@contextlib.contextmanager
def written(folder: Path) -> Iterator[None]:
    """What a run cannot begin without is written here. Raises `pytest.UsageError` where that is not possible."""
    try:
        yield
    except OSError as error:
        raise pytest.UsageError(f"{unwritten(folder, error)}. {ELSEWHERE}") from None


def unwritten(folder: Path, error: OSError) -> str:
    """A clause on a run's folder that takes no more."""
    return f"{folder}: the run's folder cannot be written: {error.strerror or type(error).__name__}"


def _keep(folder: Path, premises: dict[str, Any], waivers: Path, redactor: Redactor) -> None:
    """Put the settings (references, never secrets), the clock and the waivers beside the evidence."""
    text = json.dumps(redactor.tree(premises), indent=1, ensure_ascii=False)
    (folder / PREMISES).write_text(text + "\n", "utf-8")
    if waivers.exists():
        (folder / WAIVERS).write_text(redactor.text(waivers.read_text("utf-8")), "utf-8")
