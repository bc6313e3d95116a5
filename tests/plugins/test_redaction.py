"""No secret leaves a process: not by value in any form, not by its looks, not in two halves."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import shlex
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TextIO
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.forms import MASKED, mask
from plugins.redaction import ACCIDENTAL, PUBLIC, RedactedStream, Redactor, secret_variable

# Made up here, from pieces, so that no scanner takes this file for a leak.
KEY = "Zx9A" + "b1Cd2Ef3Gh4Jk5Lm6Np7Qr8S" + "t9uv"
LONG = "eyJhbGciOiJIUzI1NiJ9" * 20 + "-end"
PEM = f"-----BEGIN PRIVATE {'KEY'}-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 6 + f"-----END PRIVATE {'KEY'}-----"

values = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=8, max_size=80)
    .filter(lambda value: len(set(value)) > 4 and not MASKED.search(value) and value.casefold() not in PUBLIC)
    .filter(lambda value: not ACCIDENTAL.fullmatch(value))
)  # these have a test of their own: not masked everywhere
prose = st.text(max_size=40)
examples = settings(deadline=None, max_examples=50)


def knowing(*secrets: str) -> Redactor:
    redactor = Redactor()
    for secret in secrets:
        redactor.register(secret)
    return redactor


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (KEY, "Zx9A...t9uv"),
        ("sixteen-letters!", "***"),
        ("abcdefghijklmnop", "abcd...mnop"),
        ("abcdefghijklmno", "***"),
        ('"><script>alert(1)</script>', "***"),
        (PEM, "***"),
    ],
)
def test_a_mask_shows_four_characters_at_either_end_at_the_most(value: str, shown: str) -> None:
    """And none at all of a short value, or of one whose ends would mean something to a renderer."""
    assert mask(value) == shown


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda value: value,
    "percent-encoded": lambda value: quote(value, safe=""),
    "percent-encoded path": quote,
    "form-encoded": quote_plus,
    "JSON": lambda value: json.dumps({"key": value}),
    "JSON in Unicode": lambda value: json.dumps({"key": value}, ensure_ascii=False),
    "repr": lambda value: repr({"key": value}),
    "repr of bytes": lambda value: repr({"key": value.encode()}),
    "JSON of Go": lambda value: json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026"),
    "JSON, all escaped": lambda value: re.sub("(....)", r"\\u\1", value.encode("utf-16-be").hex()),
    "percent-encoded, all of it": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "shell": lambda value: shlex.quote(f"{value} "),
    "shell, with a backslash": lambda value: value.replace("'", "'\\''"),
    "CSV": lambda value: value.replace('"', '""'),
    "HTML": html.escape,
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal in capitals": lambda value: value.encode().hex().upper(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "basic authentication": lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@examples
@given(value=values, before=prose, after=prose)
def test_a_registered_value_is_masked_in_every_form(encoding: str, value: str, before: str, after: str) -> None:
    """Whatever stands around it."""
    encoded = ENCODINGS[encoding](value)
    masked = knowing(value).text(f"{before}|{encoded}|{after}")
    assert value not in masked
    assert encoded not in masked


@pytest.mark.parametrize("encoding", ["shell", "shell, with a backslash", "CSV", "repr", "repr of bytes", "JSON of Go"])
def test_a_value_with_quotes_is_masked_whole(encoding: str) -> None:
    """No part of it is left beside them."""
    value = "first'second\"third&fourth<"
    masked = knowing(value).text(ENCODINGS[encoding](value))
    assert not any(word in masked for word in ("first", "second", "third", "fourth"))


@examples
@given(value=values, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_a_value_is_masked_inside_any_base64(value: str, before: bytes, after: bytes) -> None:
    """At each of three alignments, with anything before and after; what is left does not tell its middle."""
    encoded = base64.b64encode(before + value.encode() + after).decode()
    masked = knowing(value).text(encoded)
    assert masked != encoded
    middle = value.encode()[4:-4]
    for alignment in range(3):
        inner = base64.b64encode(bytes(alignment) + middle).decode()[4:-4]
        assert len(inner) < 8 or inner not in masked


@examples
@given(value=values, text=prose)
def test_redaction_is_idempotent(value: str, text: str) -> None:
    """A mask is not masked again, and counts once."""
    redactor = knowing(value)
    once = redactor.text(f"{text} {value} Authorization: Bearer {KEY}")
    counted = redactor.ledger
    assert redactor.text(once) == once
    assert redactor.ledger == counted


@examples
@given(text=st.text(max_size=200))
def test_text_without_secrets_stays_as_it_is(text: str) -> None:
    """Redaction changes nothing else."""
    assert knowing(KEY).text(text) == text


def test_white_space_around_a_value_does_not_hide_it() -> None:
    """A key that was stored with a line break is printed without it sooner or later."""
    stored = f"{KEY}\n"
    redactor = knowing(stored)
    encoded = base64.b64encode(stored.encode()).decode()
    assert redactor.text(f"{KEY} {encoded}") == "Zx9A...t9uv Zx9A...t9uv"
    assert redactor.text("one\ntwo\n") == "one\ntwo\n"


@pytest.mark.parametrize("secret", [LONG, PEM], ids=["a token in one line", "a private key"])
def test_a_long_value_is_masked_when_it_is_cut(secret: str) -> None:
    """pytest cuts long representations; logs are read line by line."""
    redactor = knowing(secret)
    for part in (secret[:118], secret[-118:], secret[100:300], repr(secret)[:120]):
        masked = redactor.text(part)
        assert not any(secret[start : start + 48] in masked for start in range(len(secret) - 48))
    for line in secret.splitlines():
        assert line not in redactor.text(line)


@pytest.mark.parametrize(
    ("value", "most"),
    [
        ("hunter2!9", 6),
        ("Tr0ub4dor&3-staple-x9", 5),
        ("5f1c9d0e3a7b4c21", 5),
        (KEY, 5),
        (f"sk-proj-{KEY}", 8),
        (KEY + KEY[::-1], 5),
        ((KEY + KEY[::-1])[1:] * 3, 15),
    ],
)
def test_of_a_value_that_was_cut_hardly_anything_is_left(value: str, most: int) -> None:
    """Wherever that was, at its beginning or its end; `most` characters, beside what a mask shows."""
    redactor = knowing(value)
    out: list[bytes] = []
    log = redactor.log(out.append)
    for length in range(most + 1, len(value)):
        for part, text in ((value[:length], "login with {}... failed"), (value[-length:], '"...{} was refused"')):
            masked = redactor.text(text.format(part))
            assert not any(value[start : start + most + 1] in masked for start in range(len(value) - most)), masked
            log.write(text.format(part).encode() + b"\n")
            assert redactor.tree([part]) != [part]
    log.close()
    logged = b"".join(out).decode()
    assert not any(value[start : start + most + 1] in logged for start in range(len(value) - most))


def test_what_only_begins_or_ends_like_a_value_stays() -> None:
    """A part is masked where it may have been cut, and words are not."""
    redactor = knowing("postgres1-Admin99", "https://hooks.example.com/T9x")
    text = "postgres1x postgres15:5432 postgres- xAdmin99 0Admin99 https://hooks.example"
    assert redactor.text(f"{text} postgres1-... ..s1-Admin99") == f"{text} ***... ..***"


@pytest.mark.parametrize(
    "value", ["", "abc", "12345", "      ", "production", "Staging", "xxxxxxxx", "***", "Zx9A...t9uv"]
)
def test_short_and_public_values_are_not_registered(value: str) -> None:
    """They would hide the report and protect nothing."""
    line = f"value={value} in production, staging: passed"
    assert knowing(value).text(line) == line


def test_a_short_value_in_hexadecimal_is_masked_only_where_it_stands_alone() -> None:
    """A digest may hold it by chance."""
    redactor = knowing("123456")
    assert redactor.text("pin 123456, sha256:00123456ff") == "pin ***, sha256:00123456ff"


def test_of_two_values_with_the_same_beginning_the_longer_is_masked_whole() -> None:
    """No end of it remains."""
    assert knowing(KEY, f"{KEY}-and-more").text(f"<{KEY}-and-more>") == "<Zx9A...more>"


def test_a_value_coloured_in_its_midst_is_masked() -> None:
    """A terminal shows it as one."""
    assert KEY[4:-4] not in knowing(KEY).text(f"\x1b[31m{KEY[:9]}\x1b[0m\x1b[1m{KEY[9:]}\x1b[0m".replace("\x1b[1m", ""))
    assert knowing(KEY).text("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"


def test_many_values_are_masked_at_once() -> None:
    """Each by its own mask."""
    secrets = [f"{letter}{KEY[1:]}{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    masked = knowing(*secrets).text(" ".join(secrets))
    assert masked == " ".join(mask(secret) for secret in secrets)


def test_threads_may_register_and_redact_at_once() -> None:
    """What a thread has registered is masked in what it prints next."""
    redactor = Redactor()

    def work(number: int) -> bool:
        secret = f"{KEY}{number:05}"
        redactor.register(secret)
        return secret in redactor.text(f"it is {secret}")

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(work, range(40)))


# By looks

CREDENTIALS = {
    "MISTRAL_API_KEY in a dump of variables": f"MISTRAL_API_KEY={KEY}",
    "prose": f"my Mistral key is {KEY}, is it not?",
    "prose without the name": f"the api key {KEY} was refused",
    "bearer token": f"sent Bearer {KEY}",
    "header in JSON": json.dumps({"Authorization": f"Bearer {KEY}"}),
    "header in escaped JSON": json.dumps(json.dumps({"authorization": KEY})),
    "basic authentication": "Authorization: Basic " + base64.b64encode(b"user:hunter2-hunter2").decode(),
    "x-api-key": f"curl -H 'x-api-key: {KEY.lower()}'",
    "OpenAI": "sk-" + "proj-" + KEY,
    "AWS": "id AK" + "IAIOSFODNN7EXAMPLE",
    "Google": "AI" + "zaSyA1234567890abcdefghijklmnopqrstuvw",
    "GitHub": "ghp" + "_" + KEY + "abcd",
    "Slack": "https://hooks.slack.com/" + "services/T0AAAA111/B0BBBB222/" + KEY[:24],
    "JSON Web Token": "ey" + "JhbGciOiJIUzI1NiJ9.ey" + f"JzdWIiOiIxMjM0In0.{KEY}",
    "private key": f"found:\n{PEM}\nend",
    "password in a URL": "postgres://chat:" + "hunter2hunter2@db:5432/chat",
    "token in a URL": f"https://{KEY}@prometheus.example/",
    "query parameter": f"GET https://example.com/v1?key={KEY}&page=2",
    "assigned in code": f'client = Mistral(api_key="{KEY.lower()}")',
    "assigned password": "password: " + "correct4horse9",
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_what_looks_like_a_credential_is_masked(name: str) -> None:
    """Although nobody registered it."""
    redactor = Redactor()
    text = CREDENTIALS[name]
    masked = redactor.text(text)
    secret = max(text.replace("\n", " ").split(), key=len).strip("\"',:;{}\\")
    assert masked != text
    assert secret not in masked
    assert KEY not in masked
    assert KEY.lower() not in masked
    assert redactor.ledger["total"] == 1


@pytest.mark.parametrize(
    "password", ["p@ssw0rdSecret9", "pa/ss9Secret", "pa'ss9Secret", "$3cret9Password", "<b>9Secret", "%40ss9:Secret"]
)
def test_a_password_in_a_url_is_masked_whole(password: str) -> None:
    """Also one with characters that should have been encoded; the host and the path stay."""
    masked = Redactor().text(f"connected to amqp://chat:{password}@mq:5672/@scope/a@b, https://mq:15672/a@b")
    assert masked == "connected to amqp://chat:***@mq:5672/@scope/a@b, https://mq:15672/a@b"


INNOCENT = """
image: registry.example/chat:1.4.2@sha256:5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e
the mistral service runs revision 4bf92f3577b34da6a3ce929d0e0e47364bf92f35
mistral trace_id=4bf92f3577b34da6a3ce929d0e0e4736
pod chat-5c9d7b8f64-4kq2x in namespace mistral-prod-2, secret mistral-api-key-v2, key api-key
api_key = "k8s://vault/mistral#api-key"
k8s://vault/mistral#api-key: destroyed
api_key: aws-sm://eu-west-1/chat/mistral#api-key
api_key: azure-kv://chat-vault/mistral
secret_key=mistral-api-key-v2
token: mistral-reader-token-x2x4z
request 3fa85f64-5717-4562-b3fc-2c963f66afa6, password: 3fa85f64-5717-4562-b3fc-2c963f66afa6
apiKey: process.env.MISTRAL_API_KEY
password=os.environ["PASSWORD"]
Authorization: Bearer <token>
curl -H "Authorization: Bearer $KEY" https://api.mistral.ai/v1/models
curl -H "x-api-key: ${MISTRAL_API_KEY}"
--authorization-mode=RBAC,Node
the bearer authentication failed
fingerprint 3fa85f645717
mistral_requests_total{model="mistral-small-2603",status="success"} 4120
task-runner-7d4b9c6f5d-x2x4z sk-service-7d4b9c6f5d-x2x4z
http://user@host:8080/path https://host:8080/a@b http://127.0.0.1:43121/health
postgres://chat:$PASSWORD@db/chat
postgres://chat:${password}@db postgres://chat:{{password}}@db postgres://chat:<password>@db postgres://chat:%(pw)s@db
git://service-account-2024@host/chat https://git.example/@types/node14@22.1.0
2026-11-22T15:00:00.123Z GET https://api.mistral.ai/v1/models?key=value 200
the api key is missing: set MISTRAL_API_KEY in chat/deployment.yaml
kubectl get secret mistral -n chat -o jsonpath='{.data.api-key}' | base64 -d | wc -c
at MistralChatCompletionStreamHandler.run (node:internal/process/task_queues:95:5)
sha512-9j0fQ2o3kq1+N5CkVZ2m3rTQ8cA1bq6T4iQ== pip --hash=sha256:5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e
-----BEGIN CERTIFICATE-----
"""


@pytest.mark.parametrize("line", [line for line in INNOCENT.splitlines() if line])
def test_what_only_looks_long_is_left_alone(line: str) -> None:
    """Digests, revisions, UUIDs, names, references and placeholders are what a report is made of."""
    assert Redactor().text(line) == line


# Trees


def test_a_tree_is_masked_to_its_leaves_and_keys() -> None:
    """Its shape stays, and everything that is no text."""
    tree = {"a": [1, 2.5, None, True, f"is {KEY}"], f"k {KEY}": {"deep": [[KEY]]}, "t": (KEY,)}
    assert knowing(KEY).tree(tree) == {
        "a": [1, 2.5, None, True, "is Zx9A...t9uv"],
        "k Zx9A...t9uv": {"deep": [["Zx9A...t9uv"]]},
        "t": ["Zx9A...t9uv"],
    }


def test_two_keys_that_mask_alike_both_stay() -> None:
    """Nothing of the evidence is lost."""
    other = f"Zx9A{KEY[4:-4][::-1]}t9uv"
    assert list(knowing(KEY, other).tree({KEY: 1, other: 2}).values()) == [1, 2]


def test_a_field_named_after_a_credential_is_judged_by_its_name() -> None:
    """What nothing but its key gives away is masked; references and names are not."""
    redactor = Redactor()
    assert redactor.tree(
        {"api_key": KEY.lower(), "apiKey": "k8s://vault/mistral#api-key", "password": "horse4horse"}
    ) == {
        "api_key": "zx9a...t9uv",
        "apiKey": "k8s://vault/mistral#api-key",
        "password": "***",
    }


def test_a_number_that_is_a_secret_is_masked() -> None:
    """Other numbers stay numbers."""
    assert knowing("83729401").tree({"pin": 83729401, "port": 8372}) == {"pin": "***", "port": 8372}


def test_the_ledger_counts_by_kind() -> None:
    """What was masked is part of the report, by number."""
    redactor = knowing(KEY)
    redactor.register("hunter2-hunter2", "variable")
    redactor.text(f"{KEY} {KEY} hunter2-hunter2 https://u:secret1@host/")
    assert redactor.ledger == {"total": 4, "by_kind": {"secret": 2, "variable": 1, "url password": 1}}


def test_a_redactor_does_not_show_what_it_knows() -> None:
    """pytest prints the representation of fixtures."""
    redactor = knowing(KEY)
    assert KEY not in repr(redactor)
    assert KEY not in repr(redactor.stream(io.StringIO()))


# Variables


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MISTRAL_API_KEY", KEY),
        ("MISTRAL_API_KEY_STAGING", KEY),
        ("APIKEY", KEY),
        ("DB_PASSWORD", "correcthorse"),
        ("GITHUB_TOKEN", KEY),
        ("CLIENT_SECRET", KEY),
        ("AZURE_CREDENTIALS", '{"clientId": "x"}'),
    ],
)
def test_variables_with_secret_names_are_registered(name: str, value: str) -> None:
    """Their values are masked from the start."""
    redactor = Redactor()
    redactor.from_environment({name: value})
    assert value not in redactor.text(f"[{value}]")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSH_AUTH_SOCK", "/tmp/agent.123"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp/key.json"),
        ("GOLIVE_PROVIDER__API_KEY", "k8s://vault/mistral#api-key"),
        ("SORT_KEY", "updated"),
        ("SECRET_NAME", "mistral-prod-1"),
        ("TOKEN_TTL", "3600000000"),
        ("MAX_TOKEN", "4096"),
        ("TOKENIZERS_PARALLELISM", "disabled1"),
        ("PATH", "/usr/bin:/bin"),
    ],
)
def test_variables_that_only_speak_of_secrets_are_not(name: str, value: str) -> None:
    """Masking paths, references and words would hide the report."""
    assert not secret_variable(name, value)


# Streams


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def streaming(*secrets: str) -> tuple[RedactedStream, Terminal]:
    terminal = Terminal()
    stream = knowing(*secrets).stream(terminal)
    assert isinstance(stream, RedactedStream)
    return stream, terminal


def test_a_stream_passes_on_what_it_is_asked_about_itself() -> None:
    """pytest asks whether it is a terminal, and its encoding; the way round the redaction is shut."""
    stream, _ = streaming()
    as_file: TextIO = stream  # type: ignore[assignment] # it is one by delegation
    assert as_file.isatty()
    assert as_file.encoding == "utf-8"
    assert not hasattr(stream, "buffer")


def test_a_stream_writes_whole_lines_and_flushes_progress() -> None:
    """Dots appear as they come."""
    stream, terminal = streaming(KEY)
    assert stream.write("a line\n...") == len("a line\n...")
    assert terminal.getvalue() == "a line\n"
    stream.flush()
    assert terminal.getvalue() == "a line\n..."


def test_a_secret_split_over_two_writes_is_masked() -> None:
    """Even with a flush in between: what could be its beginning is held back."""
    stream, terminal = streaming(KEY)
    stream.write(f"key {KEY[:10]}")
    stream.flush()
    assert terminal.getvalue() == "key "
    stream.write(f"{KEY[10:]}.")
    stream.flush()
    assert terminal.getvalue() == "key Zx9A...t9uv."


def test_what_was_held_back_comes_at_the_end() -> None:
    """Nothing is lost that was no secret."""
    stream, terminal = streaming(KEY)
    stream.writelines(["ends in ", KEY[:5]])
    stream.finish()
    assert terminal.getvalue() == f"ends in {KEY[:5]}"
    stream.close()
    assert terminal.closed


def test_a_line_that_does_not_end_is_not_held_for_ever() -> None:
    """A peer's endless line costs bounded memory."""
    stream, terminal = streaming(KEY)
    for _ in range(3):
        stream.write("x" * 600_000)
    assert len(terminal.getvalue()) >= 1_200_000


def test_a_private_key_written_line_by_line_is_masked() -> None:
    """Though nobody registered it, and no line of it says what it is."""
    stream, terminal = streaming()
    for line in f"before\n{PEM}\nafter\n".splitlines(keepends=True):
        stream.write(line)
        stream.flush()
    stream.finish()
    assert terminal.getvalue() == "before\n***\nafter\n"


@examples
@given(
    secret=values,
    parts=st.lists(prose, min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 300), max_size=8),
    flush=st.booleans(),
)
def test_however_a_text_is_cut_its_secrets_are_masked(
    secret: str, parts: list[str], cuts: list[int], flush: bool
) -> None:
    """And everything else arrives once, in order."""
    text = secret.join(["", *parts, ""])
    stream, terminal = streaming(secret)
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    for start, end in pairwise(places):
        stream.write(text[start:end])
        if flush:
            stream.flush()
    stream.finish()
    assert secret not in terminal.getvalue()
    assert terminal.getvalue() == text.replace(secret, mask(secret))


# Bounds

HOSTILE = {
    "one letter": "a",
    "dashes": "-",
    "blanks": " ",
    "key after key": f"api key {KEY} ",
    "private keys that never end": f"-----BEGIN PRIVATE {'KEY'}-----",
    "tokens that never end": "eyJ-",
    "addresses that never end": "://a:",
    "headers without value": "authorization: bearer ",
    "assignments without value": "api_key:    ",
    "colours": "\x1b[31mabc\x1b[0m",
    "a log": "2026-11-22T15:00:00Z INFO id=3fa85f64-5717-4562 key=value https://api.mistral.ai/v1\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_time_for_a_line_grows_no_faster_than_the_line(name: str) -> None:
    """No text makes redaction hang: ten times as much of it takes about ten times as long."""
    redactor = knowing(*(f"{letter}{KEY}" for letter in "abcdefghijklmnopqrstuvwxyz"))
    redactor.text("compile")

    def seconds(characters: int) -> float:
        text = HOSTILE[name] * (characters // len(HOSTILE[name]))
        started = time.process_time()
        redactor.text(text)
        return time.process_time() - started

    assert seconds(500_000) < 40 * max(seconds(50_000), 0.005)


def test_a_line_of_ten_megabytes_is_redacted_in_bounded_time() -> None:
    """Seconds, on any machine that runs tests."""
    redactor = knowing(KEY)
    line = f"{'lorem ipsum ' * 800_000}{KEY}"
    started = time.process_time()
    masked = redactor.text(line)
    assert time.process_time() - started < 15
    assert masked.endswith("Zx9A...t9uv")
