"""report.json: a report as plain JSON and back. Its form is published in schema/report.schema.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from reports.inert import plain
from reports.model import Report

SCHEMA = "1"


def document(report: Report) -> dict[str, Any]:
    """The report as plain JSON values that any UTF-8 file can hold. Durations are rounded to the millisecond."""
    whole = plain(asdict(report))
    for row in (*whole["findings"], *whole["observations"]):
        row["duration"] = round(row["duration"], 3)
    result: dict[str, Any] = whole
    return result


def report_of(document: dict[str, Any]) -> Report:
    """The report that a document holds. Raises `pydantic.ValidationError` where it does not fit."""
    from pydantic import TypeAdapter

    return TypeAdapter(Report).validate_python(document)


def text(report: Report) -> str:
    return json.dumps(document(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
