"""A remedy's parts: what is prose and what is to paste."""

from __future__ import annotations

import pytest

from reports.remedy import Part, parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mend it.", [Part(False, "Mend it.")]),
        ("One\nparagraph.\n\nAnother.", [Part(False, "One\nparagraph."), Part(False, "Another.")]),
        ("Run:\n\n    a: 1\n      b: 2\n\n    c", [Part(False, "Run:"), Part(True, "a: 1\n  b: 2\n\nc")]),
        (
            "Run:\n$ make it\n$ ship it\nDone.",
            [Part(False, "Run:"), Part(True, "$ make it\n$ ship it"), Part(False, "Done.")],
        ),
        (
            "Put:\n```yaml\na:\n\n  b: 1\n```\nthere",
            [Part(False, "Put:"), Part(True, "a:\n\n  b: 1"), Part(False, "there")],
        ),
        ("```\nnever closed", [Part(True, "never closed")]),
        ("\tindented", [Part(True, "indented")]),
        ("$5 is not a command", [Part(False, "$5 is not a command")]),
        ("", []),
        ("\n\n", []),
    ],
)
def test_parts(text: str, expected: list[Part]) -> None:
    """Indented lines, lines after `$ `, and fenced lines are to paste; the rest is prose by paragraph."""
    assert list(parts(text)) == expected
