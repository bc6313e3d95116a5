"""A log, redacted as it passes: of any size, in memory for a few blocks.

    log = RedactedLog(file.write, redactor)
    for chunk in chunks:
        log.write(chunk)
    log.close()

Only lines that may hold a secret are redacted, each with its neighbours, since a name and its value may stand on two.
A private key, and a line without an end, go through a `RedactedStream`, which holds back what may go on. Nothing that
could act on a terminal is left: a carriage return shows as a space, other control characters as a question mark, and so
does what turns the direction of the text around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from plugins.redaction import RedactedStream
from plugins.screening import MARKS

if TYPE_CHECKING:
    from typing import TextIO

    from plugins.redaction import Redactor

BLOCK = 400_000
"""Bytes that are gathered before they are looked at, about."""
LONGEST = 1_000_000
"""Bytes of a line that are gathered at the most."""

_HARMLESS = bytes(
    32 if code == 13 else 63 if (code < 32 and code not in (9, 10)) or code == 127 else code for code in range(256)
)


class RedactedLog:
    """Takes bytes cut anywhere, and gives `write` whole lines. NUL is left out: UTF-16 is read as well as can be."""

    def __init__(self, write: Callable[[bytes], object], redactor: Redactor) -> None:
        self._out, self._redactor = write, redactor
        self._slow = RedactedStream(cast("TextIO", _Encoding(write)), redactor)
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._parts.append(chunk)
        self._size += len(chunk)
        if self._size >= BLOCK:
            self._pass(whole=False)

    def close(self) -> None:
        """Write everything: nothing more will come."""
        self._pass(whole=True)
        self._slow.finish()

    def _pass(self, *, whole: bool) -> None:
        """Let the whole lines through that there are, and what is left of the last one where nothing follows it."""
        data = b"".join(self._parts).replace(b"\0", b"")
        end = len(data) if whole or len(data) > LONGEST else data.rfind(b"\n") + 1
        self._parts, self._size = [data[end:]], len(data) - end
        self._passed(data[:end])

    def _passed(self, block: bytes) -> None:
        found, controls = self._redactor.screened(block)
        if self._slow.holding or not block.endswith(b"\n") or (found and b"PRIVATE KEY" in block):
            self._slow.write(block.decode("utf-8", "replace"))
            return
        masked = b"\n".join(self._mended(block.split(b"\n"), found)) if found else block
        self._out(_harmless(masked) if controls else masked)

    def _mended(self, lines: list[bytes], found: set[int]) -> Iterator[bytes]:
        """The lines, those that may hold a secret redacted together with the ones beside them."""
        done = 0
        for first, last in _groups(found, len(lines)):
            yield from lines[done:first]
            text = b"\n".join(lines[first:last]).decode("utf-8", "replace")
            yield self._redactor.text(text).encode("utf-8", "replace")
            done = last
        yield from lines[done:]


def _harmless(data: bytes) -> bytes:
    """UTF-8 without anything that acts."""
    shown = data.translate(_HARMLESS)
    return shown if shown.isascii() else MARKS.sub(b"?", shown)


def _groups(found: set[int], size: int) -> Iterator[tuple[int, int]]:
    """(first, behind the last) of the lines to redact together: each that was found, with one before and one after."""
    first, last = -1, -1
    for number in sorted(found):
        if first < 0 or number - 1 > last:
            if first >= 0:
                yield first, last
            first = max(0, number - 1)
        last = min(size, number + 2)
    if first >= 0:
        yield first, last


class _Encoding:
    """A text file over `write`, harmless."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def write(self, text: str) -> None:
        self._write(_harmless(text.encode("utf-8", "replace")))

    def flush(self) -> None:
        """Whoever takes the bytes flushes."""
