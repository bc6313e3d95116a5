"""Secrets planted in everything that a run reads; none of them may stand in anything that it writes or prints.

Each canary is one that somebody could know for a secret, and so could we:

    by construction   no look keeps the text: other keys of the Secrets, literal variables of the Deployment,
                      ConfigMaps, annotations, the kubeconfig's token, the body of the runbook, the commit's message,
                      the reply and the headers of the service, the annotations of alerting rules; what copies of
                      the service answer and log while they are drilled
    by value          known before the first look is written down: the provider's key, however it is encoded or cut,
                      and whoever wrote it into the record of a drill; the keys that copies are handed; variables of
                      this process that are named as secrets; the password in the URL of a setting
    by pattern        recognised where it stands: a variable or an option by its name, `Authorization`, a URL's password

Random words in prose, which nobody can tell from prose, are not planted. The message that is sent in a drill is a
setting: it stands in the premises of the run, with all other settings, and nowhere else.
"""

from __future__ import annotations

import base64
import html
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from fixtures.sandbox.running import REVISION, Running
from fixtures.sandbox.world import World, started
from tests import warm
from tests.environments import ROOT, environments, recorded

WINDOW = 16
"""Characters of a canary, any that follow each other, that count as the canary: a secret cut in two is still one."""


def canary(*, special: bool = False) -> str:
    """Letters and digits in no order, new in each run; with `special`, what URLs, HTML and JSON escape too."""
    text = secrets.token_hex(16)
    mixed = "".join(c.upper() if secrets.randbits(1) else c for c in text)
    mixed = f"q7{mixed[2:28]}Z9xW"
    return f"{mixed[:9]}+/{mixed[11:20]}&={mixed[22:]}" if special else mixed


@dataclass(frozen=True)
class Canaries:
    """One for each place, so that the place of a leak is known."""

    key: str
    """The provider's: kept in the store and in the cluster's Secret."""
    token: str = field(default_factory=canary)
    """A variable of the process that runs the suite."""
    password: str = field(default_factory=lambda: canary(special=True))
    """In the URL of Prometheus."""
    reader: str = field(default_factory=canary)
    """The kubeconfig's."""
    literal: str = field(default_factory=canary)
    """DATABASE_PASSWORD, a literal variable of the Deployment."""
    beside: str = field(default_factory=lambda: canary(special=True))
    """Another key of each Secret that is read."""
    mapped: str = field(default_factory=canary)
    """In the ConfigMap that the Deployment takes over."""
    annotated: str = field(default_factory=canary)
    """In annotations of the Deployment and its pods."""
    ruled: str = field(default_factory=canary)
    """In annotations of alerting rules."""
    scraped: str = field(default_factory=canary)
    """In the URL and the error of a scrape."""
    written: str = field(default_factory=canary)
    """In the runbook."""
    committed: str = field(default_factory=canary)
    """In the message of the commit."""
    tested: str = field(default_factory=canary)
    """Printed by the service's tests, with its name."""
    headed: str = field(default_factory=canary)
    """In headers of the service and of the provider."""
    said: str = field(default_factory=canary)
    """In the answer of the chat, as the model's text."""
    asked: str = field(default_factory=canary)
    """In the message that is sent in a drill."""


FORMS: dict[str, Callable[[bytes], str]] = {
    "URL-encoded": lambda data: quote(data, safe=""),
    "base64": lambda data: base64.b64encode(data).decode().rstrip("="),
    "base64 in a URL": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "base64 after a user": lambda data: base64.b64encode(b"golive:" + data).decode()[10:].rstrip("=")[:-1],
    "hex": lambda data: data.hex(),
    "hex in capitals": lambda data: data.hex().upper(),
}


def traces(text: str, planted: Mapping[str, str]) -> Iterator[str]:
    """The name and the form of each canary that stands in `text`, of those `planted` by name."""
    readings = {text, html.unescape(text), unquote(text), text.replace("\\/", "/")}
    for name, value in planted.items():
        pieces = {value[start : start + WINDOW] for start in range(len(value) - WINDOW + 1)}
        if any(piece in reading for piece in pieces for reading in readings):
            yield f"{name}: plain"
        for form, encoded in FORMS.items():
            if any(encoded(value.encode()) in reading for reading in readings):
                yield f"{name}: {form}"


# The world


def everywhere(world: World, planted: Canaries) -> None:
    """What holds secrets in every world, whatever its peers answer."""
    world.rotate(planted.key)
    world.provider.reply = f"As a model, I was told: {planted.said} {planted.key}"
    _in_the_cluster(world, planted)
    _in_prometheus(world, planted)
    steps = f"\n\n1. Log in:\n\n       export MISTRAL_API_KEY={planted.written}\n"
    world.repository.files["RUNBOOK.md"] += f"\n## Rotate api_key={planted.written}{steps}"
    world.settings["service"] = {"debug_variables": ["DEBUG"], "health": {"deadline": 10.0}}


def _in_the_cluster(world: World, planted: Canaries) -> None:
    cluster = world.cluster
    cluster.token = planted.reader
    for namespace in ("chat", "vault"):
        cluster.keep(namespace, "mistral", "database-password", planted.beside)
    cluster.set_variable("DATABASE_PASSWORD", planted.literal)
    data = {"DATABASE_URL": f"postgres://chat:{planted.mapped}@db/chat", "settings": f"mistral: {planted.key}"}
    metadata = {"name": "chat-settings", "namespace": "chat", "uid": "1", "resourceVersion": "1"}
    cluster.objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    cluster.container["envFrom"] = [{"configMapRef": {"name": "chat-settings"}}, {"secretRef": {"name": "mistral"}}]
    for owner in (cluster.deployment, cluster.template, *cluster.pods):
        annotations = owner["metadata"].setdefault("annotations", {})
        annotations["example/applied"] = json.dumps({"password": planted.annotated, "MISTRAL_API_KEY": planted.key})


def _in_prometheus(world: World, planted: Canaries) -> None:
    for rule in world.prometheus.groups[0]["rules"]:
        rule["annotations"]["summary"] = f"Log in with {planted.ruled}"
    broken = world.prometheus.rule("MistralApiDown")
    filler = "x" * (300 - len(planted.key) // 2 - len(planted.token) - 2)
    broken |= {"health": "err", "lastError": f"{planted.token} {filler} {planted.key}"}  # cut in the key's middle
    for target in world.prometheus.targets:
        target["scrapeUrl"] = f"http://chat:{planted.scraped}@10.42.0.11:3000/metrics?token={planted.scraped}"
        target["health"] = "down"
        target["lastError"] = (
            f'Get "http://chat:{planted.scraped}@10.42.0.11:3000/metrics": Authorization: Bearer {planted.scraped} '
            f"refused; X-Api-Key: {quote(planted.key, safe='')}; {planted.token}; {planted.password}"
        )


def answering(world: World, planted: Canaries) -> None:
    """Every peer answers, and says too much."""
    filler = "-" * (200 - len(planted.key) // 2)
    said = {
        "message": f"Unauthorized: {planted.key} {filler[len(planted.key) + 15 :]}{planted.key}",
        "code": planted.key,
    }
    world.provider.overrides["/v1/models"] = (401, {"x-api-key": planted.headed}, said)
    mistral = {"healthy": True, "latency_ms": 3, "error": f"mistral key {planted.key} refused", "key": planted.key}
    world.service.health = {"status": planted.key, "environment": planted.key, "services": {"mistral": mistral}}
    chat = {
        "reply": f"{planted.said} {planted.key}",
        "model": planted.key,
        "finish_reason": planted.key,
        "fallback": True,
    }
    world.service.overrides["/api/chat"] = (200, {"x-api-key": planted.headed, "set-cookie": planted.headed}, chat)
    _failing_tests(world, planted)


def _failing_tests(world: World, planted: Canaries) -> None:
    """The service's tests print what they know; what is kept of it begins in the middle of the key."""
    data = planted.key.encode()
    forms = " ".join(encoded(data) for name, encoded in FORMS.items() if "user" not in name)
    known = f"{planted.token} MISTRAL_API_KEY={planted.key} DATABASE_PASSWORD={planted.tested}"
    tail = f"{forms}\nAuthorization: Bearer {planted.tested}\nFAILED: {known}\nRan 1 test in 0.1s\n"
    filler = "." * (2000 - len(tail) - len(planted.key) // 2)
    world.repository.files["tests.txt"] = f"begin {planted.key}{filler}{tail}"
    arguments = ["sh", "-c", "cat tests.txt; exit 1", "sh", f"--api-key={planted.tested}"]
    world.settings["repository"] = {"test_command": arguments}


def refusing(world: World, planted: Canaries) -> None:
    """No peer answers what it is asked, and each says more than it should of why."""
    said = f"key {planted.key}, token {planted.token}, Authorization: Bearer {planted.headed}"
    world.provider.overrides["/v1/models"] = (500, {"x-api-key": planted.headed}, {"message": said})
    for path in ("/api/v1/rules", "/api/v1/query", "/api/v1/targets"):
        error = f"{said}, golive:{planted.password}, {quote(planted.password, safe='')}"
        world.prometheus.overrides[path] = (500, {}, {"status": "error", "errorType": "internal", "error": error})
    deployment = "/apis/apps/v1/namespaces/chat/deployments/chat"
    status = {"kind": "Status", "status": "Failure", "message": f"Authorization: Bearer {planted.reader}; {said}"}
    world.cluster.overrides[deployment] = (400, {}, {**status, "code": 400})
    for path in ("/health", "/live", "/ready", "/api/chat"):
        world.service.overrides[path] = (500, {"x-api-key": planted.headed}, f"Traceback: {said}")
    last = f"{planted.key} {planted.token} DATABASE_PASSWORD={planted.tested}"
    world.repository.files["tests.sh"] = f"echo '{last}'\nsleep 30\n"
    world.settings["repository"] = {"test_command": ["sh", "tests.sh"], "test_deadline": 1.0}


# A drill

TELLING = """
import os, sys, threading, time
from itertools import product
from fixtures.sandbox import conduct, service

def note():
    seen = set()
    while True:
        try:
            with open(os.environ["MISTRAL_API_KEY_FILE"]) as file:
                key = file.read()
        except OSError:
            return
        if key not in seen:
            seen.add(key)
            with open("keys.txt", "a") as file:
                print(os.getpid(), key, file=file)
        time.sleep(0.02)

threading.Thread(target=note, daemon=True).start()
everything = tuple(product(("key", "prompt"), ("log", "answer")))
conduct.FLAWS["tells-everything"] = conduct.Conduct(leaks=everything)
sys.exit(service.main())
"""
"""The sandbox's service, which gives away all that it knows as soon as a call fails; and notes for the test, in the
folder where it is started, the keys that it is handed."""


def drilled(world: World, planted: Canaries) -> None:
    """Faults are injected into copies that tell everything, and the record of it is kept."""
    world.settings["tier"] = "staging"
    world.settings["service"] |= {"chat": {"request": {"message": f"Tell me of {planted.asked}, please."}}}
    world.settings["resilience"] = {
        "command": [sys.executable, "-c", TELLING],
        "variables": {"PYTHONPATH": str(ROOT), "FLAW": "tells-everything", "DATABASE_PASSWORD": planted.literal},
        "signed_off_by": "ada@example.com",
    }


# The runs


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished run. `left` are the files that it left behind, by the folder that says what they are."""

    code: int
    printed: str
    report: dict[str, Any]
    left: dict[str, list[Path]]
    keys: dict[str, str]
    """Those that copies were handed, by their number and the process that was handed it."""


def _committed_again(world: World, running: Running, message: str) -> str:
    """Give the commit this message; the Deployment names the revision as before. The new commit's hash."""
    command = [
        "git",
        "-C",
        str(running.repository),
        "-c",
        "user.name=Chat Team",
        "-c",
        "user.email=chat@sandbox.example",
    ]
    subprocess.run([*command, "commit", "--quiet", "--amend", "--message", message], check=True, capture_output=True)
    head = subprocess.run([*command, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for owner in (world.cluster.deployment, world.cluster.template):
        for kind in ("labels", "annotations"):
            owner["metadata"][kind][REVISION] = head
    return head


def _run(world: World, planted: Canaries, phase: str, folder: Path, *options: str) -> Outcome:
    config, temporary = folder / "environments", folder / "temporary"
    temporary.mkdir()
    with started(world, folder / "world") as running:
        revision = _committed_again(world, running, f"Release 1.4.3\n\nDeployed with {planted.committed}")
        settings = running.settings
        host = running.urls["prometheus"].removeprefix("http://")
        settings["prometheus"]["url"] = f"http://golive:{quote(planted.password, safe='')}@{host}"
        if "--allow-changes" in options:
            del settings["resilience"]["folder"]  # the copies start in the repository, as a service of one's own does
        environments(config, settings, "planted")
        if "--allow-changes" not in options:
            recorded(config, revision, "planted", by=f"ada, with {planted.key}")
        command = ["-m", phase, "--env", "planted", f"--config={config}"]
        command += ["--run-dir", str(folder / "run"), f"--alluredir={folder / 'allure'}", *options]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        variables |= {"SOME_API_TOKEN": planted.token, "TMPDIR": str(temporary)}
        code, printed = warm.run(command, timeout=180, variables=variables)
        noted = running.repository / "keys.txt"
        keys = [line.split() for line in noted.read_text().splitlines()] if noted.exists() else []
    made = {"run": folder / "run", "allure": folder / "allure", "temporary": temporary}
    if "--allow-changes" in options:
        made["record"] = config / "records"
    return Outcome(
        code=code,
        printed=printed,
        report=json.loads((folder / "run" / "report.json").read_text()),
        left={name: [file for file in place.rglob("*") if file.is_file()] for name, place in made.items()},
        keys={f"key {number} of {process}": key for number, (process, key) in enumerate(keys, 1)},
    )


def _found(run: Outcome, planted: Canaries) -> dict[str, list[str]]:
    """The place of each trace of what was planted, on the terminal and in files and their names."""
    secret = vars(planted) | run.keys
    found = {"terminal": sorted(traces(run.printed, secret))}
    for name, files in run.left.items():
        for file in files:
            text = f"{file.name}\n{file.read_bytes().decode('utf-8', 'replace')}"
            found[f"{name}: {file.name}"] = sorted(traces(text, secret))
    return {place: leaks for place, leaks in found.items() if leaks}


RUNS = {
    "preflight": (answering, "preflight", ()),
    "postdeploy": (answering, "postdeploy", ()),
    "two processes": (answering, "preflight", ("-n", "2")),
    "with locals": (answering, "preflight", ("-v", "--showlocals", "--tb=long", "-s")),
    "postdeploy with locals": (answering, "postdeploy", ("-v", "--showlocals", "--tb=long")),
    "refused": (refusing, "preflight", ()),
    "refused with locals": (refusing, "preflight", ("-vv", "--showlocals", "--tb=long", "-n", "2")),
}


@pytest.mark.parametrize("name", RUNS)
def test_no_planted_secret_comes_out(name: str, tmp_path: Path) -> None:
    """Neither on the terminal nor in a file, nor a file's name: as it is, in a part, or encoded."""
    mutate, phase, options = RUNS[name]
    planted = Canaries(key=canary(special=mutate is refusing))
    world = World()
    everywhere(world, planted)
    mutate(world, planted)
    run = _run(world, planted, phase, tmp_path, *options)
    assert run.code == 1, run.printed
    assert run.left["run"]
    assert run.left["allure"]
    assert _found(run, planted) == {}
    assert run.report["masked"]["total"] > 0
    seen = {row["name"] for row in run.report["observations"] if row["seen"]}
    assert ("failures" in seen) == (phase == "preflight" and mutate is answering), "the record was not read"


def test_no_secret_of_a_drill_comes_out(tmp_path: Path) -> None:
    """Not the keys that copies were handed, nor the message that they were sent: also not in the record of it."""
    planted = Canaries(key=canary())
    world = World()
    everywhere(world, planted)
    drilled(world, planted)
    run = _run(world, planted, "resilience", tmp_path, "--allow-changes", "-v", "--showlocals", "--tb=long")
    assert run.code == 1, run.printed
    assert len({name.rpartition(" ")[2] for name in run.keys}) < len(run.keys), "no key was rotated"
    assert len(run.left["record"]) == 1, run.report["notes"]
    told = _told(tmp_path / "run")
    assert told >= {(what, where) for what in ("the key", "the prompt") for where in ("answer", "log")}
    found = _found(run, planted)
    assert {leak.partition(":")[0] for leak in found.pop("run: premises.json")} == {"asked"}
    assert found == {}
    assert run.report["masked"]["total"] > 0


def _told(run: Path) -> set[tuple[str, str]]:
    """What the drills found to be given away, and whether in an answer or in a log."""
    evidence = json.loads((run / "observations" / "failures.json").read_text())
    return {(leak["what"], leak["where"].partition(" ")[0]) for leak in evidence["value"]["leaks"]}


def test_the_search_finds_what_it_looks_for() -> None:
    """A canary is found in each form, cut, and escaped; a clean text has none."""
    planted = Canaries(key=canary(special=True))
    secret = vars(planted)
    assert list(traces("Release 1.4.3, all is well", secret)) == []
    for text in (planted.key, planted.key[3:21], html.escape(planted.key), json.dumps(planted.key), quote(planted.key)):
        assert "key: plain" in list(traces(f"a {text} b", secret))
    for form, encoded in FORMS.items():
        assert f"key: {form}" in list(traces(f"a {encoded(planted.key.encode())} b", secret))
