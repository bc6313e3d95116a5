"""The forms in which a secret value may turn up in text (escaped, encoded, cut), and the mask in their place."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters of a value, or of a form of it, below which masking would hit ordinary text."""
PIECE = 16
LONG = 32
"""A value from this length on is also known by its pieces: people and tools cut text."""
PIECES_OF = 4096
"""Characters at either end of a value that are cut into pieces."""
CUT_OF = 64
"""Characters at either end of a value of which each beginning and end is known."""
LINE = 16

HIDDEN = "***"
# What may stand at the ends of a mask: nothing that a renderer or parser would take for its own.
END = r"[A-Za-z0-9_+/=.~-]{4}"
MASKED = re.compile(rf"\*\*\*|{END}\.\.\.{END}")


def mask(value: str) -> str:
    """`abcd...wxyz` for a value of 16 characters or more, else `***`."""
    short = f"{value[:4]}...{value[-4:]}"
    return short if len(value) >= 16 and "----" not in short and MASKED.fullmatch(short) else HIDDEN


def forms(value: str) -> set[str]:
    """Every form of `value`, each at least `SHORTEST` characters long. White space around it is left aside."""
    bare = value.strip()  # white space is no secret, and encodings differ by it
    found = {bare, *_escaped(bare)}
    for data in (bare.encode("utf-8", "surrogatepass"), value.encode("utf-8", "surrogatepass")):
        found.update((data.hex(), data.hex().upper(), *_base64(data)))
    found.update(line.strip() for line in bare.splitlines() if len(line.strip()) >= LINE)
    return {form for form in found if len(form) >= SHORTEST}


class Cuts(NamedTuple):
    """What may be left of a value that was cut before it was masked."""

    beginnings: set[str]
    """Where no letter or digit follows."""
    ends: set[str]
    """Where no letter or digit comes before."""
    pieces: set[str]
    """Anywhere."""


def cuts(value: str) -> Cuts:
    """What of `value`, cut anywhere, tells so much of it that it must be masked; each at least `SHORTEST` characters.

    Left are 5 characters at the most, and 15 of a value of more than `CUT_OF`. Not known are ends that are words or
    half of an address: they stand in ordinary text too.
    """
    bare = value.strip()
    lengths = range(SHORTEST, min(len(bare), CUT_OF))
    return Cuts(
        {bare[:length] for length in lengths if _telling(bare[:length])},
        {bare[-length:] for length in lengths if _telling(bare[-length:])},
        set(_pieces(bare)) if len(bare) >= LONG else set(),
    )


def _escaped(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    for encoded in (quote(data, safe=""), quote(data), quote_plus(data), quote_plus(data, safe="/")):
        yield encoded
        yield _lower_escapes(encoded)
    for digits in (data.hex(), data.hex().upper()):
        yield re.sub("(..)", r"%\1", digits)
    for text in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield text
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", text)  # as Go writes it
    yield re.sub("(....)", r"\\u\1", value.encode("utf-16-be", "surrogatepass").hex())
    for shown in (repr(value)[1:-1], repr(data)[2:-1]):
        bare = shown.replace("\\'", "'")  # which is escaped depends on what stands beside it
        yield bare
        yield bare.replace("'", "\\'")
    for quoted in ('"\'"', "\\'"):  # a shell's
        yield value.replace("'", f"'{quoted}'")
    yield value.replace('"', '""')  # in CSV
    markup = html.escape(value)
    yield markup
    yield markup.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield html.escape(value, quote=False)


def _lower_escapes(encoded: str) -> str:
    """`%2F` as `%2f`, which some libraries write."""
    head, *rest = encoded.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(data: bytes) -> Iterator[str]:
    """Alone, with and without padding; and inside something longer, where it starts at any of three alignments."""
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        alone = encode(data).decode()
        yield alone
        yield alone.rstrip("=")
        for before in range(3):
            whole = (before + len(data)) * 8 // 6  # characters that depend on nothing that follows
            first = -(-before * 8 // 6)  # characters that depend on what comes before
            yield encode(bytes(before) + data).decode()[first:whole]


def _pieces(value: str) -> Iterator[str]:
    """Counted from either end, so that of a value that was cut less than one piece is left."""
    head, tail = value[:PIECES_OF], value[-PIECES_OF:]
    for start in range(0, len(head) - PIECE + 1, PIECE):
        yield from filter(_telling, (head[start : start + PIECE], tail[len(tail) - start - PIECE : len(tail) - start]))


def _telling(piece: str) -> bool:
    """Not words or an address, which stand in ordinary text too."""
    mixed = any(c.isdigit() for c in piece) or not (piece.islower() or piece.isupper() or piece.istitle())
    return mixed and any(c.isalpha() for c in piece) and "://" not in piece
