"""A remedy's text in parts: what to read and what to paste."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Part:
    """`paste` parts are kept as they are, line by line; the others are prose that may be wrapped."""

    paste: bool
    text: str


# `See what answers there: curl -i 'http://10.0.0.1'`: a command that ends a sentence is to paste as well.
_COMMAND = re.compile(r": ((?:kubectl|curl|git|nc|openssl|promtool) \S.*)\Z")


def parts(text: str) -> tuple[Part, ...]:
    """Split a remedy. To paste are lines that are indented, begin with `$ `, or stand between ``` fences, and a command
    at the end of a paragraph.
    """
    found = []
    for paste, group in groupby(_lines(text), key=lambda line: line[0]):
        lines = "\n".join(line for _, line in group).strip("\n")
        if paste:
            found.append(Part(True, textwrap.dedent(lines)))
        else:
            for block in lines.split("\n\n"):
                found += _prose(block.strip()) if block.strip() else []
    return tuple(found)


def _prose(block: str) -> list[Part]:
    command = _COMMAND.search(block)
    if command is None:
        return [Part(False, block)]
    return [Part(False, block[: command.start() + 1]), Part(True, command[1])]


def _lines(text: str) -> Iterator[tuple[bool, str]]:
    """Each line with whether it is to paste. A blank line stays with what comes before it."""
    fenced = paste = False
    for line in text.expandtabs(4).splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            paste = fenced
            continue
        if line.strip():
            paste = fenced or line.startswith((" ", "$ "))
        yield paste, line
