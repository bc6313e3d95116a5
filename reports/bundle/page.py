"""index.html: the page from which an incident pack is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reports.bundle.archive import Archive
from reports.diagnosis import Change
from reports.inert import inert

NAME = "index.html"
LONGEST = 600
"""Characters of one value."""
ROWS = 500


def text(archive: Archive, header: dict[str, Any], charts: Sequence[str], timeline: Sequence[Change]) -> str:
    """The page over what is in the archive by now. `charts` are SVG of our own making; all else is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).resolve().parents[1] / "templates"
    pages = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    pages.filters["shown"] = lambda value: inert(str(value), LONGEST)
    return pages.get_template("pack.html.j2").render(
        subject=header["subject"],
        headline=header["headline"],
        run=header["run"],
        minutes=f"{header['window']['seconds'] / 60:g}",
        made=header["made"],
        notes=header["notes"],
        missing=archive.missing,
        charts=charts,
        timeline=timeline[-ROWS:],
        members=archive.members,
    )
