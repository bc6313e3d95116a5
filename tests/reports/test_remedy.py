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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Start it: nc -vz 10.0.0.1 80", ["Start it:", "$ nc -vz 10.0.0.1 80"]),
        ("Correct the name,\nor see: kubectl get pods", ["Correct the name,\nor see:", "$ kubectl get pods"]),
        ("See: curl -i 'http://a'\n\nThen go on.", ["See:", "$ curl -i 'http://a'", "Then go on."]),
        ("Ask: who may?", ["Ask: who may?"]),
        ("With kubectl: see", ["With kubectl: see"]),
        ("Some: kubectl get pods\nand then prose", ["Some: kubectl get pods\nand then prose"]),
    ],
)
def test_a_command_that_ends_a_paragraph_is_to_paste(text: str, expected: list[str]) -> None:
    """It is never wrapped, and stands on a line of its own."""
    assert [f"$ {part.text}" if part.paste else part.text for part in parts(text)] == expected
