"""The plugin: from the checks that were asked for to a verdict, an exit status and a folder of evidence.

Options and markers are always there; the `Run` itself only where checks are to be run, so that the project's own
tests are plain pytest.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plugins.catalogue import AREAS, PHASES, Catalogue, CatalogueError, entry
from plugins.session import Run

pytest.register_assert_rewrite("checks")

NAME = "golive-run"
CATALOGUE = Path("checks/catalogue.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("golive", "production checklist")
    group.addoption(
        "--env", metavar="NAME", help="the environment to verify (default: GOLIVE_ENV, else the platform's)"
    )
    group.addoption("--config", metavar="DIR", help="where base.toml, NAME.toml and waivers.toml are")
    group.addoption(
        "--scenario", metavar="NAME", help="sandbox only: start it broken (python -m fixtures.sandbox --list)"
    )
    group.addoption("--run-dir", metavar="DIR", help="where this run's folder goes; must be new or empty")
    group.addoption("--alluredir", metavar="DIR", help="write Allure results to this folder as well")
    group.addoption("--replay", metavar="RUN", help="read the observations of that run in place of looking")
    group.addoption(
        "--allow-changes",
        action="store_true",
        help="let the run change something: inject faults into copies of the service (never in production), undo a "
        "rollout, tell people",
    )
    group.addoption("--confirm", metavar="NAME", help="the environment's name once more; production asks for it")
    group.addoption("--step", metavar="N", help="rollout: the canary's share of the traffic, in percent")
    group.addoption("--watch", metavar="TIME", help="rollout: look again until this time is over (600, 90s, 10m)")
    group.addoption("--to-revision", metavar="N", help="rollback: the revision to go back to, or that was gone back to")
    group.addoption("--notify", action="store_true", help="send the notifications, which are drafts without it")
    group.addoption("--bundle", action="store_true", help="leave an incident pack: evidence, logs, metrics, drafts")


def pytest_configure(config: pytest.Config) -> None:
    for name, area in AREAS.items():
        config.addinivalue_line("markers", f"{name}: {area.says}")
    for phase in PHASES:
        if phase not in AREAS:
            config.addinivalue_line("markers", f"{phase}: the gate of this phase")
    if config.option.help or config.option.version or config.option.markers:
        return
    _refuse_unknown_markers(config)
    if config.option.collectonly or not _asks_for_checks(config):
        return
    try:
        catalogue = Catalogue.load(config.rootpath / CATALOGUE)
    except CatalogueError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(Run(config, catalogue, asked_phase(config)), NAME)


def asked_phase(config: pytest.Config) -> str | None:
    """The one phase that the marker expression names, however it narrows it; None where it names none or several."""
    named = [phase for phase in PHASES if phase in _names(config.option.markexpr or "")]
    return named[0] if len(named) == 1 else None


def _names(expression: str) -> list[str]:
    """The marker names of a `-m` expression."""
    bare = re.sub(r"\([^()]*=[^()]*\)", "", expression)  # the arguments of a marker, not names
    return [name for name in re.findall(r"[A-Za-z_][\w.]*", bare) if name not in {"and", "or", "not", "True", "False"}]


def _refuse_unknown_markers(config: pytest.Config) -> None:
    """`-m prefligth` selects nothing, which pytest alone reports as no tests; say what was meant."""
    from difflib import get_close_matches

    known = [line.split(":")[0].split("(")[0].strip() for line in config.getini("markers")]
    for name in _names(config.option.markexpr or ""):
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; did you mean -m {near[0]}?" if near else f"; the phases are {', '.join(PHASES)}"
            raise pytest.UsageError(f"-m {config.option.markexpr}: there is no marker {name!r}{hint}")


def _asks_for_checks(config: pytest.Config) -> bool:
    """Checks are run where a phase is named or a path below checks/ is given (which is the default)."""
    if asked_phase(config):
        return True
    checks = config.rootpath / "checks"
    paths = [Path(config.invocation_params.dir, str(argument).split("::")[0]).resolve() for argument in config.args]
    return any(path == checks or checks in path.parents or path in checks.parents for path in paths)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Each module of checks/AREA holds checks, whatever its name.

    As a pattern of `python_files` this would name a folder, for which pytest looks at every import twice.
    """
    checks = parent.config.rootpath / "checks"
    if file_path.parent.parent != checks or file_path.suffix != ".py" or file_path.name == "__init__.py":
        return None
    patterns = parent.config.getini("python_files")
    if parent.session.isinitpath(file_path) or any(file_path.match(pattern) for pattern in patterns):
        return None  # pytest takes it itself
    found: pytest.Collector = parent.ihook.pytest_pycollect_makemodule(module_path=file_path, parent=parent)
    return found


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where one phase is all that is asked for, the checks of the others are not even read: they take time to."""
    if collection_path.parent != config.rootpath / "checks" or config.option.markexpr not in PHASES:
        return None
    area = AREAS.get(collection_path.name)
    return True if area is not None and area.phase != config.option.markexpr else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each check the markers of its area and its phase, before `-m` selects."""
    for item in items:
        test = checked(config, item)
        if test is None:
            continue
        area = test.split("/")[1]
        for name in dict.fromkeys((area, AREAS[area].phase)):
            item.add_marker(name)
    run = config.pluginmanager.get_plugin(NAME)
    if isinstance(run, Run):
        run.collected(items)


def checked(config: pytest.Config, item: pytest.Item) -> str | None:
    """`checks/AREA/FILE.py::FUNCTION` where the item is a check, None where it lies elsewhere.

    Raises `pytest.UsageError` for a test below checks/ that is not declared as a check.
    """
    try:
        path = item.path.relative_to(config.rootpath / "checks")
    except ValueError:
        return None
    function = getattr(item, "function", None)
    test = f"checks/{path.as_posix()}::{getattr(item, 'originalname', item.name)}"
    if not hasattr(function, "__check__"):
        raise pytest.UsageError(f"{test}: no @check(...) declares it, so no catalogue would miss it. Declare it.")
    try:
        entry(function, test)  # type: ignore[arg-type] # it has __check__, so it is a function
    except CatalogueError as error:
        raise pytest.UsageError(str(error)) from None
    return test
