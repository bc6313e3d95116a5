"""What is said while a run is under way stays on the screen, whole, above the line that moves."""

from __future__ import annotations

import io

import pytest

from plugins.progress import Lines, Live, Progress


@pytest.mark.parametrize("kind", [Live, Lines], ids=["terminal", "log"])
def test_what_is_said_stays(kind: type[Live | Lines]) -> None:
    """Once, to the letter, however long a line is and whatever would be markup."""
    stream = io.StringIO()
    progress: Progress = Lines(stream) if kind is Lines else Live(stream, "preflight chat", 2, lambda: ())
    text = f"[bold]{'16 faults, ' * 30}[/]\n120 messages\n"
    progress.said(text)
    progress.stop()
    assert stream.getvalue().count(text) == 1
