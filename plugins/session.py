"""One run, from its premises to its verdict. A worker only reports; the controller keeps the journal and decides."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from plugins import outcomes
from plugins.catalogue import Catalogue, entry
from plugins.names import filled
from plugins.stopping import Stopping, has_line
from reports.model import Entry, Report, Result

if TYPE_CHECKING:
    from plugins.looking import Looking
    from plugins.opening import Opening
    from plugins.recording import Losses, Recording
    from plugins.redaction import Redactor


class Run:
    """The state of one run in one process, and the hooks that move it on."""

    opening: Opening
    looking: Looking
    losses: Losses
    redactor: Redactor

    def __init__(self, config: pytest.Config, catalogue: Catalogue, phase: str | None) -> None:
        self.config = config
        self.catalogue = catalogue
        self.phase = phase
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", {}).get("golive")
        self._recording: Recording | None = None
        self._compared = outcomes.Compared()
        self._stack = contextlib.ExitStack()
        self._accounted = 0  # pytest's failed reports that are a check's own
        self._masked: Counter[str] = Counter()
        self._stopping = Stopping()
        self._allure: str | None = config.option.alluredir
        if phase not in (None, "preflight"):  # drills are timed, and fewer collections are longer ones
            gc.set_threshold(50_000)  # nearly all that a short run makes stays to its end: with 700 a tenth goes there
        self._quieten()

    def _quieten(self) -> None:
        """Our board speaks for the run; `-v` gives pytest's own output beside it."""
        option = self.config.option
        self.config.addinivalue_line("filterwarnings", "default")  # a library's warning is no outage
        self.quiet = option.verbose <= 0
        if self.quiet:
            option.verbose = -2
            option.no_summary = option.no_header = True

    # The premises

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        from plugins import looking
        from plugins.opening import joined, opened, written
        from plugins.recording import Losses
        from plugins.redaction import Redactor

        del session
        self.losses = Losses()
        self.redactor = Redactor()
        self.redactor.from_environment(os.environ)
        self._redact_output()
        if self.worker is not None:
            self.opening = joined(self.worker, self.catalogue, self.redactor)
        else:
            self.opening = self._stack.enter_context(opened(self.config, self.catalogue, self.phase, self.redactor))
        premises = self.opening
        with written(premises.folder):
            self.looking = looking.Looking(
                premises, self.redactor, alone=self.worker is None, hurried=self.phase == "triage"
            )
        self._stopping.heed(self.looking.changes.stop, until=self._stack)
        self.config.pluginmanager.register(self.looking, looking.NAME)
        self.config.pluginmanager.register(looking)
        if self.phase:
            self._record(self.catalogue.phase(self.phase))
        if self.quiet and (nodes := self.config.pluginmanager.get_plugin("terminaldistreporter")):
            self.config.pluginmanager.unregister(nodes)  # xdist's own progress, which ours stands for

    def _redact_output(self) -> None:
        """All that is printed passes the redactor: what pytest writes, and with `-s` what anybody prints."""
        writer = self.config.get_terminal_writer()
        writer._file = self._printed(self._uncaptured(writer._file))  # noqa: SLF001 - pytest offers no other way
        if self.config.option.capture == "no":
            for name in ("stdout", "stderr"):
                redirect = {"stdout": contextlib.redirect_stdout, "stderr": contextlib.redirect_stderr}[name]
                self._stack.enter_context(redirect(self._printed(getattr(sys, name))))

    def _uncaptured(self, stream: TextIO) -> TextIO:
        """A stream of its own to the same place: what is told while a check runs would else count as what it prints."""
        try:
            number = stream.fileno()
        except (OSError, ValueError):  # no file, so pytest cannot redirect it either
            return stream
        stream.flush()
        own = os.fdopen(os.dup(number), "w", buffering=1, encoding=stream.encoding, errors=stream.errors)
        self._stack.callback(own.close)
        self._stack.callback(setattr, self.config.get_terminal_writer(), "_file", stream)
        return own

    def _printed(self, stream: TextIO) -> TextIO:
        redacted = self.redactor.stream(stream)
        self._stack.callback(redacted.finish)  # type: ignore[attr-defined] # a RedactedStream, typed as what it stands for
        return redacted

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
        self.losses.deselected.update(item.nodeid.split("[")[0] for item in items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or ["?"]
            said = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")]
            self.losses.unloadable[report.nodeid] = (said or lines[-1:])[0]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        hook: Any = self.config.pluginmanager.rewrite_hook
        if hook in sys.meta_path:  # what is imported from here on are libraries, which it would only slow down
            sys.meta_path.remove(hook)
        self._expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        del node
        self._expect(ids)

    def _expect(self, nodeids: list[str]) -> None:
        """Where no phase was asked for, what was selected is what must be answered."""
        selected = self.catalogue.selected(nodeids)
        if self.phase is None and nodeids:
            self._record(selected)
        if self._recording is not None:
            self._recording.selected(selected)

    def _record(self, expected: dict[str, Entry]) -> None:
        """Open the journal in the controller, once it is known what must be answered."""
        from plugins.opening import written
        from plugins.recording import Recording

        if self.worker is None and self._recording is None:
            with written(self.opening.folder):
                self._recording = Recording(self.config, self.opening, self.looking, self.phase, expected)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Watch first, where that was asked for; what is judged in the end are the looks of the last round."""
        if self.worker is not None or self.opening.intent.watch is None or self.opening.replay or not session.items:
            return
        from plugins.watching import watched

        self.losses.stopped = watched(self.looking, self.catalogue, session.items, self._tell)
        self._stopping.heard()

    def _tell(self, lines: str) -> None:
        if self._recording is not None:
            self._recording.tell(lines)

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
                remedy = filled(result.remedy, self.opening.environment)
                result = replace(result, remedy=remedy, **self._waived(result))
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
        if result is not None and self._recording is not None and result.id in self._recording.expected:
            self._accounted += report.failed
            self._recording.result(result)

    def _crashed_worker(self, report: pytest.TestReport) -> Result | None:
        """The one failed report that xdist makes up for a worker that died in the middle of a check."""
        known = self.catalogue.by_test(report.nodeid)
        if known is None or str(report.when) != "???":
            return None
        self.losses.workers.append(report.nodeid)
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

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Wait a moment for what is being changed, while its clients are there; a second Ctrl-C ends the wait."""
        self._stopping.hold()  # what comes now takes no time, and must not be torn
        excinfo.traceback = excinfo.traceback.filter(has_line)
        if hasattr(self, "looking"):
            self.looking.stopped(self._stopping.again)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self.losses.workers.append(str(node.gateway.id))
        self._masked.update(getattr(node, "workeroutput", {}).get("golive_masked", {}))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._stopping.hold()
        masked = self.redactor.ledger["by_kind"]
        if self.worker is not None:
            self.config.workeroutput["golive_masked"] = dict(masked)  # type: ignore[attr-defined] # xdist's
            return
        if not hasattr(self, "looking"):
            return  # the premises could not be settled, which pytest reports
        self._masked.update(masked)
        self._record({})
        assert self._recording is not None
        foreign = max(session.testsfailed - self._accounted - len(self.losses.unloadable), 0)
        self._recording.end(session, self._pytest_status(int(exitstatus)), foreign, self.losses, self._masked)
        folder = Path(self.config.invocation_params.dir, self._allure) if self._allure else None
        report = self._recording.published(self.redactor.tree, folder)
        self._recording.print(report)
        session.exitstatus = self._packed(report, int(exitstatus)).exit_code
        gc.freeze()  # pytest looks for garbage ten times before it ends

    def _packed(self, report: Report, exitstatus: int) -> Report:
        """The incident pack, where it was asked for; last of all, for whoever waits has all answers by now."""
        if not self.opening.intent.bundle or self.opening.replay is not None:
            return report
        from plugins.packing import packed

        writer = self.config.get_terminal_writer()
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            writer.line("No incident pack was made: the run was stopped.")
            return report
        self._stopping.release()  # a pack takes its time; Ctrl-C leaves it out
        try:
            return packed(report, self.opening, self.redactor, writer.line, writer.fullwidth)
        finally:
            self._stopping.hold()

    def _pytest_status(self, exitstatus: int) -> int:
        """pytest's own status. A file that could not be loaded is an interruption, however pytest counts it."""
        if self.losses.unloadable and exitstatus in {0, 1}:
            return int(pytest.ExitCode.INTERRUPTED)
        return exitstatus
