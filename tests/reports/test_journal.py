"""The journal: what was written is read again, whatever becomes of the process in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import journal
from reports.journal import Journal, JournalError
from reports.model import Offender, Result
from tests.reports import runs, strategies

RESULT = Result(
    id="INF-002",
    status="failed",
    parameter="chat",
    message="none",
    offenders=(Offender("chat", "deployment", "none", "one"),),
    evidence=("observations/workload.json",),
    duration=0.25,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Header, results, what did not run, and the end come back as they went in."""
    head = runs.header(runs.CATALOGUE, waivers=(runs.WAIVER,), promoted=("INF-005",), replay="earlier")
    ending = runs.end(pytest_status=1, foreign=2, notes=("a note",), service={"image": "i", "revision": "r"})
    runs.written(tmp_path, head, [RESULT], ending, not_run={"INF-003": "deselected"})
    record = journal.read(tmp_path / journal.NAME)
    assert record == journal.Record(
        header=head, results=(RESULT,), not_run={"INF-003": "deselected"}, end=ending, torn=False
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(message=strategies.texts, found=st.text(max_size=50))
def test_hostile_text_survives(tmp_path: Path, message: str, found: str) -> None:
    """Whatever a message holds, the journal stays readable; only what UTF-8 cannot hold is replaced."""
    file = tmp_path / journal.NAME
    file.unlink(missing_ok=True)
    runs.written(tmp_path, runs.header(()), [Result(id="A", status="failed", message=message + found)], runs.end())
    expected = (message + found).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert journal.read(file).results[0].message == expected


def test_each_line_is_out_before_the_next_is_written(tmp_path: Path) -> None:
    """Nothing waits in a buffer: another process sees each result at once."""
    book = Journal(tmp_path / journal.NAME)
    book.begin(runs.header(runs.CATALOGUE))
    for number in range(1, 4):
        book.result(RESULT)
        assert len((tmp_path / journal.NAME).read_bytes().splitlines()) == number + 1
    book.close()


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    """kill -9 in the middle of writing: every line that was written whole is read, and there is no end."""
    program = (
        "import sys, itertools\nfrom pathlib import Path\nfrom tests.reports import runs\n"
        "from tests.reports.test_journal import RESULT\nfrom reports.journal import Journal\n"
        "book = Journal(Path(sys.argv[1])); book.begin(runs.header(runs.CATALOGUE))\n"
        "for _ in itertools.count(): book.result(RESULT)\n"
    )
    file = tmp_path / journal.NAME
    writer = subprocess.Popen([sys.executable, "-c", program, str(file)], cwd=Path(__file__).parents[2])
    limit = time.monotonic() + 20
    while (not file.exists() or file.stat().st_size < 100_000) and time.monotonic() < limit:
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    record = journal.read(file)
    assert len(record.results) >= file.read_bytes().count(b"\n") - 1 > 100
    assert record.end is None


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """The lines of a whole journal: run, result, not_run, end."""
    runs.written(tmp_path / "whole", runs.header(()), [RESULT], runs.end(), not_run={"A": "b"})
    return (tmp_path / "whole" / journal.NAME).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("keep", [1, 10, 40, -1, -2])
def test_a_torn_last_line_is_no_error(tmp_path: Path, lines: list[bytes], keep: int) -> None:
    """What a killed run leaves is read up to its last whole line, and said to be torn."""
    file = tmp_path / journal.NAME
    file.write_bytes(b"".join(lines[:2]) + lines[3][:keep])
    record = journal.read(file)
    whole = keep == -1  # only the line's end is missing: all of its content is there
    assert (record.results, record.end is not None, record.torn) == ((RESULT,), whole, not whole)


def broken(tmp_path: Path, content: bytes) -> JournalError:
    file = tmp_path / journal.NAME
    file.write_bytes(content)
    with pytest.raises(JournalError) as caught:
        journal.read(file)
    assert str(caught.value).startswith(str(file))
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "found", "expected"),
    [
        (b"", 0, "an empty file", "the journal of a run"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", 1, "bytes that are not UTF-8", "a JSON object"),
        (b"\n", 1, "a blank line", "a JSON object"),
        (b"not json", 1, "'not json'", "a JSON object"),
        (b"[1]\n", 1, "'[1]'", "a JSON object"),
        (b"[" * 200_000 + b"\n", 1, "[[[[[[", "a JSON object"),
        (b'{"line": "run", "phase"', 1, """'{"line": "run", "phase"'""", "a JSON object"),
        (b'{"line": "result", "id": "A", "status": "passed"}\n', 1, 'a line "result"', 'the line "run"'),
        (b'{"line": "\x1b[31m"}\n', 1, '\'{"line": "␛[31m"}\'', "a JSON object"),
        (b'{"line": "verdict"}\n', 1, "a line of kind 'verdict'", "one of run, result, not_run, end"),
        (b'{"id": 1}\n', 1, "a line of kind 'None'", "one of run, result, not_run, end"),
        (b'{"line": "run"}\n', 1, "phase: Field required", "a line of this suite's form (Header)"),
    ],
)
def test_what_is_no_journal_is_located(tmp_path: Path, content: bytes, line: int, found: str, expected: str) -> None:
    """The error says the file, the line, what was found there and what was expected."""
    error = broken(tmp_path, content)
    assert error.line == line
    assert found in error.found
    assert expected in error.expected
    assert len(str(error)) < 400 + len(str(tmp_path))


def test_damage_before_the_last_line_is_an_error(tmp_path: Path, lines: list[bytes]) -> None:
    """Only the end can be torn; a hole in the middle is somebody's doing."""
    error = broken(tmp_path, lines[0] + lines[1][:30] + b"\n" + lines[3])
    assert (error.line, error.expected) == (2, "a JSON object")
    assert broken(tmp_path, lines[0] + b"\xff\xfe\n" + lines[3]).line == 2
    assert broken(tmp_path, lines[0] + b"\x00" * 4096 + b"\n" + lines[3]).line == 2


def test_one_journal_holds_one_run(tmp_path: Path, lines: list[bytes]) -> None:
    """A second header, and anything after the end, is refused."""
    assert broken(tmp_path, lines[0] + lines[0]).line == 2
    error = broken(tmp_path, lines[0] + lines[3] + lines[1])
    assert (error.line, error.found) == (3, 'a line "result" after the line "end"')


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b'{"line": "result", "id": "A", "status": "fine"}\n', "status: Input should be 'passed'"),
        (b'{"line": "result", "id": 7, "status": "passed"}\n', "id: Input should be a valid string"),
        (b'{"line": "result", "status": "passed"}\n', "id: Field required"),
        (b'{"line": "result", "id": "A", "status": "passed", "offenders": [{"where": "x"}]}\n', "offenders.0.what"),
        (b'{"line": "not_run", "id": "A"}\n', "message: Field required"),
        (b'{"line": "end", "finished": "x", "pytest_status": "zero"}\n', "pytest_status: "),
    ],
)
def test_a_field_of_another_form_is_named(tmp_path: Path, lines: list[bytes], row: bytes, found: str) -> None:
    """The line and the field are named, so that a journal of another version is recognised."""
    error = broken(tmp_path, lines[0] + row)
    assert error.line == 2
    assert found in error.found


def test_a_missing_file_and_a_folder_are_said_to_be(tmp_path: Path) -> None:
    """Neither is a crash."""
    for file in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(JournalError, match="found no readable file"):
            journal.read(file)


def test_fifty_megabytes_are_read(tmp_path: Path) -> None:
    """One message of 25 MB and ten thousand results take seconds, not the machine."""
    big = Result(id="B", status="failed", message="x" * 25_000_000)
    many = (Result(id="A", status="passed", parameter=str(number), message="y" * 2_500) for number in range(10_000))
    runs.written(tmp_path, runs.header(()), (big, *many), runs.end())
    assert (tmp_path / journal.NAME).stat().st_size > 50_000_000
    record = journal.read(tmp_path / journal.NAME)
    assert (len(record.results), len(record.results[0].message)) == (10_001, 25_000_000)


def test_what_is_written_is_redacted_first(tmp_path: Path) -> None:
    """The journal's own redactor sees every line before the disk does."""
    book = Journal(tmp_path / journal.NAME, lambda row: {key: "****" if key == "message" else row[key] for key in row})
    book.begin(runs.header(()))
    book.result(Result(id="A", status="failed", message="s3cret"))
    book.end(runs.end())
    assert b"s3cret" not in (tmp_path / journal.NAME).read_bytes()
    assert journal.read(tmp_path / journal.NAME).results[0].message == "****"


def test_a_full_disk_is_an_error() -> None:
    """A result that cannot be kept must not be lost in silence."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    book = Journal(Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        book.result(RESULT)
    book.close()


def test_reading_and_deciding_load_nothing_heavy() -> None:
    """Progress and start-up import these; renderers and their libraries come when a report is written."""
    heavy = "{'jinja2', 'xml', 'allure_commons', 'rich', 'pydantic', 'markupsafe'}"
    program = (
        f"import sys, reports.model, reports.verdict, reports.journal, reports.build\nprint({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
