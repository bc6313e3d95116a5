"""Hostile text made inert: shown as what it is, at a size that a reader can bear."""

from __future__ import annotations

import re
from typing import Any

_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: 0x2421}
_BIDI = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
# XML 1.0 (section 2.2) has no place for surrogates and the two noncharacters of the first plane.
_UNSHOWABLE = (*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
_TABLE: dict[int, int | str] = {
    **_PICTURES,
    **{code: f"<U+{code:04X}>" for code in _BIDI},
    **dict.fromkeys(_UNSHOWABLE, 0xFFFD),
}
_SURROGATES = re.compile("[\ud800-\udfff]")


def inert(text: str, limit: int = 8000) -> str:
    """`text` with control characters as their pictures (ESC as `␛`), what turns the reading direction spelt out,
    what cannot be shown as U+FFFD, and at most `limit` characters of it, with a note on how many are left out.
    """
    shown = text[:limit].replace("\r\n", "\n").translate(_TABLE)
    left = len(text) - limit
    return shown if left <= 0 else f"{shown} [... {left:,} more characters: see report.json]"


def line(text: str, limit: int = 8000) -> str:
    """`text` made inert, in one line."""
    return " ".join(inert(text, limit).split())


def plain(value: Any) -> Any:
    """A JSON-like value that any UTF-8 file can hold: lone surrogates replaced, tuples as lists, the rest as text."""
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    return plain(str(value))
