"""A screenshot in a fraction of its bytes: what a browser writes in full colour, with a palette (PNG, 3rd edition)."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]


def smaller(png: bytes) -> bytes:
    """The same picture in its 256 commonest colours. It takes 8 bits of red, green and blue, not interlaced."""
    width, height, *form = struct.unpack(">IIBBBBB", png[16:29])
    assert form == [8, 2, 0, 0, 0], form
    data = zlib.decompress(b"".join(content for kind, content in _chunks(png) if kind == b"IDAT"))
    rows = [list(zip(row[::3], row[1::3], row[2::3], strict=True)) for row in _rows(data, 3 * width)]
    numbers = _numbers(Counter(colour for row in rows for colour in row))
    palette = b"".join(bytes(colour) for colour in list(numbers)[:256])
    packed = zlib.compress(b"".join(bytes([0, *(numbers[colour] for colour in row)]) for row in rows), 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", packed), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _numbers(found: Counter[Colour]) -> dict[Colour, int]:
    """The place of each colour in the palette, the commonest first; what has none there takes its neighbour's."""
    kept = {colour: place for place, (colour, _) in enumerate(found.most_common(256))}
    rest = {colour: kept[min(kept, key=lambda other: _apart(colour, other))] for colour in found if colour not in kept}
    return kept | rest


def _apart(one: Colour, other: Colour) -> int:
    return sum((left - right) ** 2 for left, right in zip(one, other, strict=True))


def _rows(data: bytes, length: int) -> Iterator[bytes]:
    """The rows of `length` bytes without their filters (chapter 9 of the specification), three bytes a pixel."""
    before = bytes(length)
    for start in range(0, len(data), length + 1):
        row = bytearray(data[start + 1 : start + 1 + length])
        _unfilter(data[start], row, before)
        before = bytes(row)
        yield before


def _unfilter(kind: int, row: bytearray, above: bytes) -> None:
    for place in range(len(row) if kind else 0):
        left = row[place - 3] if place >= 3 else 0
        corner = above[place - 3] if place >= 3 else 0
        guess = {1: left, 2: above[place], 3: (left + above[place]) // 2}.get(kind)
        row[place] = (row[place] + (_paeth(left, above[place], corner) if guess is None else guess)) & 0xFF


def _paeth(left: int, above: int, corner: int) -> int:
    return min((left, above, corner), key=lambda value: abs(left + above - corner - value))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        yield kind, png[place + 8 : place + 8 + length]
        place += length + 12


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
