"""An incident pack held against its own manifest, without unpacking it anywhere.

The archive may be anybody's: nothing in it is written to a disk, its names lead nowhere, and no more is read of a
member than its manifest says that there is. What it cannot show is who made it: for that, compare the sha256 of the
pack itself with the one in the manifest of the run's folder.

PackError    there is no archive, or none that may be looked into
"""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reports.bundle.archive import MANIFEST
from reports.inert import inert, line

MEMBERS = 10_000
LARGEST = 32_000_000
"""Bytes of a manifest."""
CHUNK = 65_536
"""Bytes of a member that are unpacked at once."""
WHOLE = 64_000_000_000
"""Bytes of all members together, unpacked."""


class PackError(Exception):
    """The pack cannot be verified; the message says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a manifest says of one member."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at a pack came to. `differences`: a sentence for each member that does not agree."""

    members: int
    missing: tuple[str, ...]
    """What could not be had when the pack was made."""
    differences: tuple[str, ...]


def verified(file: Path) -> Verified:
    """Hold each member against the manifest. Raises `PackError`."""
    try:
        with zipfile.ZipFile(file) as pack:
            infos = pack.infolist()
            _refuse_hostile(file, infos)
            document = _manifest(file, pack)
            recorded, missing = _recorded(file, document), _missing(document)
            return Verified(len(recorded), missing, tuple(_differences(pack, infos, recorded)))
    except FileNotFoundError:
        raise PackError(f"{file}: found no file, expected an incident pack") from None
    except zipfile.BadZipFile as error:
        raise PackError(
            f"{file}: found no whole zip archive ({inert(str(error), 200)}), expected an incident pack. "
            "Was it cut short on its way? Get it once more, or make a new one: pytest -m triage --bundle"
        ) from None
    except (NotImplementedError, RuntimeError, ValueError) as error:  # what zipfile makes of damage, beside its own
        raise PackError(f"{file}: cannot be read ({inert(str(error), 200)})") from None
    except OSError as error:
        raise PackError(f"{file}: cannot be read ({error.strerror or type(error).__name__})") from None


def _refuse_hostile(file: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Raises `PackError` where the archive is not of our making, before anything of it is read."""
    if len(infos) > MEMBERS:
        raise PackError(f"{file}: found {len(infos):,} members, expected at most {MEMBERS:,}: not an incident pack")
    twice = [path for path, count in Counter(info.filename for info in infos).items() if count > 1]
    if twice:
        raise PackError(f"{file}: found two members of the name {inert(twice[0], 200)!r}: not an incident pack")
    for info in infos:
        shown = inert(info.filename, 200)
        if leads_out(info.filename):
            raise PackError(f"{file}: found the name {shown!r}, which leads out of it: do not unpack it")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.is_dir():
            raise PackError(f"{file}: found {shown!r}, which is no plain file: do not unpack it")
        if info.flag_bits & 1:
            raise PackError(f"{file}: found {shown!r} encrypted: not an incident pack")


def leads_out(path: str) -> bool:
    """Whether a member's name could be written elsewhere than below the folder it is unpacked in, on any system."""
    parts = PurePosixPath(path).parts
    strange = re.search(r"[\\:\x00-\x1f\x7f]", path) is not None
    return strange or not parts or path.startswith("/") or ".." in parts


def _manifest(file: Path, pack: zipfile.ZipFile) -> object:
    from pydantic_core import from_json

    try:
        return from_json(_head(pack, MANIFEST, LARGEST))
    except KeyError:
        raise PackError(f"{file}: found no {MANIFEST} in it, expected an incident pack") from None
    except (ValueError, zlib.error, EOFError) as error:
        raise PackError(f"{file}: its {MANIFEST} cannot be read ({type(error).__name__})") from None


def _head(pack: zipfile.ZipFile, path: str, limit: int) -> bytes:
    with pack.open(path) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise ValueError("too large")
    return data


def _recorded(file: Path, document: object) -> list[Recorded]:
    wrong = PackError(
        f"{file}: its {MANIFEST} is not that of an incident pack: no list `members` of path, sha256, bytes"
    )
    rows = document.get("members") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise wrong
    try:
        found = [Recorded(str(row["path"]), str(row["sha256"]), int(row["bytes"])) for row in rows]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise wrong from None
    whole = sum(max(0, row.bytes) for row in found)
    if whole > WHOLE:
        raise PackError(f"{file}: found {whole:,} bytes to unpack, expected at most {WHOLE:,}: not an incident pack")
    return found


def _missing(document: object) -> tuple[str, ...]:
    rows = document.get("missing") if isinstance(document, dict) else None
    return tuple(line(str(row.get("what")), 200) for row in rows or () if isinstance(row, dict))


def _differences(pack: zipfile.ZipFile, infos: list[zipfile.ZipInfo], recorded: list[Recorded]) -> list[str]:
    there = {info.filename for info in infos} - {MANIFEST}
    found = [sentence for row in recorded if (sentence := _difference(pack, row, there))]
    named = {row.path for row in recorded}
    return found + [f"{line(path, 200)} was added: the manifest does not name it" for path in sorted(there - named)]


def _difference(pack: zipfile.ZipFile, row: Recorded, there: set[str]) -> str:
    """What is wrong with one member; empty where nothing is."""
    shown = line(row.path, 200)
    if row.path not in there:
        return f"{shown} is missing"
    digest, size = hashlib.sha256(), 0
    try:
        with pack.open(row.path) as member:
            while size <= row.bytes and (chunk := member.read(CHUNK)):
                digest.update(chunk)
                size += len(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        return f"{shown} is damaged ({type(error).__name__})"
    if size > row.bytes:
        return f"{shown} is not the file that was recorded: it is longer than {row.bytes:,} bytes"
    return "" if digest.hexdigest() == row.sha256 else f"{shown} is not the file that was recorded: its sha256 differs"
