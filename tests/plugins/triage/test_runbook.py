"""Pages of the runbook, read: people edit them, so whatever became of one is said and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.settings import Environment, Kubernetes, Prometheus, Provider, Service
from plugins.triage.runbook import RunbookError, Step, actions, filled, names, page

GOOD = """---
title: "The key: rejected"
severity: "P1"
public: "Something is wrong."
---

# The key: rejected

## What it means

A sentence
over two lines.

## Check

1. Look.

   ```console
   $ kubectl -n {namespace} get pods
   NAME   READY
   $ curl {service_url}/health \\
       --max-time 5
   ```

2. Look again, at `{deployment}`.

## Do

1. Copy it.

   ```console
   $ printf %s "${key_variable}" | kubectl create secret generic {secret} --from-file={secret_key}=/dev/stdin
   ```

2. Wait.

## Escalate

- Call.

## Over when

It answers.

```console
$ curl {service_url}/health
```
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "runbook").mkdir()
    (tmp_path / "runbook" / "key.md").write_text(GOOD, "utf-8")
    return tmp_path / "runbook"


def test_a_page_is_its_sections_and_their_steps(folder: Path) -> None:
    """A sentence with its commands each; what a command prints is none, and one goes on after a backslash."""
    found = page("key", folder)
    assert (found.title, found.severity, found.public) == ("The key: rejected", "P1", "Something is wrong.")
    assert found.sections["What it means"] == (Step("A sentence over two lines."),)
    assert found.sections["Check"] == (
        Step("Look.", ("kubectl -n {namespace} get pods", "curl {service_url}/health \\\n    --max-time 5")),
        Step("Look again, at `{deployment}`."),
    )
    assert found.sections["Over when"] == (Step("It answers.", ("curl {service_url}/health",)),)


def test_what_to_do_has_the_real_names_in(folder: Path) -> None:
    """Each step of Do, then how to know that it is over."""
    known = {"secret": "mistral", "secret_key": "api-key", "key_variable": "KEY", "service_url": "https://chat.example"}
    assert actions("key", known, folder) == [
        {
            "says": "Copy it.",
            "command": 'printf %s "$KEY" | kubectl create secret generic mistral --from-file=api-key=/dev/stdin',
        },
        {"says": "Wait.", "command": ""},
        {"says": "Over when: It answers.", "command": "curl https://chat.example/health"},
    ]


def test_only_the_steps_that_fit_are_to_be_done(folder: Path) -> None:
    """In the order that is asked for; all of them where the page has none that begins so."""
    said = [row["says"].split(" ")[0] for row in actions("key", {}, folder, do=["Wait", "Gone"])]
    assert said == ["Wait.", "Over"]
    assert len(actions("key", {}, folder, do=["Gone"])) == 3


def test_a_name_that_is_not_known_stays_and_is_said(folder: Path) -> None:
    """With the setting that would tell it: a guessed name would be pasted."""
    copy, _, over = actions("key", {"key_variable": "KEY", "secret": None, "service_url": ""}, folder)
    assert copy["says"] == "Copy it. Fill in {secret} and {secret_key} yourself: not told by provider.api_key."
    assert "create secret generic {secret} --from-file={secret_key}" in copy["command"]
    assert over["says"].endswith("Fill in {service_url} yourself: not told by service.url.")


@pytest.mark.parametrize("value", ["KEY; rm -rf /", "9KEY", "K-EY", "K\nEY", ""])
def test_what_is_no_variable_is_not_put_between_quotes(folder: Path, value: str) -> None:
    """It stands bare there, so that only a variable's name may."""
    copy = actions("key", {"key_variable": value}, folder)[0]
    assert '"${key_variable}"' in copy["command"]
    assert "{key_variable}" in copy["says"]


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[31m", "a\x00"])
def test_a_name_that_cannot_be_seen_is_not_filled_in(folder: Path, value: str) -> None:
    """A line feed in a command that is pasted is Enter."""
    assert "{service_url}" in actions("key", {"service_url": value}, folder)[2]["command"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ((GOOD, ""), "front matter without title, severity, public"),
        (('public: "Something is wrong."\n', ""), "front matter without public"),
        (("## Escalate\n", "## Escalation\n"), "the sections What it means, Check, Do, Escalation, Over when"),
        (("## Do\n", ""), "the sections What it means, Check, Escalate, Over when"),
        (("- Call.\n", ""), "nothing below ## Escalate"),
        (("It answers.\n\n```console\n$ curl {service_url}/health\n```\n", ""), "nothing below ## Over when"),
    ],
    ids=["empty", "no-public", "other-heading", "no-do", "empty-section", "nothing-over"],
)
def test_a_damaged_page_says_what_is_wrong_with_it(folder: Path, damage: tuple[str, str], said: str) -> None:
    """Where, what was found, what was expected; and what is left to do is to escalate."""
    before, after = damage
    assert before in GOOD
    (folder / "key.md").write_text(GOOD.replace(before, after), "utf-8")
    with pytest.raises(RunbookError, match=r"^runbook/key\.md: found .*, expected ") as raised:
        page("key", folder)
    assert said in str(raised.value)
    assert actions("key", {}, folder) == [
        {"says": f"{raised.value}. Mend the page; until then escalate.", "command": ""}
    ]


def test_a_page_that_is_not_there_or_no_text_stops_nothing(folder: Path) -> None:
    """Nor does an id that leads elsewhere."""
    (folder / "bytes.md").write_bytes(b"\xff\xfe\x00")
    for id_ in ("absent", "bytes", "../key", ""):
        (only,) = actions(id_, {}, folder)
        assert "escalate" in only["says"]
        assert only["command"] == ""


def test_names_come_from_the_settings_and_are_never_guessed() -> None:
    """What is not configured is None; an address tells its host; no password of a URL is shown."""
    environment = Environment(
        name="production",
        tier="production",
        service=Service(url="https://me:secret@chat.example.com/", key_variable="KEY"),
        provider=Provider(base_url="https://api.mistral.ai", api_key="k8s://chat/mistral#api-key", model="m"),
        kubernetes=Kubernetes(namespace="chat"),
        prometheus=Prometheus(),
    )
    found = names(environment)
    assert (found["service_url"], found["service_host"]) == ("https://chat.example.com", "chat.example.com")
    assert (found["provider_host"], found["provider_address"]) == ("api.mistral.ai", "api.mistral.ai:443")
    assert (found["secret"], found["secret_key"]) == ("mistral", "api-key")
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {"deployment", "context", "fallback_model", "prometheus_url", "config", "kubeconfig"}


def _command(command: str, kubernetes: Kubernetes, *config: str, sandbox: bool = False) -> str:
    """As it is pasted."""
    environment = Environment(
        name="production", tier="production", sandbox=sandbox, config=config, kubernetes=kubernetes
    )
    return filled(Step("", (command,)), names(environment))["command"]


@pytest.mark.parametrize(
    ("file", "option"),
    [
        ("environments/production.toml", ""),
        ("deploy/golive/production.toml", " --config=deploy/golive"),
        ("/etc/go live/production.toml", " --config='/etc/go live'"),
    ],
)
def test_a_pasted_run_reads_the_settings_that_this_one_read(file: str, option: str) -> None:
    """Else it would look at the environment of that name in another folder."""
    command = _command("pytest --env {environment}", Kubernetes(), "environments/base.toml", file)
    assert command == f"pytest --env production{option}"


def test_a_pasted_kubectl_asks_the_cluster_that_was_looked_at() -> None:
    """By the kubeconfig of the settings too, quoted as a shell takes it; that of the sandbox is gone with it."""
    asked, file = "kubectl --context {context} get pods", Path("/home/me/kube config")
    whole = Kubernetes(kubeconfig=file, context="prod; x")
    option = "--kubeconfig='/home/me/kube config'"
    assert _command(asked, whole) == f"kubectl --context 'prod; x' {option} get pods"
    assert _command(asked, Kubernetes(kubeconfig=file)) == f"kubectl --context {{context}} {option} get pods"
    assert _command(asked, whole, sandbox=True) == "kubectl --context 'prod; x' get pods"


@pytest.mark.parametrize("reference", [None, "env://KEY", "k8s://vault/mistral#api-key", "k8s://chat/mistral"])
def test_a_secret_elsewhere_is_not_the_one_that_the_pods_read(reference: str | None) -> None:
    """A command that replaces it in their namespace would make one that nobody reads."""
    provider = Provider(api_key=reference)
    environment = Environment(
        name="production", tier="production", provider=provider, kubernetes=Kubernetes(namespace="chat")
    )
    assert (names(environment)["secret"], names(environment)["secret_key"]) == (None, None)
