"""One run, from its premises to its verdict. A worker only reports; the controller keeps the journal and decides."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.observation import CannotObserve, now, read
from plugins import outcomes, shortfall
from plugins.catalogue import Catalogue, entry
from reports.model import Entry, Result

if TYPE_CHECKING:
    from plugins.redaction import Redactor

    from plugins.looking import Looking
    from plugins.opening import Opening
    from plugins.progress import Progress
    from reports.journal import Journal
    from reports.model import Report


class Run:
    """The state of one run in one process, and the hooks that move it on."""

    opening: Opening
    looking: Looking
    redactor: Redactor

    def __init__(self, config: pytest.Config, catalogue: Catalogue, phase: str | None) -> None:
        self.config = config
        self.catalogue = catalogue
        self.phase = phase
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", {}).get("golive")
        self.report: Report | None = None
        self._expected: dict[str, Entry] = catalogue.phase(phase) if phase else {}
        self._journal: Journal | None = None
        self._compared = outcomes.Compared()
        self._stack = contextlib.ExitStack()
        self._accounted = 0  # pytest's failed reports that are a check's own
        self._lost_workers: list[str] = []
        self._unloadable: dict[str, str] = {}
        self._deselected: set[str] = set()
        self._answered: set[str] = set()
        self._progress: Progress | None = None
        self._masked: Counter[str] = Counter()
        self._allure: str | None = getattr(config.option, "allure_report_dir", None)
        self._quieten()

    def _quieten(self) -> None:
        """Our board speaks for the run; `-v` gives pytest's own output beside it."""
        option = self.config.option
        self.config.addinivalue_line("filterwarnings", "default")  # a library's warning is no outage
        option.allure_report_dir = None  # results are written from the report, so that they agree with it
        self.quiet = option.verbose <= 0
        if self.quiet:
            option.verbose = -2
            option.no_summary = option.no_header = True

    # The premises

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from plugins import looking
        from plugins.redaction import Redactor

        del session
        self.redactor = Redactor()
        self.redactor.from_environment(os.environ)
        self._redact_output()
        if self.worker is not None:
            from plugins.opening import joined

            self.opening = joined(self.worker, self.catalogue)
        else:
            from plugins.opening import opened

            self.opening = self._stack.enter_context(opened(self.config, self.catalogue, self.phase, self.redactor))
        premises = self.opening
        self.looking = looking.Looking(premises.environment, self.redactor, premises.folder, premises.replay)
        self.config.pluginmanager.register(self.looking, looking.NAME)
        self.config.pluginmanager.register(looking)
        if self.phase:
            self._begin()
        if self.quiet and (nodes := self.config.pluginmanager.get_plugin("terminaldistreporter")):
            self.config.pluginmanager.unregister(nodes)  # xdist's own progress, which ours stands for

    def _redact_output(self) -> None:
        """All that is printed passes the redactor: what pytest writes, and with `-s` what anybody prints."""
        writer = self.config.get_terminal_writer()
        writer._file = self.redactor.stream(writer._file)  # noqa: SLF001 - pytest offers no other way
        if self.config.option.capture == "no":
            for name in ("stdout", "stderr"):
                redirect = {"stdout": contextlib.redirect_stdout, "stderr": contextlib.redirect_stderr}[name]
                self._stack.enter_context(redirect(self.redactor.stream(getattr(sys, name))))

    def pytest_unconfigure(self) -> None:
        self._stack.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["golive"] = self.opening.shared()

    # What was collected

    def collected(self, items: list[pytest.Item]) -> None:
        """Hold the collected checks against the catalogue. Raises `pytest.UsageError` where they differ."""
        for item in items:
            function = getattr(item, "function", None)
            if not hasattr(function, "__check__"):
                continue
            test = item.nodeid.split("[")[0]
            found = entry(function, test)  # type: ignore[arg-type] # it has __check__, so it is a function
            known = self.catalogue.entries.get(found.id)
            if known != found:
                what = "is not in" if known is None else "differs from its row in"
                raise pytest.UsageError(
                    f"{test}: {found.id} {what} checks/catalogue.json. Write it anew: python -m plugins.catalogue"
                )

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected.update(item.nodeid.split("[")[0] for item in items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or ["?"]
            said = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
            self._unloadable[report.nodeid] = (said or lines[-1:])[0]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        del node
        self._expect(ids)

    def _expect(self, nodeids: list[str]) -> None:
        """Where no phase was asked for, what was selected is what must be answered."""
        if self.phase is None and self.worker is None and self._journal is None and nodeids:
            rows = [self.catalogue.by_test(nodeid) for nodeid in nodeids]
            self._expected = {row.id: row for row in rows if row is not None}
            self._begin()

    # What came of it

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        if op == "==" and isinstance(right, list) and not right:
            self._compared = outcomes.Compared(left, found=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        declared = getattr(getattr(item, "function", None), "__check__", None)
        if declared is not None:
            result = self._result(item, call)
            if result is not None:
                result = replace(result, **self._waived(result))
                outcomes.attach(report, outcomes.from_json(self.looking.redacted(outcomes.plain(result))))
                outcomes.shown(report, item, result, self.looking.redacted)
            self._compared = outcomes.Compared()
        return report

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Result | None:
        """The check's result where this step gives one: its call, or a set-up or clean-up that went wrong."""
        error = call.excinfo.value if call.excinfo else None
        if call.when != "call" and error is None:
            return None
        known = self.catalogue.by_test(item.nodeid)
        assert known is not None, item.nodeid
        if call.when == "call":
            fields = outcomes.of_call(error, self._compared)
        else:
            assert error is not None
            fields = outcomes.crashed(error, f"the check's {call.when}")
        return Result(
            **{
                "id": known.id,
                "parameter": outcomes.parameter(item),
                "remedy": known.remedy,
                "evidence": outcomes.evidence(item),
                "duration": round(call.duration, 4),
                **fields,
            }
        )

    def _waived(self, result: Result) -> dict[str, Any]:
        if result.status not in {"failed", "unverified"}:
            return {}
        waiver = self.opening.waivers.covering(result.id)
        return {"status": "waived", "beneath": result.status, "waiver": waiver.document()} if waiver else {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.worker is not None:
            return
        result = outcomes.attached(report)
        if result is None and report.failed:
            result = self._crashed_worker(report)
        if result is not None and result.id in self._expected:
            self._accounted += report.failed
            self._answered.add(result.id)
            if self._progress is not None:
                self._progress.answered(result)
            if self._journal is not None:
                self._journal.result(result)

    def _crashed_worker(self, report: pytest.TestReport) -> Result | None:
        """The one failed report that xdist makes up for a worker that died in the middle of a check."""
        known = self.catalogue.by_test(report.nodeid)
        if known is None or str(report.when) != "???":
            return None
        self._lost_workers.append(report.nodeid)
        return Result(
            id=known.id,
            status="unverified",
            reason="crashed",
            parameter=report.nodeid.partition("[")[2].removesuffix("]"),
            message="the worker process that ran this check died",
            remedy="Run again; if it dies again, run without -n and look at what it prints.",
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
        if not self.quiet or not isinstance(report, pytest.TestReport):
            return None
        result = outcomes.attached(report)
        return (result.status if result else report.outcome), "", ""

    # The end

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self._lost_workers.append(str(node.gateway.id))
        self._masked.update(getattr(node, "workeroutput", {}).get("golive_masked", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        masked = self.redactor.ledger["by_kind"]
        if self.worker is not None:
            self.config.workeroutput["golive_masked"] = dict(masked)  # type: ignore[attr-defined] # xdist's
            return
        if not hasattr(self, "opening"):
            return
        self._masked.update(masked)
        self._begin()
        if self._progress is not None:
            self._progress.stop()
        self.report = self._finished(session, int(exitstatus))
        session.exitstatus = self.report.exit_code
        self._print(self.report)

    def _begin(self) -> None:
        """Open the journal: from here on, whatever is found outlives the process."""
        from reports.journal import NAME, Header, Journal

        if self.worker is not None or self._journal is not None:
            return
        environment, waivers = self.opening.environment, self.opening.waivers
        self._journal = Journal(self.opening.folder / NAME, self.looking.redacted)
        self._journal.begin(
            Header(
                phase=self.phase,
                environment={
                    "name": environment.name,
                    "sandbox": environment.sandbox,
                    "config": list(environment.config),
                },
                service={"name": environment.service.name, "image": None, "revision": None},
                suite=_suite(self.config.rootpath),
                started=now(),
                catalogue=tuple(self._expected.values()),
                waivers=tuple(waivers.rows(set())),
                promoted=tuple(id_ for id_, row in environment.checks.items() if row.severity == "blocker"),
                replay=self.opening.replay.name if self.opening.replay else None,
            )
        )
        if self.quiet:
            self._show_progress()

    def _show_progress(self) -> None:
        from plugins.progress import progress

        writer = self.config.get_terminal_writer()
        title = f"{self.phase or 'checks'} {self.opening.environment.name}"
        self._progress = progress(writer._file, title, len(self._expected), self.looking.observer.waiting)  # noqa: SLF001 - redacted

    def _finished(self, session: pytest.Session, exitstatus: int) -> Report:
        from reports import build
        from reports.journal import End
        from reports.verdict import worsened

        assert self._journal is not None
        for row in self._expected.values():
            if row.id not in self._answered:
                self._journal.not_run(row.id, shortfall.why(row, session, self._unloadable, self._deselected))
        self._journal.end(
            End(
                finished=now(),
                pytest_status=self._pytest_status(exitstatus),
                foreign=max(session.testsfailed - self._accounted - len(self._unloadable), 0),
                masked={"total": sum(self._masked.values()), "by_kind": dict(self._masked)},
                service=self._service(),
                notes=tuple(self._notes()),
                whole=not self._lost_workers,
            )
        )
        report, _ = build.publish(self.opening.folder, self.redactor.tree)
        return worsened(report, self._write_allure(report))

    def _pytest_status(self, exitstatus: int) -> int:
        """pytest's own status. A file that could not be loaded is an interruption, however pytest counts it."""
        if self._unloadable and exitstatus in {0, 1}:
            return int(pytest.ExitCode.INTERRUPTED)
        return exitstatus

    def _service(self) -> dict[str, Any]:
        """What was looked at, as far as the evidence tells."""
        environment = self.opening.environment
        image, revision = environment.kubernetes.image, environment.repository.revision
        with contextlib.suppress(CannotObserve):
            value = read(self.opening.folder / "observations" / "workload.json").value or {}
            containers = value.get("containers") or [{}]
            image, revision = containers[0].get("image", image), value.get("revision") or revision
        return {"name": environment.service.name, "image": image, "revision": revision}

    def _notes(self) -> list[str]:
        notes = [f"environment {self.opening.environment.name}: {self.opening.because}"]
        if self._lost_workers:
            notes.append(f"worker processes that died: {', '.join(sorted(set(self._lost_workers)))}")
        notes += [f"{nodeid}: could not be loaded: {why}" for nodeid, why in self._unloadable.items()]
        return notes

    def _print(self, report: Report) -> None:
        from reports import text

        writer = self.config.get_terminal_writer()
        files = [str(_shown(self.opening.folder) / name) for name in ("report.html", "report.json")]
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        colour = writer.hasmarkup
        writer.write(text.board(report, width=writer.fullwidth, colour=colour, encoding=encoding, files=files))

    def _write_allure(self, report: Report) -> list[str]:
        """Allure's results, for `--alluredir=DIR`; a sentence for what went wrong."""
        if not self._allure:
            return []
        from reports import allure

        try:
            allure.write(report, self.opening.folder, Path(self.config.invocation_params.dir, self._allure))
        except OSError as error:
            return [f"--alluredir={self._allure} could not be written ({error.strerror})"]
        return []


def _shown(folder: Path) -> Path:
    with contextlib.suppress(ValueError):
        return folder.relative_to(Path.cwd())
    return folder


def _suite(root: Path) -> dict[str, str | None]:
    """This suite's own version and revision."""
    import tomllib

    version = None
    with contextlib.suppress(OSError, ValueError, KeyError):
        version = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    revision = None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
        revision = answer.stdout.strip() or None if answer.returncode == 0 else None
    return {"version": version, "revision": revision}
