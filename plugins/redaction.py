"""Redaction: what is known to be secret, or looks like it, leaves this process only as a mask.

redactor = Redactor()
redactor.register(value)           # before anybody else sees it
redactor.text("...")               # by value in all its forms, then by pattern
redactor.tree({"any": ["json"]})
redactor.stream(sys.stdout)        # a stream on which nothing unmasked can be written
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, cast

from plugins.forms import HIDDEN, MASKED, SHORTEST, Cuts, cuts, forms, mask
from plugins.patterns import by_pattern

if TYPE_CHECKING:
    from plugins.log_redaction import RedactedLog
    from plugins.screening import Screen, Screened

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# A field or variable of such a name may hold a credential, which its text alone does not show.
NAMED = re.compile(r"(?i)authorization|key|token|secret|passw|pwd")
# Short values in hexadecimal stand in digests and identifiers by chance: only masked where they stand alone.
ACCIDENTAL = re.compile(r"[0-9a-fA-F]{1,11}")
NONE_BEFORE, NONE_AFTER = "(?<![0-9A-Za-z])", "(?![0-9A-Za-z])"

# Values that are set in variables with secret-sounding names, and are none; hiding them would make reports unreadable.
PUBLIC = frozenset(
    {
        *("development", "staging", "production", "sandbox", "preview", "testing", "default", "localhost"),
        *("passed", "failed", "waived", "unverified", "blocker", "advisory", "enabled", "disabled", "destroyed"),
        *("mistral", "mistralai", "kubernetes", "prometheus", "service", "secret", "secrets", "password", "api-key"),
        *("required", "optional", "always", "string", "number", "boolean", "object", "username"),
    }
)
SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "CREDENTIALS", "PASS", "PWD")
KEY_WORDS = ("KEY", "PAT", "DSN", "AUTH")
# A name that ends so says where the secret is, or something about it.
ABOUT = frozenset(
    {
        *("NAME", "PATH", "FILE", "ID", "ARN", "URL", "URI", "DIR", "HOST", "SOCK"),
        *("TYPE", "TTL", "LENGTH", "SIZE", "COUNT", "ALGORITHM", "EXPIRES", "VERSION", "LAYOUT", "KIND"),
    }
)


class Mask(NamedTuple):
    """What takes the place of one form of one value."""

    text: str
    kind: str


class Redactor:
    """Knows the secrets of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._masks: dict[str, Mask] = {}
        """Every form of every value."""
        self._cuts: list[tuple[Cuts, str]] = []
        """What may be left of each value, and its kind."""
        self._known: Known | None = Known({}, [])
        self._ledger: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Redactor: {len(self._values)} values>"

    @property
    def ledger(self) -> dict[str, Any]:
        """How much was masked so far: {"total": int, "by_kind": {kind: int}}."""
        with self._lock:
            return {"total": self._ledger.total(), "by_kind": dict(self._ledger)}

    def register(self, value: str, kind: str = "secret") -> None:
        """From now on mask `value` in every form; not what is short or a public word: it would hide the report."""
        bare = value.strip()
        if len(bare) < SHORTEST or bare.casefold() in PUBLIC or MASKED.fullmatch(bare) or len(set(bare)) == 1:
            return
        whole = Mask(mask(bare), kind)
        masks = {form: whole if len(form) >= len(bare) else Mask(HIDDEN, kind) for form in forms(value)}
        with self._lock:
            if value not in self._values:
                self._values.add(value)
                self._masks = {**masks, **self._masks}
                self._cuts = [*self._cuts, (cuts(value), kind)]
                self._known = None

    def from_environment(self, variables: Mapping[str, str]) -> None:
        """Register what variables hold whose names say that it is secret; not references, paths, addresses."""
        for name, value in variables.items():
            if secret_variable(name, value):
                self.register(value, "variable")

    def text(self, text: str) -> str:
        """`text` with every known secret and everything that looks like one masked."""
        masked = self._masked(text)
        if "\x1b[" in masked:  # a secret that is coloured in the middle is still one
            bare = COLOUR.sub("", masked)
            again = self._masked(bare)
            if again != bare:
                return again
        return masked

    def tree(self, tree: Any) -> Any:
        """A JSON tree with every text in it masked, keys too. Numbers that are a known secret become `***`."""
        if isinstance(tree, str):
            return self.text(tree)
        if isinstance(tree, Mapping):
            masked: dict[Any, Any] = {}
            for key, value in tree.items():
                name = self.text(key) if isinstance(key, str) else key
                while name in masked:  # two keys that only differed in what is masked
                    name = f"{name}'"
                masked[name] = self._field(key, value)
            return masked
        if isinstance(tree, list | tuple):
            return [self.tree(item) for item in tree]
        if isinstance(tree, int | float) and not isinstance(tree, bool) and str(tree) in self._values:
            self._count({"number": 1})
            return HIDDEN
        return tree

    def stream(self, file: TextIO) -> TextIO:
        """`file`, but everything written passes through `text` first; see `RedactedStream`."""
        return cast("TextIO", RedactedStream(file, self))

    def log(self, write: Callable[[bytes], object]) -> RedactedLog:
        """What takes a log in bytes, cut anywhere, and gives `write` whole lines, masked and harmless to a terminal."""
        from plugins.log_redaction import RedactedLog

        return RedactedLog(write, self)

    def screened(self, block: bytes) -> Screened:
        """Which lines of a block of whole lines may hold a secret; all others hold none."""
        return self._compiled().screen.screened(block)

    def unfinished(self, text: str) -> int:
        """How many characters at the end of `text` could be the beginning of a known secret."""
        return self._compiled().unfinished(text)

    def _field(self, key: Any, value: Any) -> Any:
        """The value at `key`. A text whose key names a credential is judged as `key=text` too, as in a log."""
        masked = self.tree(value)
        if not isinstance(masked, str) or not isinstance(key, str) or not NAMED.search(key):
            return masked
        found: Counter[str] = Counter()
        line = by_pattern(f"{key}={masked}", found)
        self._count(found)
        return line.removeprefix(f"{key}=") if line.startswith(f"{key}=") else masked

    def _masked(self, text: str) -> str:
        found: Counter[str] = Counter()
        text = by_pattern(self._compiled().masked(text, found), found)
        self._count(found)
        return text

    def _compiled(self) -> Known:
        known = self._known
        if known is None:
            with self._lock:
                known = self._known = Known(self._masks, self._cuts)
        return known

    def _count(self, found: Mapping[str, int]) -> None:
        if found:
            with self._lock:
                self._ledger.update(found)


class Known:
    """All forms of all values, and what may be left of them, as one expression."""

    def __init__(self, masks: Mapping[str, Mask], cut: Iterable[tuple[Cuts, str]]) -> None:
        self._masks = masks
        self._parts = {part: Mask(HIDDEN, kind) for each, kind in cut for part in chain(*each)}
        alone = {form for form in (*self._masks, *self._parts) if ACCIDENTAL.fullmatch(form)}
        branches = [
            ("", self._masks.keys() - alone, ""),
            (NONE_BEFORE, {end for each, _ in cut for end in each.ends} - alone, ""),
            ("", {beginning for each, _ in cut for beginning in each.beginnings} - alone, NONE_AFTER),
            ("", {piece for each, _ in cut for piece in each.pieces}, ""),
            (NONE_BEFORE, alone, NONE_AFTER),
        ]  # where several fit, the first does: what is whole, then what leaves least of a value that was cut
        expression = "|".join(f"{before}(?:{_alternation(words)}){after}" for before, words, after in branches if words)
        self._regex = re.compile(expression) if expression else None
        self._sorted = sorted(self._masks)
        self._longest = max(map(len, self._masks), default=0)

    @cached_property
    def screen(self) -> Screen:
        """What tells at once of most lines of a log that no form and no pattern is in them."""
        from plugins.screening import Screen

        return Screen((*self._masks, *self._parts))

    def masked(self, text: str, found: Counter[str]) -> str:
        """`text` with each form of each value masked, and counted in `found` by kind."""

        def replaced(match: re.Match[str]) -> str:
            shown = self._masks.get(match[0]) or self._parts[match[0]]
            found[shown.kind] += 1
            return shown.text

        return self._regex.sub(replaced, text) if self._regex else text

    def unfinished(self, text: str) -> int:
        """How many characters at the end of `text` could be the beginning of a form."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            end = text[-length:]
            place = bisect_left(self._sorted, end)
            if place < len(self._sorted) and self._sorted[place].startswith(end):
                return length
        return 0


def _alternation(words: Iterable[str], depth: int = 2) -> str:
    """An expression for any of `words`, longest first; by first characters, since `re` tries branch after branch."""
    ordered = sorted(words)
    if depth == 0 or len(ordered) < 2:
        return "|".join(map(re.escape, sorted(ordered, key=len, reverse=True)))
    branches = []
    for first, group in groupby(ordered, key=lambda word: word[0]):
        rests = [word[1:] for word in group]
        branches.append(f"{re.escape(first)}(?:{_alternation(rests, depth - 1)})")
    return "|".join(branches)


class RedactedStream:
    """A text stream that writes whole lines, redacted.

    `flush` writes what there is of the last line, so that progress shows, but for an end that could be the beginning of
    a secret. `finish` writes everything.
    """

    LARGEST = 1_000_000
    """Characters of a line that are held back for its end."""
    BLOCK = 20_000
    """Characters of a private key that are held back for its end."""

    def __init__(self, file: TextIO, redactor: Redactor) -> None:
        self._file = file
        self._redactor = redactor
        self._held = ""
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name in {"buffer", "detach"}:  # the way round the redaction
            raise AttributeError(name)
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        with self._lock:
            self._held += text
            if "\n" in text:
                self._write(self._held.rindex("\n") + 1)
            elif len(self._held) > self.LARGEST:
                self._write(len(self._held))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def holding(self) -> bool:
        """Whether something was written that is held back for what may follow."""
        return bool(self._held)

    def flush(self) -> None:
        with self._lock:
            self._write(len(self._held))
            self._file.flush()

    def finish(self) -> None:
        """Write and flush everything: nothing more will come."""
        with self._lock:
            self._file.write(self._redactor.text(self._held))
            self._held = ""
            self._file.flush()

    def close(self) -> None:
        self.finish()
        self._file.close()

    def _write(self, upto: int) -> None:
        """Write the first `upto` characters, except what may be a secret whose rest is yet to come."""
        upto -= self._redactor.unfinished(self._held[:upto])
        begin = self._held.rfind("-----BEGIN ")
        if begin > self._held.rfind("-----END ") and len(self._held) - begin < self.BLOCK:
            upto = min(upto, begin)
        if upto:
            self._file.write(self._redactor.text(self._held[:upto]))
            self._held = self._held[upto:]


def secret_variable(name: str, value: str) -> bool:
    """Whether a variable holds a secret by its name, and not a reference, a path, an address or a word."""
    words = re.split(r"[^A-Z0-9]+", name.upper())
    if words[-1] in ABOUT or "://" in value or value.startswith(("/", "~", "./")):
        return False
    if any(word.endswith(SECRET_WORDS) for word in words):
        return not value.isdigit() or len(value) > 9
    # A key can be a sort key or a key's name: only what could not be a word.
    return any(word.endswith(KEY_WORDS) for word in words) and any(c.isdigit() for c in value) and len(value) >= 8
