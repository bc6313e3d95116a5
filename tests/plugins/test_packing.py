"""A pack that is not made: what is said of it, and what the run comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.settings import Environment
from plugins import packing
from plugins.packing import packed
from plugins.redaction import Redactor
from reports import build
from reports.bundle.archive import NAME
from tests.plugins.triage.nights import opening
from tests.reports.runs import clean

NOWHERE = Environment(name="production", tier="production")


def _packed(folder: Path) -> tuple[int, str, list[str]]:
    report, _ = build.publish(clean(folder))
    said: list[str] = []
    report = packed(report, opening(folder, NOWHERE), Redactor(), said.append)
    return report.exit_code, report.headline, said


def test_nothing_that_is_configured_leaves_a_pack_of_the_run_alone(tmp_path: Path) -> None:
    """No cluster, no Prometheus: the answers are in it, and each source is said to be missing."""
    code, _, said = _packed(tmp_path / "run")
    assert code == 0
    assert any("without the metric requests" in line for line in said), said
    assert (tmp_path / "run" / NAME).exists()


def test_a_pack_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    """It was asked for: the headline says that it is not there, and the exit status is not 0. Nothing half is left."""
    (tmp_path / "run" / f"{NAME}.tmp").mkdir(parents=True)
    code, headline, said = _packed(tmp_path / "run")
    assert (code, f"{NAME} could not be written (Is a directory)" in headline) == (10, True), headline
    assert said[-1].startswith("error: ")
    assert f"{NAME} could not be written" in (tmp_path / "run" / "report.json").read_text()
    assert not (tmp_path / "run" / NAME).exists()


def test_ctrl_c_ends_the_pack_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not want to wait has the answers already: the verdict stays what it was."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(packing._Packing, "_logs", interrupted)
    code, _, said = _packed(tmp_path / "run")
    assert (code, said[-1]) == (0, "The incident pack was not made: it was stopped.")
    assert not [file for file in (tmp_path / "run").iterdir() if NAME in file.name]
