"""Hostile text: shown, and nothing more."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.inert import inert, plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 日本, 👍", "plain, ünïcode, 日本, 👍"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\r\nb", "a\nb"),
        ("progress\rdone", "progress␍done"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("nul\x00bell\x07del\x7f", "nul␀bell␇del␡"),
        ("c1\x9b31m", "c1\ufffd31m"),
        ("\u202egnp.exe\u2069", "<U+202E>gnp.exe<U+2069>"),
        ("\ud800\ufffe\uffff", "\ufffd\ufffd\ufffd"),
        ("שלום", "שלום"),
    ],
)
def test_controls_become_visible(text: str, shown: str) -> None:
    """Pictures for control characters, names for what turns the text around, U+FFFD for what cannot be shown."""
    assert inert(text) == shown


@settings(deadline=None)  # the machine may be busy
@given(st.text(st.characters()))
def test_nothing_active_is_left(text: str) -> None:
    """No control character but newline and tab, and nothing that UTF-8 or XML 1.0 cannot hold."""
    shown = inert(text)
    shown.encode("utf-8")
    assert [c for c in shown if unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t"] == []
    assert not {"\ufffe", "\uffff"} & set(shown)


def test_length_is_bounded_and_the_rest_is_counted() -> None:
    """Ten megabytes become a screenful, and the reader is told."""
    shown = inert("x" * 10_000_000, 100)
    assert shown == "x" * 100 + " [... 9,999,900 more characters: see report.json]"
    assert inert("x" * 100, 100) == "x" * 100


def test_plain_values_are_json_in_any_file() -> None:
    """Tuples become lists, strange floats and objects their text, lone surrogates U+FFFD, keys too."""
    value = plain({"a\ud800": ("\udfff", float("nan"), float("-inf"), 1.5, True, None, {3}), 4: Exception("e")})
    assert value == {"a\ufffd": ["\ufffd", "nan", "-inf", 1.5, True, None, [3]], "4": "e"}
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
