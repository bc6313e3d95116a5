"""What triage tells people to do: the pages of runbook/, a Markdown file for each diagnosis, with the real names in.

RunbookError    a page is not there, or has not its form; says where, what was found, what was expected

People edit these pages: whatever became of one, `actions` says what is wrong with it and goes on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from markdown_it.token import Token

    from fixtures.settings import Environment

FOLDER = Path(__file__).resolve().parents[2] / "runbook"
SECTIONS = ("What it means", "Check", "Do", "Escalate", "Over when")
"""The headings of a page, in this order."""
FRONT = ("title", "severity", "public")
"""Its front matter, a line each: `public` is what users may be told once the cause is confirmed."""
PLACEHOLDERS: dict[str, str] = {
    "namespace": "kubernetes.namespace",
    "deployment": "kubernetes.deployment",
    "context": "kubernetes.context",
    "service_url": "service.url",
    "service_host": "service.url",
    "environment": "--env",
    "provider_url": "provider.base_url",
    "provider_host": "provider.base_url",
    "provider_address": "provider.base_url",
    "model": "provider.model",
    "fallback_model": "provider.fallback_model",
    "secret": "provider.api_key",
    "secret_key": "provider.api_key",
    "prometheus_url": "prometheus.url",
    "key_variable": "service.key_variable",
}
"""What may stand in braces in a command, and the setting that fills it in."""
OPTIONS = {"environment": "config", "context": "kubeconfig"}
"""The option that follows a name: without it, what is pasted would read other settings, or ask another cluster."""

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMED = re.compile(r"[a-z0-9-]+")


class RunbookError(Exception):
    """A page that cannot be used."""

    def __init__(self, file: str, found: str, expected: str) -> None:
        super().__init__(f"{file}: found {found}, expected {expected}")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do or to look at: a sentence, and the commands that belong to it, a string each."""

    says: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is written: names are not filled in yet."""

    id: str
    title: str
    severity: str
    public: str
    sections: dict[str, tuple[Step, ...]]


def actions(
    id_: str, names: Mapping[str, str | None], folder: Path = FOLDER, do: Sequence[str] = ()
) -> list[dict[str, str]]:
    """What to do now for this diagnosis: the steps of `## Do`, then how to know that it is over.

    `do` is how those steps begin that fit, the first one first; where none begins so, all of them do.

    Each is {"says", "command"}; the command may be empty or have several lines. A name that is not known stays in its
    braces, and `says` tells which setting would fill it in. A page that cannot be used is said in their place.
    """
    try:
        found = page(id_, folder)
    except RunbookError as error:
        return [{"says": f"{error}. Mend the page; until then escalate.", "command": ""}]
    over = [Step(f"Over when: {step.says}", step.commands) for step in found.sections["Over when"]]
    steps = found.sections["Do"]
    fit = [step for begins in do for step in steps if step.says.startswith(begins)]
    return [filled(step, names) for step in (*(fit or steps), *over)]


def public(id_: str, folder: Path = FOLDER) -> str:
    """What users may be told once this diagnosis is confirmed; nothing where its page cannot be used."""
    try:
        return page(id_, folder).public
    except RunbookError:  # said by `actions`, where it matters more
        return ""


def filled(step: Step, known: Mapping[str, str | None]) -> dict[str, str]:
    """A step with the names in, as `actions` gives them."""
    command = "\n".join(step.commands)
    says = _PLACEHOLDER.sub(lambda found: _plain(found, known), step.says)
    unknown = [name for name in dict.fromkeys(_PLACEHOLDER.findall(command)) if _quoted(name, known) is None]
    if unknown:
        told = " and ".join(f"{{{name}}}" for name in unknown)
        where = ", ".join(dict.fromkeys(PLACEHOLDERS[name] for name in unknown))
        says = f"{says} Fill in {told} yourself: not told by {where}."
    return {"says": says, "command": _PLACEHOLDER.sub(lambda found: _word(found, known), command)}


def names(environment: Environment) -> dict[str, str | None]:
    """What is filled into the commands, as far as this environment's settings tell. None: not known."""
    kubernetes, provider = environment.kubernetes, environment.provider
    secret, key = _secret(provider.api_key, kubernetes.namespace)
    host, address = _host(provider.base_url)
    return {
        "environment": environment.name,
        "config": environment.elsewhere,
        "namespace": kubernetes.namespace,
        "deployment": kubernetes.deployment,
        "context": kubernetes.context,
        "kubeconfig": _kubeconfig(environment),
        "service_url": _bare(environment.service.url),
        "service_host": _host(environment.service.url or "")[0],
        "provider_url": _bare(provider.base_url),
        "provider_host": host,
        "provider_address": address,
        "model": provider.model,
        "fallback_model": provider.fallback_model,
        "secret": secret,
        "secret_key": key,
        "prometheus_url": _bare(environment.prometheus.url),
        "key_variable": environment.service.key_variable,
    }


def _kubeconfig(environment: Environment) -> str | None:
    """The file that the settings name. The sandbox's is gone with it."""
    file = environment.kubernetes.kubeconfig
    return None if file is None or environment.sandbox else str(file.expanduser())


def _bare(url: str | None) -> str | None:
    """Without the slash at its end, and without a name and a password."""
    if not url:
        return None
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")


def _host(url: str) -> tuple[str | None, str | None]:
    """`host` and `host:port` of the provider."""
    parts = urlsplit(url)
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:  # no number: then there is no address to speak of
        return parts.hostname, None
    return parts.hostname, f"{parts.hostname}:{port}" if parts.hostname else None


def _secret(reference: str | None, namespace: str | None) -> tuple[str | None, str | None]:
    """The Secret that the pods read and its key, where the reference names one of their own namespace."""
    found = re.fullmatch(r"k8s://([^/]+)/([^/#]+)#(.+)", reference or "")
    return (found[2], found[3]) if found and found[1] == namespace else (None, None)


def page(id_: str, folder: Path = FOLDER) -> Page:
    """The page of a diagnosis. Raises `RunbookError`."""
    file = f"{folder.name}/{id_}.md"
    if not _NAMED.fullmatch(id_):
        raise RunbookError(folder.name, f"the id {id_!r}", "lower-case words joined by hyphens")
    try:
        text = (folder / f"{id_}.md").read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunbookError(file, f"no readable page ({type(error).__name__})", "a Markdown file in UTF-8") from None
    front = _front(file, text)
    return Page(id_, front["title"], front["severity"], front["public"], _sections(file, text))


def _front(file: str, text: str) -> dict[str, str]:
    """The lines `key: "text"` between two lines `---` at the top."""
    block = re.match(r"---\n(.*?)^---$", text, re.DOTALL | re.MULTILINE)
    rows = [line.partition(":") for line in (block[1].splitlines() if block else [])]
    found = {key.strip(): value.strip().strip('"') for key, _, value in rows}
    missing = [key for key in FRONT if not found.get(key)]
    if missing:
        raise RunbookError(file, f"front matter without {', '.join(missing)}", f"a line each of {', '.join(FRONT)}")
    return found


def _sections(file: str, text: str) -> dict[str, tuple[Step, ...]]:
    from fixtures.markdown import parsed

    tokens = parsed(text)
    starts = [number for number, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    ends = [*starts[1:], len(tokens)]
    found = {
        tokens[start + 1].content: tuple(_steps(tokens[start + 3 : end]))
        for start, end in zip(starts, ends, strict=False)
    }
    if tuple(found) != SECTIONS:
        raise RunbookError(file, f"the sections {', '.join(found) or 'none'}", f"## {', ## '.join(SECTIONS)}")
    empty = [name for name, steps in found.items() if not steps]
    if empty:
        raise RunbookError(file, f"nothing below ## {empty[0]}", "a paragraph or a list")
    return found


def _steps(tokens: Sequence[Token]) -> Iterator[Step]:
    """A step for each item of a list; outside of lists, for each paragraph with the commands that follow it."""
    words: list[str] = []
    commands: list[str] = []
    for token in tokens:
        begins = token.type == "list_item_open" or (token.type == "paragraph_open" and token.level == 0)
        if begins and words:
            yield Step(" ".join(words), tuple(commands))
            words, commands = [], []
        if token.type == "inline":
            words.append(" ".join(token.content.split()))
        elif token.type == "fence":
            commands += _commands(token.content.splitlines())
    if words:
        yield Step(" ".join(words), tuple(commands))


def _commands(lines: Iterable[str]) -> list[str]:
    """The commands of a console block: each begins with `$ `, and goes on over the lines that end in a backslash."""
    found: list[str] = []
    goes_on = False
    for line in lines:
        if line.startswith("$ "):
            found.append(line[2:])
        elif goes_on:
            found[-1] += f"\n{line}"
        goes_on = bool(found) and line.endswith("\\")
    return found


def _plain(found: re.Match[str], known: Mapping[str, str | None]) -> str:
    return known.get(found[1]) or found[0]


def _word(found: re.Match[str], known: Mapping[str, str | None]) -> str:
    """What stands in a command for a name in braces, with the option that follows it."""
    option = OPTIONS.get(found[1], "")
    value = _quoted(option, known)
    return (_quoted(found[1], known) or found[0]) + (f" --{option}={value}" if value else "")


def _quoted(name: str, known: Mapping[str, str | None]) -> str | None:
    """A name as one word of a shell; None where there is none. A variable's name stands within quotes, bare."""
    value = known.get(name)
    if not value or not value.isprintable():
        return None
    if name == "key_variable":
        return value if _VARIABLE.fullmatch(value) else None
    return shlex.quote(value)
