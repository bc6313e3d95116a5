"""What goes into an incident pack: redacted across every cut, harmless on a terminal, in memory that does not grow."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from isal import isal_zlib

from plugins.redaction import Redactor
from reports.bundle.archive import LEVEL, Archive, name

ROOT = Path(__file__).resolve().parents[3]
KEY = "k7Qm2ZxR9tLw4VbN8sYc1HdJ5gFp3AeU"
TOKEN = "Zq4Lm9Xw2Rt7Kp3Vn8Bd6"


def _knowing() -> Redactor:
    redactor = Redactor()
    redactor.register(KEY)
    return redactor


def _logged(folder: Path, chunks: list[bytes], redactor: Redactor | None = None) -> str:
    with Archive(folder / "pack.zip", redactor or _knowing()) as archive:
        with archive.log("logs/a.log", "a log") as log:
            for chunk in chunks:
                log.write(chunk)
        archive.finish({})
    with zipfile.ZipFile(folder / "pack.zip") as pack:
        return pack.read("logs/a.log").decode()


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_secret_is_masked_wherever_the_stream_is_cut(size: int, tmp_path: Path) -> None:
    """Known by its value, or by its looks; the line around it stays."""
    text = f"one {KEY} two\nAuthorization: Bearer {TOKEN}\nthree\n".encode() * 30
    shown = _logged(tmp_path, [text[start : start + size] for start in range(0, len(text), size)])
    assert KEY not in shown
    assert TOKEN not in shown
    assert shown.count("one k7Qm...3AeU two\n") == 30
    assert shown.count("\nthree\n") == 30


def test_a_private_key_over_many_lines_is_masked_whole(tmp_path: Path) -> None:
    """Its lines come in chunks of their own."""
    lines = ["-----BEGIN PRIVATE KEY-----", *[f"MIIEvQIBADANBgkqhkiG9w0BAQEFAASC{n:04}" for n in range(20)]]
    lines.append("-----END PRIVATE KEY-----")
    shown = _logged(tmp_path, [f"{line}\n".encode() for line in ["before", *lines, "after"]])
    assert "MIIE" not in shown
    assert shown.startswith("before\n")
    assert shown.endswith("after\n")


def test_bytes_that_are_no_text_harm_nobody(tmp_path: Path) -> None:
    """NUL, ANSI, a line that never ends, half a character: everything that follows is there."""
    hostile = [
        b"\x1b[31mred\x1b[0m\x00\r\n",
        "é".encode()[:1],
        "é".encode()[1:],
        b"\xff\xfe\n",
        b"y" * 3_000_000,
        b"\nend\n",
    ]
    shown = _logged(tmp_path, hostile)
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    assert "é" in shown
    assert shown.endswith("yyy\nend\n")


def test_every_harmless_line_of_a_log_is_kept_as_it_is(tmp_path: Path) -> None:
    """JSON, logfmt and prose, with words that secrets stand beside too."""
    lines = [
        json.dumps(
            {"level": "info", "prompt_tokens": number, "request_id": f"{number:032x}", "message": "the key is set"}
        )
        for number in range(3_000)
    ]
    lines += [f'level=info msg="token bucket has {number} left" path=/api?page={number}' for number in range(3_000)]
    text = "".join(f"2026-11-22T13:53:04.04045404Z {line}\n" for line in lines)
    data = text.encode()
    assert _logged(tmp_path, [data[at : at + 65_536] for at in range(0, len(data), 65_536)]) == text


def test_a_log_is_packed_by_the_fast_compressor(tmp_path: Path) -> None:
    """Set where Python's own keeps its slower one: under another name it would go unused, and nobody told."""
    line = b"GET /health 200\n"
    _logged(tmp_path, [line * 10_000])
    fast = isal_zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        found = pack.getinfo("logs/a.log").compress_size
    assert found == len(fast.compress(line * 10_000) + fast.flush())
    assert found != len(zlib.compress(line * 10_000, LEVEL, wbits=-zlib.MAX_WBITS))


def test_the_manifest_names_each_member_by_its_sha256_and_what_is_missing(tmp_path: Path) -> None:
    """Of what was written, after redaction; reasons are redacted too."""
    with Archive(tmp_path / "pack.zip", _knowing()) as archive:
        archive.text("a.txt", f"with {KEY}", "a text")
        archive.tree("b.json", {"key": KEY, "n": 1}, "JSON")
        archive.lack("the logs", "denied", f"it said {KEY}", "ask")
        archive.finish({"headline": f"of {KEY}"})
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        found = json.loads(pack.read("manifest.json"))
        for row in found["members"]:
            data = pack.read(row["path"])
            assert (row["sha256"], row["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
        assert KEY not in "".join(pack.read(path).decode() for path in pack.namelist())
    assert [row["path"] for row in found["members"]] == ["a.txt", "b.json"]
    assert found["missing"] == [
        {"what": "the logs", "reason": "denied", "message": "it said k7Qm...3AeU", "remedy": "ask"}
    ]


def test_a_file_of_the_run_is_copied_as_it_is_unless_a_secret_in_it_is_known_by_now(tmp_path: Path) -> None:
    """Evidence keeps its bytes and so its sha256; a secret that was learnt too late is masked all the same."""
    clean, late = tmp_path / "clean.json", tmp_path / "late.jsonl"
    clean.write_text('{"a":  [1, "mistral 0123456789abcdef0123456789abcdef"]}')
    late.write_text(f'{{"a": 1}}\n{{"b": "{KEY}"}}\n')
    with Archive(tmp_path / "pack.zip", _knowing()) as archive:
        archive.copy("run/clean.json", clean, "evidence")
        archive.copy("run/late.jsonl", late, "the journal")
        archive.finish({})
    with zipfile.ZipFile(tmp_path / "pack.zip") as pack:
        assert pack.read("run/clean.json") == clean.read_bytes()
        assert [json.loads(line) for line in pack.read("run/late.jsonl").splitlines()] == [
            {"a": 1},
            {"b": "k7Qm...3AeU"},
        ]


def test_an_archive_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    """Whatever went wrong: no half of it lies about."""

    def broken_off() -> None:
        with Archive(tmp_path / "pack.zip", Redactor()) as archive:
            archive.text("a.txt", "a", "a text")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        broken_off()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("chat-5c9d7b8f64-4kq2x", "chat-5c9d7b8f64-4kq2x"), ("../../etc", "_.._etc"), ("a\\b\nc", "a_b_c"), ("..", "_")],
)
def test_a_name_of_somebody_else_s_leads_nowhere(text: str, expected: str) -> None:
    """It becomes a part of a path, and no more."""
    assert name(text) == expected


def test_memory_does_not_grow_with_a_log(tmp_path: Path) -> None:
    """100 MB pass in a process that never holds 200 MB, as the operating system counts."""
    script = "import sys; from tests.benchmarks.bundle import packed; packed(sys.argv[1], 100_000_000)"
    command = [sys.executable, "-c", script, str(tmp_path / "pack.zip")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["bytes"] >= 100_000_000
    assert found["resident"] < 200_000_000
