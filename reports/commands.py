"""Commands to paste, folded where a terminal would break them: a backslash at the end of a line keeps them whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

FOLD = " \\"
INDENT = "    "
_HEREDOC = re.compile(r"<<")


def folded(command: str, width: int) -> list[str]:
    """The lines of a shell command, each of at most `width` columns where it has a blank to be folded at.

    It means the same: only blanks between words are taken, none in quotes or in a comment. What has a here-document
    is left as it is.
    """
    lines = command.splitlines()
    if _HEREDOC.search(command):
        return lines
    found: list[str] = []
    quote = ""
    for line in lines:
        blanks, quote = _blanks(line, quote)
        found += _folded(line, blanks, width)
    return found


def _folded(line: str, blanks: list[int], width: int) -> Iterator[str]:
    start, indent = 0, ""
    further = re.match(r" *", line)[0] + INDENT  # type: ignore[index] # it matches everywhere
    while len(indent) + len(line) - start > width:
        room = start + width - len(indent) - len(FOLD)
        ahead = [place for place in blanks if line[start:place].strip() and line[place:].strip(" \\")]
        if not ahead:
            break
        end = max((place for place in ahead if place <= room), default=ahead[0])  # a long word stays whole
        yield f"{indent}{line[start:end]}{FOLD}"
        start, indent = end + 1, further
    yield f"{indent}{line[start:]}"


def _blanks(line: str, quote: str) -> tuple[list[int], str]:
    """Where words of the line end, and the quote that is open behind it. `quote` is the one that is open before it."""
    found, escaped = [], False
    for place, sign in enumerate(line):
        if escaped:
            escaped = False
        elif quote:
            escaped = sign == "\\" and quote == '"'
            quote = "" if sign == quote else quote
        elif sign == "#" and (place == 0 or line[place - 1] == " "):
            break
        elif sign in "'\"":
            quote = sign
        elif sign == " " and line[place - 1 : place] != " ":
            found.append(place)
        else:
            escaped = sign == "\\"
    return found, quote
