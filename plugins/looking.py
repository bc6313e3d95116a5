"""Looking ahead: every observation that the selected checks need starts before the first check runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from fixtures import http
from fixtures.changes import Changes
from fixtures.observation import OBSERVATIONS, Evidence, Observer, Pending
from fixtures.permission import Permission
from plugins.outcomes import NotApplicableError, applies
from reports import build, changes

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.cluster import Cluster
    from fixtures.drills.records import Records
    from fixtures.intent import Intent
    from fixtures.settings import Environment
    from plugins.opening import Opening
    from plugins.redaction import Redactor

NAME = "golive-looking"
SECRETS_DEADLINE = 10.0  # seconds that evidence waits until each configured secret is known to the redactor
HURRIED = 4.5  # seconds after which evidence waits no more in triage: a look that has no key by then writes none down
ENDING = 5.0  # seconds for which a run that was stopped waits until what it has begun to change is written down
HEAD_START = 1.0  # seconds that looks have at most, to load what they take, before the renderer of the report is loaded


class Looking:
    """What observations stand on in this process, and the hook that hands their values to the checks."""

    def __init__(self, opening: Opening, redactor: Redactor, *, alone: bool = False, hurried: bool = False) -> None:
        self.opening = opening
        self.environment = opening.environment
        self.redactor = redactor
        self.observer = Observer(Evidence(opening.folder, self.redacted, opening.replay, alone=alone))
        self.alone = alone
        self.changes = Changes(opening.folder / changes.NAME, self.redacted)
        self._settling: threading.Thread | None = None
        self._hurried, self._since = hurried, 0.0

    def redacted(self, tree: Any) -> Any:
        """`tree` without secrets. Waits until those of the environment are known, so that none slips through."""
        if self._settling is not None:
            spent = time.monotonic() - self._since
            self._settling.join(max(0.0, HURRIED - spent) if self._hurried else SECRETS_DEADLINE)
        return self.redactor.tree(tree)

    def stopped(self, hurried: Callable[[], bool]) -> None:
        """Nothing more is changed; in which state that is left which has begun, is waited for, but when `hurried`."""
        self.changes.stop()
        if self.changes.begun:
            changing = {look.name for look in OBSERVATIONS.values() if "changes" in look.inputs}
            until = time.monotonic() + ENDING
            while changing.intersection(self.observer.waiting()) and not hurried() and time.monotonic() < until:
                time.sleep(0.05)

    def settle(self, request: pytest.FixtureRequest) -> None:
        """Resolve every configured secret, so that it can be masked wherever it turns up."""
        if self.opening.replay is not None:
            return
        try:
            secrets = request.getfixturevalue("secrets")
        except pytest.FixtureLookupError:  # a checklist of its own that holds no secrets
            return
        self._since = time.monotonic()
        self._settling = threading.Thread(target=secrets.settle, name="secrets", daemon=True)
        self._settling.start()

    def exempt(self, item: pytest.Item) -> str | None:
        """Why the settings say that this check does not apply; None where they do not."""
        declared = getattr(getattr(item, "function", None), "__check__", None)
        settings = self.environment.checks.get(declared.id) if declared is not None else None
        return settings.not_applicable if settings is not None else None

    def wanted(self, item: pytest.Item) -> set[str]:
        """The looks that this item needs. What does not apply needs none: a drill must not be made for nothing."""
        return set() if self.exempt(item) else OBSERVATIONS.keys() & set(getattr(item, "fixturenames", ()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if isinstance(item, pytest.Function) and self.exempt(item):
            item.funcargs.update(dict.fromkeys(OBSERVATIONS.keys() & set(item.fixturenames)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Wait for what this check needs, and for nothing else; then let it judge."""
        if isinstance(item, pytest.Function) and hasattr(item.function, "__check__"):
            if why := self.exempt(item):
                raise NotApplicableError(why, seen=False)
            self.observer.settled(item.fixturenames)  # all of its evidence must be there, also where one look decides
            for name, value in item.funcargs.items():
                if isinstance(value, Pending):
                    item.funcargs[name] = value.result()
            applies(item)
        return (yield)


# Fixtures of this module exist only in a run: it registers the module when it has settled its premises.


@pytest.fixture(scope="session")
def _looking(pytestconfig: pytest.Config) -> Looking:
    looking = pytestconfig.pluginmanager.get_plugin(NAME)
    assert isinstance(looking, Looking)
    return looking


@pytest.fixture(scope="session")
def environment(_looking: Looking) -> Environment:
    """The settings of the environment under verification."""
    return _looking.environment


@pytest.fixture(scope="session")
def redactor(_looking: Looking) -> Redactor:
    """Knows every secret of this process; whoever resolves one registers it here first."""
    return _looking.redactor


@pytest.fixture(scope="session")
def permission(_looking: Looking) -> Permission:
    """What this run may do beside looking. A replay may do nothing, whatever the run that it replays was allowed."""
    return _looking.opening.permission if _looking.opening.replay is None else Permission()


@pytest.fixture(scope="session")
def intent(_looking: Looking) -> Intent:
    """What this run was asked for beside its phase."""
    return _looking.opening.intent


@pytest.fixture(scope="session", name="changes")
def _changes(_looking: Looking) -> Changes:
    """What this run changes and sends."""
    return _looking.changes


@pytest.fixture(scope="session")
def run_folder(_looking: Looking) -> Path:
    """Where this run keeps what it finds, for looks that leave more than their evidence."""
    return _looking.opening.folder


@pytest.fixture(scope="session")
def records(_looking: Looking, cluster: Cluster) -> Records:
    """The records of earlier drills, for where faults may not be injected."""
    from fixtures.drills.records import Records

    return Records(_looking.environment, cluster, _looking.opening.clock)


@pytest.fixture(scope="session")
def observer(_looking: Looking) -> Observer:
    """Starts looks."""
    return _looking.observer


@pytest.fixture(scope="session", autouse=True)
def _look_ahead(request: pytest.FixtureRequest, _looking: Looking) -> None:
    """Start all looks at once; a fixture that cannot be made is reported by the checks that need it."""
    http.ready()  # now, not on each thread at once: the first questions are under way while other libraries load
    _looking.settle(request)
    for name in sorted({name for item in request.session.items for name in _looking.wanted(item)}):
        try:
            request.getfixturevalue(name)
        except Exception:  # noqa: BLE001, S112 - pytest keeps it and raises it again in each check's set-up
            continue
    if _looking.alone:  # else this is a worker, which writes no report
        _looking.observer.first(HEAD_START)
        build.ready()
