"""The commands of the runbook, typed into a shell beside the real world: each does what its page says.

The names in them are those that triage fills in there. Pods are kwok's: what `kubectl exec` runs in one runs here.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.settings import load
from plugins.triage.runbook import names
from tests.fixtures.sandbox.test_mistral_serving import program
from tests.real.kubernetes import PodLog
from tests.real.on_call import COMMANDS, Shell, around, deployment, minor, opened
from tests.real.staging import FALLBACK_MODEL
from tests.real.world import CONTEXT, DEPLOYMENT, World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("runbook")]

CHAT = (
    "curl -sS -i --max-time 20 {provider_url}/v1/chat/completions "
    "-H \"Authorization: Bearer ${key_variable}\" -H 'Content-Type: application/json' "
    '-d \'{"model":"\'{%s}\'","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}\''
)
MODELS = '{provider_url}/v1/models -H "Authorization: Bearer ${key_variable}"'
STATUS = (
    "curl -sS -o /dev/null -w '%{http_code}\\n' --max-time 10 "
    '-H "Authorization: Bearer ${key_variable}" {provider_url}/v1/models'
)
LISTED = f'curl -sS --max-time 10 {MODELS} | grep -o \'"id": *"[^"]*"\''
EACH = "kubectl get pods -o name | grep ^pod/{deployment}- | xargs -n 1 kubectl logs"
VERBOSE = "curl -sv -o /dev/null --max-time 10"
TRIAGE = ".venv/bin/python -m pytest -m triage --env {environment}"
CERTIFICATE = (
    "openssl s_client -connect {provider_address} -servername {provider_host} </dev/null 2>/dev/null "
    "| openssl x509 -noout -subject -issuer -dates"
)
COPIED = (
    'printf %s "${key_variable}" | kubectl create secret generic {secret} --from-file={secret_key}=/dev/stdin '
    "--dry-run=client -o yaml | kubectl apply -f -"
)
SECRET = (
    "kubectl get deployment/{deployment} "
    "-o jsonpath='{.spec.template.spec.containers[*].env[?(@.name==\"{key_variable}\")].valueFrom.secretKeyRef}'"
)
PODS = r"chat-\w+-\w+"

SEEN: dict[str, str] = {
    "curl -sS -i --max-time 5 {service_url}/health": r"200 OK(?s:.*)\"status\": ?\"healthy\"",
    f"{EACH} --prefix --all-containers --since=10m --tail=50": (rf"\[pod/{PODS}/chat\] \{{.*answered"),
    TRIAGE: "Nothing is wrong",
    "kubectl rollout status deployment/{deployment} --timeout=120s": "successfully rolled out",
    "read -rs {key_variable}": r"^$",
    CHAT % "model": r"200 OK(?s:.*)\"choices\"",
    CHAT % "fallback_model": r"200 OK(?s:.*)\"choices\"",
    STATUS: "^200$",
    SECRET: '"name":"mistral"',
    "kubectl get pods -o wide": PODS,
    "curl -sS --max-time 5 {prometheus_url}/-/ready": "Ready",
    "curl -sS --max-time 5 {prometheus_url}'/api/v1/targets?state=active'": r'"health":"up"',
    f'{EACH} --all-containers --since=5m | grep -ciE \'"level": ?"(error|fatal|critical)"\'': r"^\d+$",
    "curl -sS --max-time 5 {service_url}/metrics | head -20": "# TYPE",
    LISTED: '"id": ?"mistral-small',
    "kubectl rollout history deployment/{deployment}": r"REVISION(?s:.*)\n\d+ (?s:.*)\n\d+ ",
    f"curl -sS --max-time 10 {MODELS} "
    '| grep -oE \'"(id|deprecation|deprecation_replacement_model)": *("[^"]*"|null)\'': '"deprecation": ?',
    "curl -sS --max-time 5 {prometheus_url}/api/v1/alerts": '"status":"success"',
    "kubectl get deployment,pods -o wide": rf"deployment.apps/chat(?s:.*)pod/{PODS}",
    "curl -sS -o /dev/null --max-time 60 -w '%{time_connect} %{time_starttransfer} %{time_total}\\n' "
    f"{MODELS}": r"^\d+\.\d+ \d+\.\d+ \d+\.\d+$",
    "kubectl get deployments": r"chat +\d/\d",
    "kubectl get deployment/{deployment}": r"chat +\d/\d",
    "kubectl get jobs,cronjobs": "cronjob.batch/import",
    "kubectl get events --sort-by=.lastTimestamp": PODS,
    "kubectl describe pods | grep -A8 '^Events'": "Successfully assigned",
    "kubectl get pods -o name --sort-by='.status.containerStatuses[0].restartCount' | tail -n 1 "
    "| xargs kubectl logs --previous --prefix --tail=50": rf"\[pod/{PODS}/chat\] .*out of memory",
    "kubectl get service,endpointslices,ingress": r"service/chat(?s:.*)endpointslice",
    "getent hosts {service_host}": r"127\.0\.0\.1",
    "getent hosts {provider_host}": r"127\.0\.0\.1",
    "kubectl exec deployment/{deployment} -- getent hosts {provider_host}": r"127\.0\.0\.1",
    "kubectl --context {context} -n kube-system get pods -l k8s-app=kube-dns": "coredns-",
    "kubectl get networkpolicies -o wide": "egress",
    "kubectl describe networkpolicies": "Allowing egress traffic",
    f"kubectl exec deployment/{{deployment}} -- {VERBOSE} {{provider_url}}/v1/models": "< HTTP/1.1",
    "kubectl exec deployment/{deployment} -- curl -sS -o /dev/null -w '%{http_code}\\n' --max-time 10 "
    "{provider_url}/v1/models": "^401$",
    "env | grep -i '_proxy='": "no_proxy=127.0.0.1",
    "kubectl set env deployment/{deployment} --list | grep -i '_proxy='": "NO_PROXY=.svc",
    f"{VERBOSE} {{provider_url}}/v1/models": "< HTTP/1.1",
    f"{VERBOSE} --noproxy '*' {{provider_url}}/v1/models": "< HTTP/1.1",
    CERTIFICATE: "subject=(?s:.*)issuer=(?s:.*)notAfter=",
    "date -u": "UTC",
    "kubectl get deployment/{deployment} -o jsonpath='{.spec.template.spec.hostAliases}{\"\\n\"}'": r"10\.1\.2\.3",
}
"""What is only looked at: each command, and what it must print in this world."""

Changed = Callable[[dict[str, Any], dict[str, Any]], bool]
"""Whether the Deployment before and the one after differ as the page says."""


def _variable(name: str, value: str) -> Changed:
    def changed(before: dict[str, Any], after: dict[str, Any]) -> bool:
        was, now = (
            {row["name"]: row.get("value") for row in spec["template"]["spec"]["containers"][0]["env"]}
            for spec in (before, after)
        )
        return bool(now == was | {name: value} != was)

    return changed


def _restarted(before: dict[str, Any], after: dict[str, Any]) -> bool:
    at = [
        spec["template"]["metadata"]["annotations"].get("kubectl.kubernetes.io/restartedAt") for spec in (before, after)
    ]
    return bool(at[0] != at[1] is not None)


CHANGES: dict[str, Changed] = {
    "kubectl rollout undo deployment/{deployment}": lambda before, after: before["template"] != after["template"],
    "kubectl rollout restart deployment/{deployment}": _restarted,
    "kubectl set env deployment/{deployment} MISTRAL_MODEL={fallback_model}": _variable(
        "MISTRAL_MODEL", FALLBACK_MODEL
    ),
    "kubectl set env deployment/{deployment} NO_PROXY={provider_host}": _variable("NO_PROXY", "127.0.0.1"),
    "kubectl scale deployment/{deployment} --replicas=3": (
        lambda before, after: (before["replicas"], after["replicas"]) == (2, 3)
    ),
    "kubectl scale deployment/{deployment} --replicas=$(( "
    "($(kubectl get deployment/{deployment} -o jsonpath='{.spec.replicas}') + 1) / 2 ))": (
        lambda before, after: (before["replicas"], after["replicas"]) == (2, 1)
    ),
}
"""What changes the Deployment."""
RESOLVER = "kubectl --context {context} -n kube-system rollout restart deployment/coredns"
WHOLE = 30
"""kubectl 1.30 is the first that knows all that is in the Deployment here (`preStop.sleep`)."""
ELSEWHERE = {COPIED, RESOLVER}
"""What changes something else."""


def test_each_command_of_each_page_is_tried_here() -> None:
    """A new one needs a row that says what it must do; a row without a command is a leftover."""
    assert COMMANDS.keys() == {*SEEN, *CHANGES, *ELSEWHERE}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    last = folder / "last.log"
    last.write_text("2026-11-22T13:53:04.040454Z stderr F FATAL ERROR: JavaScript heap out of memory\n")
    with World(folder / "world") as running:
        running.plane.serve_logs([PodLog(running.log, previous=last)])
        running.plane.apply(around(running))
        running.plane.wait_for_rollout("kube-system", "coredns", deadline=60)
        put_back(running)
        settings = running.config / "production.toml"
        settings.write_text(f"{settings.read_text()}\n[traffic]\nwindow = 15.0\n")
        running.prometheus.wait_for('mistral_requests_total{job="chat",pod!=""} offset 16s')  # of the pods, known last
        yield running


@pytest.fixture(scope="module")
def shell(world: World, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return opened(world, tmp_path_factory.mktemp("shell"))


@pytest.fixture
def changing(world: World) -> Iterator[None]:
    """Puts the Deployment back."""
    yield
    put_back(world)


def put_back(world: World) -> None:
    """Make the Deployment what these tests begin with, and wait until the pods of another are gone."""
    world.plane.admin.patch(DEPLOYMENT, deployment(world))
    wanted = world.plane.wait_for_rollout("chat", "chat", deadline=60)["spec"]["replicas"]
    _eventually(lambda: len(world.plane.admin.get("/api/v1/namespaces/chat/pods")["items"]) == wanted)


def _eventually(true: Callable[[], bool], within: float = 30.0) -> None:
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


@pytest.mark.parametrize("command", [command for command in SEEN if command != CERTIFICATE])
def test_what_is_looked_at_is_seen(command: str, shell: Shell) -> None:
    """It ends well and prints what its page is after; nowhere is the key."""
    done = shell.typed(command)
    printed = (done.stdout + done.stderr).strip()
    none = (0, 1) if "grep -c" in command else (0,)  # it counts nought, and calls that a failure
    assert done.returncode in none, printed
    assert re.search(SEEN[command], printed, re.MULTILINE), printed
    assert shell.world.key not in printed


FAULTY = [
    (STATUS, "401-key", "^401$"),
    (CHAT % "model", "403", r"403 Forbidden(?s:.*)1910"),
    (CHAT % "model", "429", r"(?s)x-ratelimit-limit-req-minute: \d+.*x-ratelimit-remaining-req-minute: 0"),
    (CHAT % "model", "429-tokens", r"(?s)x-ratelimit-limit-tokens-minute: \d+.*x-ratelimit-remaining-tokens-minute: 0"),
    (CHAT % "model", "429-never", r"x-ratelimit-limit-req-minute: 0\b"),
    (CHAT % "model", "429-capacity", r"(?s)429.*3505"),
    (CHAT % "model", "500", r"(?s)500 Internal.*mistral-correlation-id: \S+"),
    (CHAT % "fallback_model", "503", "503 Service Unavailable"),
]


@pytest.mark.parametrize(("command", "fault", "says"), FAULTY)
def test_a_fault_of_the_provider_shows_as_its_page_says(command: str, fault: str, says: str, shell: Shell) -> None:
    """By the status, the code or the header that the page names."""
    struck = replace(shell, names=shell.names | {"provider_url": f"{shell.world.provider}/fault-{fault}"})
    done = struck.typed(command)
    assert done.returncode == 0, done.stderr
    assert re.search(says, done.stdout, re.MULTILINE | re.IGNORECASE), done.stdout


def test_another_key_is_told_from_the_right_one(shell: Shell) -> None:
    """200: it is known. 401: it is not."""
    assert shell.typed(STATUS, key="0" * 32).stdout == "401\n"


def test_who_answers_is_seen_by_the_certificate(shell: Shell, tmp_path: Path) -> None:
    """Of a provider that speaks TLS."""
    with program(2, "--port", "0", "--tls", str(tmp_path / "tls"), "--name", "localhost", "--proxy-port", "0") as tls:
        port = tls.lines[0].rpartition(":")[2].rstrip("/")
        overlay = {"provider": {"base_url": f"https://localhost:{port}"}}
        environment = load("production", shell.world.config, overlay=overlay, variables={})
        done = replace(shell, names=names(environment)).typed(CERTIFICATE)
    assert done.returncode == 0, done.stderr
    assert re.search(SEEN[CERTIFICATE], done.stdout), done.stdout


@pytest.mark.usefixtures("changing")
@pytest.mark.parametrize("command", CHANGES)
def test_what_changes_the_deployment_changes_it_as_it_says(command: str, shell: Shell) -> None:
    """That and nothing else, with the rights of whoever is on call."""
    if "rollout undo" in command and minor() < WHOLE:
        pytest.skip(
            f"kubectl 1.{minor()} leaves out what it does not know of a pod: it cannot undo. Install a newer one"
        )
    before = shell.world.plane.admin.get(DEPLOYMENT)["spec"]
    done = shell.typed(command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("deployment.apps/chat ")
    after = shell.world.plane.admin.get(DEPLOYMENT)["spec"]
    assert CHANGES[command](before, after), done.stdout


def test_the_key_of_the_store_is_copied_to_the_pods(shell: Shell) -> None:
    """Into the Secret that the command before it names, which the settings need not tell."""
    told = json.loads(shell.typed(SECRET).stdout)
    there = replace(shell, names=shell.names | {"secret": told["name"], "secret_key": told["key"]})
    key = "N3" * 16
    try:
        done = there.typed(COPIED, key=key)
        assert (done.returncode, done.stdout) == (0, "secret/mistral configured\n"), done.stderr
        found = shell.world.plane.admin.get("/api/v1/namespaces/chat/secrets/mistral")["data"]
        assert {name: base64.b64decode(value).decode() for name, value in found.items()} == {told["key"]: key}
        assert key not in done.stderr
    finally:
        shell.world.keep("chat", shell.world.key)


def test_the_cluster_s_resolver_is_restarted(shell: Shell) -> None:
    """Where whoever is on call may do that."""
    done = shell.typed(RESOLVER)
    assert (done.returncode, done.stdout) == (0, "deployment.apps/coredns restarted\n"), done.stderr


def test_a_command_that_may_not_be_done_is_no_success(shell: Shell) -> None:
    """What is asserted of each command here is not so by itself: a reader cannot restart anything."""
    reader = shell.world.plane.kubeconfig("reader", context=CONTEXT)
    done = replace(shell, names=shell.names | {"kubeconfig": str(reader)}).typed(RESOLVER)
    assert (done.returncode, done.stdout) == (1, "")
    assert "forbidden" in done.stderr
