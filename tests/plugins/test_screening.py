"""The screen clears most lines of a log at once, and never one that holds a secret."""

from __future__ import annotations

import random
import string

import pytest

from plugins.forms import forms
from plugins.log_redaction import RedactedLog
from plugins.patterns import PATTERNS
from plugins.redaction import Redactor
from plugins.screening import SCREENS, TEMPLATES, Screen
from reports.inert import inert

LETTERS = string.ascii_letters + string.digits
HARMLESS = [
    '{"level":"info","message":"answered","request_id":"%(hex)s","model":"mistral-small-2603","prompt_tokens":%(n)d}',
    'level=info msg="the token bucket has %(n)d left" path=/api?page=%(n)d&size=20 key_variable=MISTRAL_API_KEY on',
    "2026-11-20 09:12:03,%(n)d INFO  [http-%(n)d] chat.Answers - an error and a password reset, see https://a.b/c",
    "GET /health 200 %(hex)s task-%(n)d task_it match_%(n)d SKIP a bearer, Authorization is set",
]


def grown(seed: int, length: int) -> str:
    """Letters and digits in no order, at least one of each."""
    chosen = random.Random(seed)
    return "a7Z" + "".join(chosen.choices(LETTERS, k=length - 3))


def harmless(seed: int) -> list[str]:
    chosen = random.Random(seed)
    return [
        line % {"hex": f"{chosen.getrandbits(128):032x}", "n": chosen.randrange(10_000)}
        for line in chosen.choices(HARMLESS, k=200)
    ]


def passed(lines: list[str], redactor: Redactor, size: int = 10_000) -> str:
    """The lines through a log, cut anywhere."""
    out: list[bytes] = []
    log = RedactedLog(out.append, redactor)
    data = "".join(f"{line}\n" for line in lines).encode()
    for start in range(0, len(data), size):
        log.write(data[start : start + size])
    log.close()
    return b"".join(out).decode()


NAMES = ["api_key", "apikey", "API-KEY", "access_key", "SecretKey", "access_token", "AUTHTOKEN", "authToken"]
NAMES += ["client_secret", "client-secret", "password", "passwd", "pwd", "DB_PASSWORD"]
HELD: dict[str, list[str]] = {
    "private key": ["-----BEGIN RSA PRIVATE KEY-----{}-----END RSA PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----{}"],
    "web token": ["t=eyJhbGciOi.{}.x", "eyJfaceb00c.{}"],
    "issuer's key": [
        *("sk-{}", "gsk_{}", "ghp_{}", "gho_{}", "ghu_{}", "ghs_{}", "ghr_{}", "github_pat_{}", "glpat-{}", "xoxb-{}"),
        *("xoxa-{}", "xoxe-{}", "xoxp-{}", "hvs.{}", "hvb.{}", "hf_{}", "npm_{}", "xai-{}"),
    ],
    "url password": [
        "postgres://user:{}@db:5432/chat",
        "see https://bad:{}@a.b",
        "amqp://:{}@mq",
        "redis://:$pa'/{}@b",
    ],
    "url token": ["https://{}@sentry.example/1"],
    "webhook": ["https://hooks.slack.com/services/{}", "HTTPS://HOOKS.SLACK.COM/WORKFLOWS/{}"],
    "authorization header": ["authorization: Basic {}", '"Authorization":"{}"', "X-Api-Key = {}", "x-api-key: {}"],
    "bearer token": ["sent BEARER {}", "bearer  {}"],
    "assigned secret": [f"{name}{sign}{{}}" for name in NAMES for sign in ("=", ": ", '": "', '\\": \\"', "==")],
    "query parameter": [
        f"GET /x{mark}{name}={{}}"
        for mark in "?&"
        for name in ("key", "token", "sig", "signature", "secret", "auth", "KEY")
    ],
}


@pytest.mark.parametrize("kind", HELD)
def test_what_a_pattern_knows_is_masked_in_a_log(kind: str) -> None:
    """Each kind in each of its writings, among harmless lines, in the middle of a line and coloured."""
    for number, written in enumerate(HELD[kind]):
        secret = grown(number, 40)
        lines = harmless(number)
        lines[50] = f"12:03 abc {written.format(secret)} def"
        lines[150] = f"\x1b[3{number % 8}mabc\x1b[0m {written.format(secret)}"
        assert secret in "\n".join(lines)
        shown = passed(lines, Redactor())
        assert secret not in shown, written


def test_every_kind_of_pattern_has_its_screen_and_its_examples() -> None:
    """A new one that is not screened would pass through logs unmasked."""
    kinds = {pattern.kind for pattern in PATTERNS}
    assert SCREENS.keys() == kinds
    assert HELD.keys() == kinds


@pytest.mark.parametrize("near", ["mistral", "MISTRAL_API_KEY", "api key is", "Codestral:", "apikey"])
def test_a_key_beside_its_word_is_masked_in_a_log(near: str) -> None:
    """32 letters and digits, on the line of the word or on the next one."""
    for number in range(30):
        key = grown(number, 32)
        lines = harmless(number)
        lines[50:52] = [f"{near} {key}", f"{near}", key]
        assert key not in passed(lines, Redactor()), number


@pytest.mark.parametrize(
    "value",
    [
        grown(1, 32),
        grown(2, 20),
        "0123456789abcdef0123456789abcdef",
        "deadbeef",
        "fade12",
        "hunter2",
        "correct horse battery staple",
        'q7+/&="<>\\é',
        "ABCDEF0123456789" * 3,
        "-----BEGIN X-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END X-----",
    ],
)
def test_every_form_of_a_known_value_is_seen(value: str) -> None:
    """Also one of hexadecimal digits alone, of which a template keeps nothing."""
    screen = Screen(forms(value))
    lines = harmless(7)
    for form in sorted(forms(value)):
        lines[100] = f"0x12 {form} 34"
        assert screen.screened("\n".join(lines).encode()).suspicious >= {100}, form


def test_harmless_lines_pass_as_they_are_and_are_not_looked_at_twice() -> None:
    """Words alone are no secret, and so no reason to look again."""
    redactor = Redactor()
    redactor.register(grown(3, 32))
    lines = [line for seed in range(20) for line in harmless(seed)]
    assert redactor.screened("\n".join(lines).encode()) == (set(), False)
    assert passed(lines, redactor) == "".join(f"{line}\n" for line in lines)


def test_a_value_that_becomes_known_is_seen_from_then_on() -> None:
    """Though the template of its line was cleared before."""
    redactor, secret = Redactor(), "correct horse battery"
    line = f"level=info said={secret}\n".encode()
    assert redactor.screened(line).suspicious == set()
    redactor.register(secret)
    assert redactor.screened(line).suspicious == {0}


def test_what_is_remembered_is_bounded() -> None:
    """Lines that are all different do not fill the memory."""
    screen = Screen(forms(grown(4, 32)))
    for round_ in range(6):
        block = "\n".join(f"{grown(round_ * 10_000 + n, 30)} x" for n in range(10_000))
        screen.screened(block.encode())
    assert len(screen._clean) + len(screen._suspect) <= TEMPLATES + 10_000


@pytest.mark.parametrize("seed", range(20))
def test_values_in_hexadecimal_are_seen_among_identifiers(seed: int) -> None:
    """Of any length, also shorter and longer than the identifiers; a value that is in no line costs none its answer."""
    chosen = random.Random(seed)
    values = [f"{chosen.getrandbits(4 * length):0{length}x}" for length in (6, 9, 16, 31, 32, 33, 40, 64)]
    values += [f"{values[0]}-{values[1]}", f"-{values[2]}"]
    screen = Screen(values)
    for _ in range(3):  # the second and third time every template is known
        lines = harmless(seed)
        held = {chosen.randrange(200): value for value in chosen.choices(values, k=20)}
        for number, value in held.items():
            lines[number] = lines[number].replace(" ", f" {value} ", 1) if " " in lines[number] else f"{value} on"
        found = screen.screened("\n".join(lines).encode()).suspicious
        assert found >= held.keys()
        assert all(number in held or any(value in lines[number] for value in values) for number in found)


CONTROLS = [chr(code) for code in range(0x3000) if inert(chr(code)) != chr(code)]
"""What a report spells out."""


@pytest.mark.parametrize("code", [ord(control) for control in CONTROLS])
def test_no_control_character_is_left_in_a_log(code: int) -> None:
    """Wherever it stands, beside a secret too."""
    redactor, secret = Redactor(), grown(5, 32)
    redactor.register(secret)
    control = chr(code)
    lines = harmless(code)
    for number in (0, 77, 199):
        lines[number] = f"{control}level=info{control} answered{control}"
    lines[120] = f"level=info {control}said={secret}"
    shown = passed(["\n".join(lines)], redactor)
    assert control not in shown
    assert secret not in shown


def test_no_control_character_is_left_in_a_line_without_an_end() -> None:
    """Nor in what follows it."""
    shown = passed(["x" * 2_000_000 + "".join(CONTROLS)], Redactor())
    assert set(shown) == set("x? \n")


@pytest.mark.parametrize("seed", range(20))
def test_a_log_is_masked_as_its_lines_would_be(seed: int) -> None:
    """Random fragments, random cuts: no line keeps what it would not keep by itself."""
    chosen = random.Random(seed)
    redactor = Redactor()
    redactor.register(grown(seed, 32))
    pieces = [
        *sorted(forms(grown(seed, 32))),
        *(text.format(grown(seed + 1, 40)) for rows in HELD.values() for text in rows),
    ]
    pieces = [piece for piece in pieces if "PRIVATE" not in piece] + [
        "mistral",
        "\x1b[1m",
        " ",
        "\t",
        "a1",
        grown(seed + 2, 32),
    ]
    lines = harmless(seed)
    for number in chosen.sample(range(200), 60):
        lines[number] = " ".join(chosen.choices(pieces, k=3)) + lines[number]
    alone = [redactor.text(line) for line in lines]
    shown = passed(lines, redactor, chosen.randrange(1, 5_000)).split("\n")[:-1]
    assert len(shown) == len(alone)
    for given, wanted, line in zip(_inert(lines), _inert(alone), shown, strict=True):
        if given != wanted:
            assert line != given
        if line != wanted:  # a line beside it made more of it a secret
            assert line.count("...") + line.count("***") >= wanted.count("...") + wanted.count("***")


def _inert(lines: list[str]) -> list[str]:
    return [line.replace("\x1b", "?") for line in lines]
