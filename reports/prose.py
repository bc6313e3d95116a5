"""Text as lines of a terminal: flowed at its width, never wider, with what cannot be shown made inert."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from reports.inert import inert

Line = tuple[str, str]
"""A line of text and the key of its style."""
_ITEM = re.compile(r"(?:[-*]|\d+[.)]) +")


def cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."


def prose(text: str, width: int, indent: str, label: str = "", style: str = "") -> Iterator[Line]:
    hanging = indent + " " * len(label)
    for line in wrapped(text, width - len(hanging)):
        yield f"{indent}{label}{line}", style
        indent, label = hanging, ""


def wrapped(text: str, width: int) -> list[str]:
    """Paragraphs, each flowed anew at this width; the further lines of a list's item stand below its first word."""
    lines = []
    for paragraph in paragraphs(inert(text, 2000)):
        item = _ITEM.match(paragraph)
        hanging = " " * len(item[0] if item else "")
        wrapper = textwrap.TextWrapper(max(width, 20), subsequent_indent=hanging, break_on_hyphens=False)
        lines += wrapper.wrap(paragraph)
    return lines or [""]


def paragraphs(text: str) -> list[str]:
    """Lines that follow each other are one paragraph, wherever their writer broke them. A blank line ends it; the item
    of a list begins one, and a line that is indented stays one.
    """
    found: list[str] = []
    flows = False
    for line in text.splitlines():
        if flows and line.strip() and not line[0].isspace() and not _ITEM.match(line):
            found[-1] += f" {line.strip()}"
        elif line.strip():
            found.append(line)
        flows = bool(line.strip()) and not line[0].isspace()
    return found
