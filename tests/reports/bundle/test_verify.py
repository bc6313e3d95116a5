"""An incident pack is held against its manifest; an archive that is none, or wants to do harm, is refused and named."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.redaction import Redactor
from reports.__main__ import main
from reports.bundle.archive import Archive
from reports.bundle.verify import PackError, leads_out, verified


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    file = tmp_path / "incident-pack.zip"
    with Archive(file, Redactor()) as archive:
        archive.text("a.txt", "one\n" * 1000, "a text")
        archive.text("logs/b.log", "two\n", "a log")
        archive.lack("the events", "denied", "no right")
        archive.finish({})
    return file


def _written(pack: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """The pack with its members changed by hand."""
    with zipfile.ZipFile(pack) as before:
        members = {path: before.read(path) for path in before.namelist()}
    change(members)
    with zipfile.ZipFile(pack, "w", zipfile.ZIP_DEFLATED) as after:
        for path, data in members.items():
            after.writestr(path, data)
    return pack


def test_a_pack_as_it_was_made_matches(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what could not be had when it was made is said once more."""
    assert main(["verify", str(pack)]) == 0
    out = capsys.readouterr().out
    assert "could not be had when it was made: the events\n" in out
    assert out.endswith("matches its manifest (2 files)\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda m: m.update({"a.txt": b"One\n" + b"one\n" * 999}),
            "a.txt is not the file that was recorded: its sha256",
        ),
        (lambda m: m.update({"a.txt": m["a.txt"] + b"x"}), "a.txt is not the file that was recorded: it is longer"),
        (lambda m: m.update({"a.txt": b""}), "a.txt is not the file that was recorded: its sha256 differs"),
        (lambda m: m.pop("logs/b.log"), "logs/b.log is missing"),
        (lambda m: m.update({"c.txt": b"c"}), "c.txt was added: the manifest does not name it"),
    ],
)
def test_each_difference_is_named(
    change: Callable[[dict[str, bytes]], object], said: str, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed, longer, emptied, removed or added file."""
    assert main(["verify", str(_written(pack, change))]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert "does not match its manifest" in out


def test_a_byte_that_was_turned_over_is_found(pack: Path) -> None:
    """In the packed data of a member, wherever the archive still opens."""
    data = bytearray(pack.read_bytes())
    place = data.find(b"a.txt") + 30  # behind its name and its sizes
    data[place] ^= 0xFF
    pack.write_bytes(data)
    assert [sentence.split()[0] for sentence in verified(pack).differences] == ["a.txt"]


def _raw(file: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        for path, data in members:
            pack.writestr(path, data)


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


MANIFEST = ("manifest.json", b'{"members": []}')


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../evil.txt", b"x"), MANIFEST], "the name '../evil.txt', which leads out of it"),
        ([("/etc/passwd", b"x"), MANIFEST], "the name '/etc/passwd', which leads out of it"),
        ([("a\\..\\b", b"x"), MANIFEST], "which leads out of it"),
        ([("C:evil", b"x"), MANIFEST], "which leads out of it"),
        ([(_link(), b"/etc/passwd"), MANIFEST], "'link', which is no plain file"),
        ([("a.txt", b"x")], "found no manifest.json"),
        ([("manifest.json", b"{")], "its manifest.json cannot be read (ValueError)"),
        ([("manifest.json", b"[]")], "is not that of an incident pack"),
        ([("manifest.json", b'{"members": [{"path": 1}]}')], "is not that of an incident pack"),
        ([("manifest.json", b" " * 33_000_000)], "its manifest.json cannot be read (ValueError)"),
        (
            [("manifest.json", json.dumps({"members": [{"path": "a", "sha256": "", "bytes": 10**12}]}).encode())],
            "found 1,000,000,000,000 bytes to unpack",
        ),
        ([(f"{number}", b"") for number in range(10_001)], "found 10,001 members"),
    ],
)
def test_an_archive_that_would_do_harm_is_refused(
    members: list[tuple[zipfile.ZipInfo | str, bytes]], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A way out of the folder, a link, a bomb, no manifest: one line that says what was found, and nothing unpacked."""
    file = tmp_path / "evil.zip"
    _raw(file, *members)
    assert main(["verify", str(file)]) == 4
    error = capsys.readouterr().err
    assert error.startswith(f"error: {file}: ")
    assert said in error
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    """Of which programs would take either."""
    _raw(tmp_path / "evil.zip", ("a.txt", b"x"), ("a.txt", b"y"), MANIFEST)
    with pytest.raises(PackError, match=r"two members of the name 'a\.txt'"):
        verified(tmp_path / "evil.zip")


def test_a_bomb_is_read_no_further_than_its_manifest_says(tmp_path: Path) -> None:
    """300 MB of noughts in a member of which a kilobyte was recorded."""
    rows = [{"path": "bomb", "sha256": "0" * 64, "bytes": 1000}]
    _raw(tmp_path / "bomb.zip", ("bomb", bytes(300_000_000)), ("manifest.json", json.dumps({"members": rows}).encode()))
    (sentence,) = verified(tmp_path / "bomb.zip").differences
    assert "longer than 1,000 bytes" in sentence


@pytest.mark.parametrize("cut", [0, 10, 0.5, 0.99])
def test_a_pack_that_was_cut_short_is_said_to_be(cut: float, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On its way, at any place."""
    data = pack.read_bytes()
    pack.write_bytes(data[: int(cut * len(data)) if cut < 1 else int(cut)])
    assert main(["verify", str(pack)]) == 4
    assert "found no whole zip archive" in capsys.readouterr().err


def test_a_pack_whose_names_are_damaged_is_refused(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A byte that no UTF-8 holds, in a name that says that it is."""
    _written(pack, lambda members: members.update({"é.txt": b""}))
    pack.write_bytes(pack.read_bytes().replace("é".encode(), b"\xc3\xff"))
    assert main(["verify", str(pack)]) == 4
    assert capsys.readouterr().err.startswith(f"error: {pack}: cannot be read (")


def test_a_name_in_a_manifest_forges_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing is told in the one line that is its own."""
    rows = [{"path": "a\nevil.zip: matches its manifest", "sha256": "", "bytes": 1}]
    lack = [{"what": "logs\nevil.zip: matches its manifest"}]
    _raw(tmp_path / "evil.zip", ("manifest.json", json.dumps({"members": rows, "missing": lack}).encode()))
    assert main(["verify", str(tmp_path / "evil.zip")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a evil.zip: matches its manifest is missing",
        "could not be had when it was made: logs evil.zip: matches its manifest",
        f"{tmp_path / 'evil.zip'}: does not match its manifest (1 file)",
    ]


def test_what_is_not_there_or_no_archive_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that leads nowhere, a text."""
    (tmp_path / "text").write_text("hello")
    assert main(["verify", str(tmp_path / "nothing.zip")]) == 4
    assert main(["verify", str(tmp_path / "text")]) == 4
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("path", ["a/../../b", "..", "", "/", "a\x00b", "a:b", "\\\\host\\share"])
def test_a_name_that_leads_out_is_known(path: str) -> None:
    """On whatever system it is unpacked."""
    assert leads_out(path)
