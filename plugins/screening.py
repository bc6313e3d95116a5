"""Which lines of a large text may hold a secret: all others need no second look, and those are most of a log.

Log lines differ in numbers, times and hexadecimal identifiers, and hardly else. With a nought in place of each of these
characters a line is its template: a text that stands in the line stands, with noughts, in the template too. So a
template in which nothing suspicious stands clears every line that it is of, and is judged once. What would be noughts
alone (a secret in hexadecimal) is looked for itself, where a template has as many of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

TEMPLATES = 20_000
"""Templates that are remembered."""
TELLING = 3
"""Characters of a form that must be no noughts for it to be suspicious by its template alone."""

_NOUGHTS = bytes(48 if code in b"0123456789abcdefABCDEF" else code for code in range(256))
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
MARKS = re.compile(rb"\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
"""In UTF-8 the control characters beyond ASCII, and what turns the direction of the text around it."""
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|" + MARKS.pattern)
_NAMES = rb"(?:(?:0pi|0000ss|s00r0t)[_-]?k0y|(?:0000ss|0uth)[_-]?tok0n|0li0nt[_-]?s00r0t|p0ssw(?:or)?0|pw0)"
_SIGN = rb"[\"'\\]{0,4}\s{0,5}(?:[:=]|$)"

# How each kind of pattern (plugins/patterns.py) looks in a template: words of which one must be there, by which most
# templates are cleared at once, and the form in which it must be. A value may begin on the next line.
SCREENS: dict[str, tuple[tuple[bytes, ...], re.Pattern[bytes]]] = {
    "private key": ((b"PRIV0T0 K0Y",), re.compile(rb"PRIV0T0 K0Y")),
    "web token": ((b"0yJ",), re.compile(rb"(?<![\w-])0yJ[\w-]{6,}\.[\w-]{6}")),
    "issuer's key": (
        (*b"sk- sk_ 0KI0 0SI0 0Iz0 ghp_ gho_ ghu_ ghs_ ghr_ githu0_p0t_ glp0t- xox hvs. hv0. h0_ npm_ x0i-".split(),),
        re.compile(
            rb"(?<![\w-])(?:g?sk[-_]|0KI0|0SI0|0Iz0|gh[pousr]_|githu0_p0t_|glp0t-|xox[oprs0]-|hv[s0]\.|h0_|npm_|x0i-)"
            rb"[\w-]{10}"
        ),
    ),
    "url password": ((b"://",), re.compile(rb"://[^\s/@:\"'<>]*:(?:[^\s@\":]|:(?!//)){1,512}@")),
    "url token": ((b"://",), re.compile(rb"://[^\s/@:\"'<>]{16,256}@")),
    "webhook": ((b"hooks.sl00k.0om",), re.compile(rb"(?i)hooks\.sl00k\.0om/")),
    "authorization header": ((b"0uthoriz0tion", b"x-0pi-k0y"), re.compile(rb"(?i)(?:0uthoriz0tion|x-0pi-k0y)" + _SIGN)),
    "bearer token": ((b"000r0r",), re.compile(rb"(?i)\b000r0r(?:\s{1,5}[\w.~+/=-]{8}|\s*$)")),
    "assigned secret": ((b"k0y", b"tok0n", b"s00r0t", b"p0ssw", b"pw0"), re.compile(rb"(?i)" + _NAMES + _SIGN)),
    "query parameter": ((b"=",), re.compile(rb"(?i)[?&](?:k0y|tok0n|sig|sign0tur0|s00r0t|0uth)=")),
}
_CAPITALS = ("private key", "web token", "issuer's key")
"""The kinds whose patterns tell capitals from small letters."""
_NEARBY = (b"mistr0l", b"0pik0y", b"0pi k0y", b"0pi_k0y", b"0pi-k0y", b"0o00str0l")

# A key of 32 letters and digits, beside the words of `_NEARBY`. Hexadecimal digits alone are none.
_KEY = re.compile(rb"(?<![0-9A-Za-z])(?!0{32})[0-9A-Za-z]{32}(?![0-9A-Za-z])")


class Screened(NamedTuple):
    """What a block of whole lines may hold."""

    suspicious: set[int]
    """The numbers, from 0, of the lines that may hold a secret, or a part of one."""
    controls: bool
    """Whether there may be control characters or `MARKS` in it, beside tabs and ends of lines."""


class Screen:
    """Knows the forms of all secrets. Not for several threads at once, but for what it remembers, which may be lost."""

    def __init__(self, forms: Iterable[str]) -> None:
        known = _least({form.encode("utf-8", "surrogatepass") for form in forms})
        noughts = {form: form.translate(_NOUGHTS) for form in known if b"\n" not in form}
        self._shown = tuple({shown for shown in noughts.values() if _telling(shown)})
        self._several = tuple(form for form in known if b"\n" in form)
        """Those of several lines, which stand in no template."""
        self._bare: dict[bytes, list[bytes]] = {}
        """Those of which hardly more than noughts is left, by what is left."""
        for form, shown in noughts.items():
            if not _telling(shown):
                self._bare.setdefault(shown, []).append(form)
        self._forget()

    def screened(self, block: bytes) -> Screened:
        """What a block of whole lines may hold."""
        templates = block.translate(_NOUGHTS).split(b"\n")
        different = set(templates)
        self._judge(different)
        wanted = different & (self._suspect | self._keyed if different & self._near else self._suspect)
        found = {number for number, template in enumerate(templates) if template in wanted} if wanted else set()
        if forms := [*self._several, *self._possible(different)]:
            for text in (block, _COLOUR.sub(b"", block)) if b"\x1b[" in block else (block,):
                found |= _with(text, forms)
        return Screened(found, not different.isdisjoint(self._controls))

    def _possible(self, different: set[bytes]) -> Iterator[bytes]:
        """The bare forms that may stand in lines of these templates."""
        for shown, templates in self._long.items():
            if not different.isdisjoint(templates):
                yield from self._bare[shown]

    def _forget(self) -> None:
        self._clean: set[bytes] = set()
        self._suspect: set[bytes] = set()
        self._near: set[bytes] = set()
        """Templates with a word beside which a run of 32 letters and digits is a key."""
        self._keyed: set[bytes] = set()
        """Templates with such a run."""
        self._long: dict[bytes, set[bytes]] = {shown: set() for shown in self._bare}
        """By what is left of bare forms: the templates in which it stands."""
        self._controls: set[bytes] = set()
        """Templates with control characters."""

    def _judge(self, different: set[bytes]) -> None:
        """Tell the templates that are new."""
        if len(self._clean) + len(self._suspect) > TEMPLATES:
            self._forget()
        new = sorted(different - self._clean - self._suspect)
        if not new:
            return
        whole = b"\n".join(new)
        texts = (whole, _COLOUR.sub(b"", whole)) if b"\x1b[" in whole else (whole,)
        for text in texts:
            self._suspect |= _picked(new, self._suspicious(text))
            self._near |= _picked(new, _with(text.lower(), _NEARBY))
            self._keyed |= _picked(new, _lines(text, (key.start() for key in _KEY.finditer(text))))
            for shown, templates in self._long.items():
                templates |= _picked(new, _with(text, (shown,)))
        self._controls |= _picked(new, _lines(whole, (control.start() for control in _CONTROL.finditer(whole))))
        self._clean |= set(new) - self._suspect

    def _suspicious(self, whole: bytes) -> set[int]:
        """The lines in which a form or a pattern may stand."""
        found, lower = _with(whole, self._shown), whole.lower()
        for kind, (words, form) in SCREENS.items():
            text = whole if kind in _CAPITALS else lower
            if any(word in text for word in words):
                lines = text.split(b"\n")
                found |= {number for number in _with(text, words) if form.search(lines[number])}
        return found


def _telling(shown: bytes) -> bool:
    """Whether enough of a form is left to be looked for in templates."""
    return len(shown) - shown.count(b"0") >= TELLING


def _least(forms: set[bytes]) -> list[bytes]:
    """The forms that hold no other one: where a longer one is, a shorter one is too."""
    kept: list[bytes] = []
    for form in sorted(forms, key=len):
        if not any(shorter in form for shorter in kept):
            kept.append(form)
    return kept


def _picked(templates: list[bytes], numbers: set[int]) -> set[bytes]:
    return {templates[number] for number in numbers}


def _with(text: bytes, words: Iterable[bytes]) -> set[int]:
    """The numbers of the lines in which one of the words stands."""
    return _lines(text, (place for word in words for place in _occurrences(text, word)))


def _lines(text: bytes, places: Iterable[int]) -> set[int]:
    """The numbers of the lines at these places."""
    found, number, before = set(), 0, 0
    for place in sorted(places):
        number += text.count(b"\n", before, place)
        before = place
        found.add(number)
    return found


def _occurrences(text: bytes, word: bytes) -> Iterator[int]:
    """Where a word stands. By one split: `find` prepares anew for each occurrence, which costs more than the rest."""
    if word not in text:
        return
    place = -len(word)
    for piece in text.split(word)[:-1]:
        place += len(piece) + len(word)
        yield place
