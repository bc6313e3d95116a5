"""The chart of a watch: every look drawn where it belongs, nothing drawn that was not measured."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports import build, rounds
from reports.__main__ import main
from reports.document import document, report_of
from reports.model import Round, Value
from reports.watch_chart import BASE, LEFT, RIGHT, ROWS, TOP, WIDTH, Line, Watch, told, watch
from tests.reports import runs
from tests.reports.page import parsed


def course(folder: Path, *errors: Any) -> Watch:
    runs.watched(folder, runs.looks(errors))
    found, problem = rounds.read(folder)
    assert problem == ""
    chart = watch(found)
    assert chart is not None
    return chart


def points(line: Line) -> list[tuple[str, float, float]]:
    """Each point of the path, and whether the pen moved there (M) or drew (L)."""
    found = re.findall(r"([ML])([\d.]+) ([\d.]+)", line.path)
    return [(pen, float(x), float(y)) for pen, x, y in found]


def test_each_look_stands_at_its_time_and_height(tmp_path: Path) -> None:
    """From the first to the last over the whole width; the bound is where its value is."""
    errors, latency = course(tmp_path, 0.0, 0.05, 0.025).panels
    assert (errors.title, latency.title) == ("Errors", "Latency (p99)")
    canary = points(errors.lines[0])
    assert [x for _, x, _ in canary] == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT])
    assert canary[0][2] == BASE
    assert canary[1][2] == errors.bound
    assert canary[2][2] == pytest.approx((BASE + errors.bound) / 2, abs=0.1)
    assert TOP < errors.bound < BASE
    assert [line.name for line in errors.lines] == ["canary", "stable"]
    assert [label for _, label, _ in errors.times] == ["15:08:30", "15:09:30"]


def test_a_look_without_data_is_a_gap_and_no_nought(tmp_path: Path) -> None:
    """No line is drawn to it or from it, and the words say how many there were."""
    panel = course(tmp_path, 0.01, None, 0.01, 0.01).panels[0]
    assert [pen for pen, _, _ in points(panel.lines[0])] == ["M", "M", "L"]
    assert "1 look without data." in panel.says
    assert course(tmp_path, 0.01, None).panels[0].lines[0].last == "no data"


def test_a_watch_without_any_data_draws_no_line(tmp_path: Path) -> None:
    """It has its bound, and says that there were no data."""
    panel = course(tmp_path, None, None).panels[0]
    (line, _) = panel.lines
    assert [line.path, line.last] == ["", "no data"]
    assert panel.says.startswith("canary: at last no data, and at most 5.00 % may be; 2 looks without data.")


def test_a_value_off_the_scale_is_at_the_top_with_its_mark(tmp_path: Path) -> None:
    """It is above its bound, however large that may be."""
    line = course(tmp_path, 0.01, "off scale").panels[0].lines[0]
    assert points(line)[-1] == ("L", WIDTH - RIGHT, TOP)
    assert list(line.beyond) == [WIDTH - RIGHT]
    assert line.last == "off scale"


def test_the_signs_say_how_the_checks_stood_where_that_changed(tmp_path: Path) -> None:
    """And at the end: a watch of a day is no row of a thousand ticks."""
    panel = course(tmp_path, None, *[0.01] * 40, 0.07).panels[0]
    assert [status for _, _, status in panel.signs] == ["unverified", "failed"]
    assert [sign for _, sign, _ in course(tmp_path, None, 0.01, 0.01, 0.01).panels[0].signs] == ["?", "✓", "✓"]


def test_the_table_has_every_look_up_to_a_bound(tmp_path: Path) -> None:
    """The newest; what is left out is counted."""
    chart = course(tmp_path, *[0.01] * (ROWS + 7), 0.07)
    assert (len(chart.rows), chart.left_out) == (ROWS, 8)
    last = chart.rows[-1]
    assert (last.values[0], last.stood) == ("7.00 %", "1 failed, 1 passed (ROL-003)")


@pytest.mark.parametrize(
    ("value", "unit", "says"),
    [(0.0314, "%", "3.14 %"), (2.0, "s", "2.00 s"), (None, "s", "no data"), ("off scale", "%", "off scale")],
)
def test_a_figure_has_its_unit(value: Value, unit: str, says: str) -> None:
    """What is none is no figure."""
    assert told(value, unit) == says


@pytest.mark.parametrize("at", ["", "soon", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00"])
def test_a_time_that_cannot_be_read_costs_no_look(tmp_path: Path, at: str) -> None:
    """They stand in their order, at the same distance."""
    rows = runs.looks([0.01, 0.02, 0.03])
    rows[1]["at"] = at
    runs.watched(tmp_path, rows)
    chart = watch(rounds.read(tmp_path)[0])
    assert chart is not None
    places = [x for _, x, _ in points(chart.panels[0].lines[0])]
    assert places == sorted(places)
    assert len(places) == 3


def test_no_watch_is_no_chart(tmp_path: Path) -> None:
    """A run that was not watched, and one whose file is empty."""
    assert watch(()) is None
    assert rounds.read(tmp_path) == ((), "")
    assert build.publish(runs.watched(tmp_path, []))[1] == []
    assert 'id="watch"' not in (tmp_path / "report.html").read_text("utf-8")


def test_a_torn_last_line_is_what_a_killed_run_leaves(tmp_path: Path) -> None:
    """The rounds before it are shown, and nothing is complained of."""
    runs.watched(tmp_path)
    text = (tmp_path / "rounds.jsonl").read_text("utf-8")
    (tmp_path / "rounds.jsonl").write_text(text[: -len(text.splitlines()[-1]) // 2], "utf-8")
    found, problem = rounds.read(tmp_path)
    assert (len(found), problem) == (9, "")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("{", "rounds.jsonl:2: found no JSON"),
        ("[]", "rounds.jsonl:2: "),
        ('{"number": "x"}', "rounds.jsonl:2: number: "),
        ('{"number": NaN}', "rounds.jsonl:2: found no JSON"),
        ("[" * 100_000, "rounds.jsonl:2: "),
    ],
)
def test_a_damaged_line_is_told_of_with_its_place(tmp_path: Path, damage: str, says: str) -> None:
    """The rounds before it are shown; a chart that ends early does not pass for a whole one."""
    lines = [json.dumps(row) for row in runs.looks()]
    runs.watched(tmp_path)
    (tmp_path / "rounds.jsonl").write_text("\n".join([lines[0], damage, *lines[2:]]) + "\n", "utf-8")
    report, problems = build.publish(tmp_path)
    assert (len(report.rounds), problems) == (1, [])
    (note,) = [note for note in report.notes if note.startswith(says)]
    assert note.endswith("; only the rounds before are shown.")


def test_the_report_holds_the_rounds_and_is_built_anew_with_them(tmp_path: Path) -> None:
    """report.json has what rounds.jsonl has; a rebuild shows the same chart."""
    assert build.publish(runs.watched(tmp_path))[1] == []
    written = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert written["rounds"] == runs.looks()
    assert report_of(written).rounds == build.build(tmp_path).rounds
    before = (tmp_path / "report.html").read_text("utf-8")
    (tmp_path / "report.html").unlink()
    main(["build", str(tmp_path)])
    assert (tmp_path / "report.html").read_text("utf-8") == before
    assert "canary: 0.10 % to 7.40 %" in before


def test_what_is_hostile_is_text(tmp_path: Path) -> None:
    """A name of a script, in the file that anybody may have written, stays a name."""
    rows = json.loads(json.dumps(runs.looks()).replace("canary", "<script>x</script>\\u202e\\u001b[31m"))
    assert build.publish(runs.watched(tmp_path, rows))[1] == []
    tree = parsed((tmp_path / "report.html").read_text("utf-8"))
    assert list(tree.all("script")) == []
    assert "<script>x</script><U+202E>␛[31m" in tree.one("section", aria_labelledby="watch").words


def test_a_redacted_report_keeps_its_rounds(tmp_path: Path) -> None:
    """They go through the redactor like the rest."""
    report = build.build(runs.watched(tmp_path))
    secret = replace(report, rounds=(Round(1, "", {}, ("s3cret",), ()),))
    (found,) = report_of(json.loads(json.dumps(document(secret)).replace("s3cret", "***"))).rounds
    assert found.failed == ("***",)
