"""The charts and tables of an incident pack."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree import ElementTree

import pytest

from reports.bundle.chart import Chart, Points, svg, table


def chart(courses: Mapping[str, Points], **given: object) -> Chart:
    fields: dict[str, object] = {
        "title": "Errors",
        "unit": "%",
        "bound": 0.05,
        "start": 0.0,
        "end": 600.0,
        "step": 60.0,
    }
    return Chart(courses=courses, **{**fields, **given})  # type: ignore[arg-type] # the fields of the class


def paths(drawn: str) -> list[str]:
    """The lines of the courses."""
    tree = ElementTree.fromstring(drawn)
    return [node.attrib["d"] for node in tree if node.attrib.get("stroke-width") == "1.5"]


def test_a_course_is_a_line_and_a_gap_interrupts_it() -> None:
    """Where a moment is missing or has no value, nothing is drawn."""
    points = [(0.0, 0.01), (60.0, 0.02), (120.0, math.nan), (180.0, 0.01), (360.0, 0.01), (420.0, 0.01)]
    (path,) = paths(svg(chart({"auth": points})))
    assert [part[0] for part in path.split() if part[0] in "ML"] == list("MLMML")


@pytest.mark.parametrize(
    "courses",
    [
        {},
        {"none": []},
        {"nan": [(0.0, math.nan)]},
        {"inf": [(0.0, math.inf), (60.0, -math.inf)]},
        {"zero": [(0.0, 0.0)]},
    ],
)
def test_nothing_to_draw_is_a_chart_without_a_line(courses: dict[str, Points]) -> None:
    """And no error; it is well-formed, and says no number that was not there."""
    drawn = svg(chart(courses, bound=None))
    ElementTree.fromstring(drawn)
    assert "nan" not in drawn.replace("nan: no value", "")
    assert ">inf" not in drawn.replace(">inf: no value", "")


def test_hostile_labels_are_text() -> None:
    """In the chart and in the spreadsheet that opens the table."""
    name = '=HYPERLINK("x")<script>\x1b]]>'
    shown = chart({name: [(0.0, 0.1)]}, title="<b>&")
    ElementTree.fromstring(svg(shown))
    assert "<script>" not in svg(shown)
    assert table(shown).splitlines()[0].startswith('time,"\'=HYPERLINK(""x"")')


def test_the_highest_courses_are_drawn_and_the_others_counted() -> None:
    """The table has all of them."""
    courses = {f"kind{number}": [(0.0, number / 100)] for number in range(9)}
    drawn = svg(chart(courses))
    assert len(paths(drawn)) == 6
    assert "kind8" in drawn
    assert "kind2" not in drawn
    assert "3 more in the table" in drawn
    assert table(chart(courses)).splitlines()[0].count(",") == 9


def test_the_bound_is_within_the_chart_though_the_values_are_far_below() -> None:
    """So that a reader sees how far."""
    drawn = svg(chart({"auth": [(0.0, 0.0001)]}))
    assert "at most 5 %" in drawn
    assert "highest 0.01 %" in drawn


def test_a_table_has_a_row_for_each_moment_and_leaves_open_what_was_not_measured() -> None:
    """Times in UTC; nought is a value, nothing is none."""
    found = table(chart({"a": [(0.0, 0.0), (60.0, 1.5)], "b": [(60.0, math.nan)]}))
    assert found == 'time,"a","b"\n1970-01-01T00:00:00Z,0,\n1970-01-01T00:01:00Z,1.5,nan\n'
