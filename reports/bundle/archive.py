"""The archive of an incident pack: everything that goes in passes the redactor, streams through, and leaves its sha256.

A zip and no tar: a member is written without its size being known before, so that a log of any size passes through;
one log can be taken out without unpacking the others; and every desk opens it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol, Self

from isal import isal_zlib

from reports.diagnosis import Unasked
from reports.evidence import parsed
from reports.inert import plain

NAME = "incident-pack.zip"
MANIFEST = "manifest.json"
SCHEMA = "1"
LEVEL = 1
"""Of compression: a log shrinks to a tenth by it, and at 3 a.m. the rest is not worth the wait."""


class Redactor(Protocol):
    """What knows the secrets: see plugins/redaction.py."""

    def text(self, text: str) -> str: ...

    def tree(self, tree: Any) -> Any: ...

    def log(self, write: Callable[[bytes], object]) -> Sink: ...


class Sink(Protocol):
    """What takes a log, in bytes cut anywhere."""

    def write(self, chunk: bytes) -> object: ...

    def close(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the pack: the sha256 and the size (bytes) of what it holds, not of what it is packed to."""

    path: str
    sha256: str
    bytes: int
    what: str


class Archive:
    """An archive that is being written; at `file` only once it is whole. Raises OSError where it cannot be written."""

    def __init__(self, file: Path, redactor: Redactor) -> None:
        self.file = file
        self.members: list[Member] = []
        self.missing: list[Unasked] = []
        """What could not be had, and why."""
        self._redactor = redactor
        self._unfinished = file.with_name(f"{file.name}.tmp")

    def __enter__(self) -> Self:
        self._zip = zipfile.ZipFile(self._unfinished, "w", zipfile.ZIP_DEFLATED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(*((OSError, ValueError) if error else ())):  # the first error is the one to tell
            self._zip.close()
        if error is None:
            self._unfinished.replace(self.file)
        else:
            self._unfinished.unlink(missing_ok=True)

    def lack(self, what: str, reason: str, message: str, remedy: str = "") -> None:
        """Say in the manifest that something could not be had."""
        row = Unasked(what=what, reason=reason, message=message, remedy=remedy)
        self.missing.append(Unasked(**self._redactor.tree(asdict(row))))

    def text(self, path: str, text: str, what: str) -> None:
        """Put in a text."""
        with self._member(path, what) as out:
            out.write(self._redactor.text(text).encode("utf-8", "replace"))

    def tree(self, path: str, tree: Any, what: str) -> None:
        """Put in plain JSON."""
        with self._member(path, what) as out:
            out.write(_json(self._redactor.tree(tree)))

    def copy(self, path: str, file: Path, what: str) -> None:
        """Put in a file of the run: as it is, but where the redactor knows by now of a secret in it.

        JSON is judged value by value, as it was when it was written. Raises OSError where it cannot be read.
        """
        data = file.read_bytes()
        with self._member(path, what) as out:
            out.write(self._again(file.suffix, data))

    @contextlib.contextmanager
    def log(self, path: str, what: str) -> Iterator[Log]:
        """Put in a log as it comes: what is written to it, in bytes cut anywhere, is redacted line by line."""
        with self._member(path, what) as out:
            log = Log(out, self._redactor)
            try:
                yield log
            finally:
                log.close()

    def finish(self, header: dict[str, Any]) -> None:
        """Write the manifest, as the last member: `header`, the members with their sha256, and what is missing."""
        document = {
            "schema": SCHEMA,
            **self._redactor.tree(header),
            "members": [asdict(row) for row in self.members],
            "missing": [asdict(row) for row in self.missing],
        }
        self._zip.writestr(_information(MANIFEST), _json(document))

    def _again(self, suffix: str, data: bytes) -> bytes:
        text = data.decode("utf-8", "replace")
        if suffix not in (".json", ".jsonl"):
            masked = self._redactor.text(text)
            return data if masked == text else masked.encode("utf-8", "replace")
        lines = text.splitlines() if suffix == ".jsonl" else [text]
        try:
            trees = [parsed(line) for line in lines]
        except (ValueError, RecursionError):
            return self._redactor.text(text).encode("utf-8", "replace")
        masked_trees = [self._redactor.tree(tree) for tree in trees]
        if masked_trees == trees:
            return data
        return b"".join(_json(tree, None if suffix == ".jsonl" else 1) for tree in masked_trees)

    @contextlib.contextmanager
    def _member(self, path: str, what: str) -> Iterator[_Hashed]:
        with self._zip.open(_information(path), "w", force_zip64=True) as raw:
            # The format is zlib's, at six times its speed.
            raw._compressor = isal_zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)  # type: ignore[attr-defined] # noqa: SLF001
            hashed = _Hashed(raw)
            yield hashed
        self.members.append(Member(path, hashed.sha256, hashed.bytes, what))


class Log:
    """A log on its way into the archive. Memory does not grow with it."""

    def __init__(self, out: _Hashed, redactor: Redactor) -> None:
        self._masked = redactor.log(out.write)
        self.bytes = 0
        """Bytes that came in."""

    def write(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        self._masked.write(chunk)

    def close(self) -> None:
        self._masked.close()


class _Hashed:
    """A member that is being written, and its sha256 so far."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self._digest = raw, hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        self._raw.write(data)
        self._digest.update(data)
        self.bytes += len(data)


def name(text: str) -> str:
    """A part of a path that is made of somebody else's text: nothing in it leads anywhere."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip(".")[:120] or "_"


def _information(path: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(path, datetime.now(UTC).timetuple()[:6])
    found.compress_type = zipfile.ZIP_DEFLATED
    found._compresslevel = LEVEL  # type: ignore[attr-defined] # noqa: SLF001 - it has a public name from 3.13 on
    found.external_attr = 0o600 << 16
    return found


def _json(tree: Any, indent: int | None = 1) -> bytes:
    text = json.dumps(plain(tree), indent=indent, ensure_ascii=False)
    return f"{text}\n".encode()
