"""Credentials known by their looks, for free text such as logs. What is known by value is masked before.

Each pattern starts where a run of its characters starts, and its repetitions give nothing back: one pass over the text,
whatever the text is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from plugins.forms import MASKED, mask

Judge = Callable[[str], bool]

GITHUB = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")
HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# Names of Kubernetes objects, files, hosts and UUIDs: lower case, with a separator, in short parts.
NAME = re.compile(r"[a-z0-9]{1,19}(?:[-._/][a-z0-9]{0,19})+")


def varied(value: str) -> bool:
    """Not a word: has a digit, or capitals in its midst."""
    return any(c.isdigit() for c in value) or not (value.islower() or value.isupper() or value.istitle())


def opaque(value: str) -> bool:
    """A letter and a digit, and no name of anything."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and not NAME.fullmatch(value)


def always(value: str) -> bool:
    return bool(value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The group `secret` of `regex` is masked if `judge` agrees. Every hit has one of `hints` in it, capitals aside."""

    kind: str
    hints: tuple[str, ...]
    regex: re.Pattern[str]
    judge: Judge = always

    def masked(self, text: str, found: Counter[str]) -> str:
        """`text` with each hit masked, and counted in `found` by kind."""

        def replaced(match: re.Match[str]) -> str:
            value = match["secret"]
            if MASKED.fullmatch(value) or not self.judge(value):
                return match[0]
            found[self.kind] += 1
            start, end = match.span("secret")
            return match.string[match.start() : start] + mask(value) + match.string[end : match.end()]

        return self.regex.sub(replaced, text)


def _pattern(kind: str, hints: tuple[str, ...], regex: str, judge: Judge = always) -> Pattern:
    return Pattern(kind, hints, re.compile(regex, re.VERBOSE), judge)


FILLED = r"(?! [<${%*] )"
"""Not a place that is yet to be filled in: `Bearer $KEY`, `Bearer <token>`."""

PATTERNS: tuple[Pattern, ...] = (
    _pattern(
        "private key",
        ("private key",),
        r"""(?P<secret> -----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?-----
            (?: [^-] | -(?!----) ){0,20000}+
            (?: -----END\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY(?:\ BLOCK)?----- )? )""",
    ),
    _pattern(
        "web token",
        ("eyj",),
        r"(?<![\w-]) (?P<secret> eyJ[\w-]{6,}+ \. [\w-]{6,}+ (?: \.[\w-]*+ )? )",
    ),
    _pattern(
        "issuer's key",
        ("sk-", "sk_", "akia", "asia", "aiza", *GITHUB, "glpat-", "xox", "hvs.", "hvb.", "hf_", "npm_", "xai-"),
        r"""(?<![\w-]) (?P<secret>
              g?sk [-_] [\w-]{20,}+
            | (?:AKIA|ASIA) [0-9A-Z]{16} (?![0-9A-Za-z])
            | AIza [\w-]{35}
            | gh[pousr]_ [A-Za-z0-9]{30,}+ | github_pat_ \w{22,}+
            | glpat- [\w-]{20,}+
            | xox[abeoprs]- [A-Za-z0-9-]{10,}+
            | hv[sb]\. [\w-]{20,}+
            | (?:hf|npm)_ [A-Za-z0-9]{30,}+
            | xai- [\w-]{30,}+ )""",
        opaque,
    ),
    _pattern(
        "url password",
        ("://",),
        # Neither a port nor a place that is yet to be filled in. The host begins after the last `@`.
        r""":// [^\s/@:"'<>]{0,256}+ :
            (?! \d{1,5} [/?\#"',;)\]] )
            (?! (?: \$[A-Z_][A-Z0-9_]*+ | \$?\{++[^\s{}@]*+\}++ | <[^\s<>@]*+> | %(?:\(\w++\))?s | \*++ ) @ )
            (?P<secret> (?: [^\s@":] | :(?!//) ){1,512}+ (?: @ [^\s@"/?\#:]{0,512}+ (?=@) )*+ ) @""",
    ),
    _pattern(
        "url token",
        ("://",),
        r""":// (?P<secret> [^\s/@:"'<>]{16,256}+ ) @""",
        opaque,
    ),
    _pattern(
        "webhook",
        ("hooks.slack.com",),
        r"(?i: hooks\.slack\.com/ (?:services|workflows|triggers) / (?P<secret> [A-Za-z0-9/]{16,}+ ) )",
    ),
    _pattern(
        "authorization header",
        ("authorization", "x-api-key"),
        rf"""(?i: (?: authorization | x-api-key ) ["'\\]{{0,4}} \s{{0,5}} [:=] \s{{0,5}} ["'\\]{{0,4}}
            (?: (?: bearer | basic | token | digest | apikey ) \s{{1,5}} )?
            {FILLED} (?P<secret> [^\s"',;\\}}]{{6,}}+ ) )""",
        varied,
    ),
    _pattern(
        "bearer token",
        ("bearer",),
        r"(?i: \b bearer \s{1,5} (?P<secret> [\w.~+/=-]{8,}+ ) )",
        varied,
    ),
    _pattern(
        "assigned secret",
        ("key", "token", "secret", "passw", "pwd"),
        r"""(?i: (?: api[_-]?key | access[_-]?key | secret[_-]?key | access[_-]?token | auth[_-]?token
                   | client[_-]?secret | passw(?:or)?d | pwd )
            ["'\\]{0,4} \s{0,5} [:=]=? \s{0,5} ["'\\]{0,4} (?P<secret> [\w+/=.~-]{8,}+ ) (?!://) )""",
        opaque,
    ),
    _pattern(
        "query parameter",
        ("=",),
        r"""(?i: [?&] (?: key | token | sig | signature | secret | auth ) = (?P<secret> [^\s&"'#<>]{6,}+ ) )""",
        opaque,
    ),
)

KEY = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{32}(?![A-Za-z0-9])")
NEAR = 60
"""Characters before a key in which the word stands that gives it away."""
NEARBY = re.compile(r"(?i)mistral|api[ _-]?key|codestral")


def by_pattern(text: str, found: Counter[str]) -> str:
    """`text` with everything masked that looks like a credential; what was masked is counted in `found` by kind."""
    lower = text.lower()
    for pattern in PATTERNS:
        if any(hint in lower for hint in pattern.hints):
            text = pattern.masked(text, found)

    def replaced(match: re.Match[str]) -> str:
        if not _is_key(match):
            return match[0]
        found["api key"] += 1
        return mask(match[0])

    return KEY.sub(replaced, text) if NEARBY.search(text) else text


def _is_key(match: re.Match[str]) -> bool:
    """A Mistral key is 32 letters and digits and nothing else, so what stands before it must tell."""
    value = match[0]
    if HEX.fullmatch(value) or value.isalpha() or value.isdigit():
        return False
    return NEARBY.search(match.string, max(0, match.start() - NEAR), match.start()) is not None
