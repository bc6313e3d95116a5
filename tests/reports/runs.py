"""Runs made up for the tests: a journal and its evidence in a folder, as a real run leaves them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reports import journal
from reports.model import Entry, Offender, Result

STARTED, FINISHED = "2026-11-22T15:08:01.120Z", "2026-11-22T15:08:13.480Z"

PROBE_REMEDY = """Give each container a `readinessProbe` that calls its own `/ready`:

    containers:
      - name: chat
        readinessProbe:
          httpGet: {path: /ready, port: 8080}
          periodSeconds: 5

Then roll it out:

$ kubectl -n chat apply -f deploy/chat.yaml
$ kubectl -n chat rollout status deployment/chat"""

WAIVER = {
    "check": "SEC-005",
    "environment": "production",
    "reason": "The move to mistral-medium-3 is planned with the tenant; it needs their sign-off.",
    "ticket": "OPS-1412",
    "owner": "lea.moreau",
    "approver": "j.okafor",
    "expires": "2026-12-01",
}


def entry(id_: str, claim: str = "", *, area: str = "infra", phase: str = "preflight", **fields: Any) -> Entry:
    """A row of the catalogue; a blocker with a one-line remedy unless `fields` say otherwise."""
    given: dict[str, Any] = {"severity": "blocker", "remedy": "Mend it.", "waivable": True, "observations": ()}
    test = f"checks/{area}/subject.py::test_{id_.lower().replace('-', '_')}"
    return Entry(
        id=id_, claim=claim or f"The claim of {id_} holds.", area=area, phase=phase, test=test, **(given | fields)
    )


def header(catalogue: Iterable[Entry], **fields: Any) -> journal.Header:
    """The header of a preflight in production, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "phase": "preflight",
        "environment": {"name": "production", "sandbox": False, "config": ["environments/base.toml"]},
        "service": {"name": "chat", "image": None, "revision": None},
        "suite": {"version": "0.1.0", "revision": "fedb38a2c1"},
        "started": STARTED,
    }
    return journal.Header(catalogue=tuple(catalogue), **(given | fields))


def end(**fields: Any) -> journal.End:
    given: dict[str, Any] = {"finished": FINISHED, "pytest_status": 0}
    return journal.End(**(given | fields))


def written(
    folder: Path,
    head: journal.Header,
    results: Iterable[Result],
    ending: journal.End | None,
    *,
    not_run: Mapping[str, str] | None = None,
) -> Path:
    """A run's folder with its journal; killed in the middle where `ending` is None."""
    folder.mkdir(parents=True, exist_ok=True)
    book = journal.Journal(folder / journal.NAME)
    book.begin(head)
    for result in results:
        book.result(result)
    for id_, message in (not_run or {}).items():
        book.not_run(id_, message)
    if ending is None:
        book.close()
    else:
        book.end(ending)
    return folder


def observe(folder: Path, name: str, value: Any, *, sources: Iterable[str] = (), **unseen: str) -> str:
    """Write an evidence file; `unseen` gives reason, message and remedy of a look that failed. Its relative path."""
    given = {"reason": None, "message": "", "remedy": ""} | unseen
    canonical = json.dumps(
        [value, given["reason"], given["message"]], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    document = {
        "name": name,
        "seen": given["reason"] is None,
        "reason": given["reason"],
        "message": given["message"],
        "remedy": given["remedy"],
        "sources": list(sources),
        "at": "2026-11-22T15:08:01.220Z",
        "duration": 0.3127,
        "sha256": hashlib.sha256(canonical.encode()).hexdigest(),
        "value": value,
    }
    file = folder / "observations" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1), "utf-8")
    return f"observations/{name}.json"


ALERTS = ("api-down", "high-latency", "rate-limited", "auth-failures", "circuit-open")

CATALOGUE = (
    entry("SEC-001", "The key of this environment comes from a secret manager.", area="secrets"),
    entry("SEC-003", "The Mistral API accepts the key.", area="secrets", waivable=False),
    entry("SEC-005", "No configured model is about to retire.", area="secrets", severity="advisory"),
    entry("SEC-007", "The cluster's secret exists and equals the one in the store.", area="secrets"),
    entry("ENV-001", "The service runs as the environment asked for.", area="environments", waivable=False),
    entry("ENV-004", "Debugging is off in staging and production.", area="environments"),
    entry("COD-001", "The service's own tests pass.", area="code"),
    entry("COD-005", "Every call to Mistral handles its errors.", area="code"),
    entry("INF-001", "The health endpoint reports on Mistral.", area="infra"),
    entry(
        "INF-002",
        "Traffic reaches a container only after the container says that it is ready.",
        area="infra",
        remedy=PROBE_REMEDY,
    ),
    entry("INF-003", "Each container has a liveness probe.", area="infra"),
    entry("INF-005", "The service survives the loss of a pod or a node.", area="infra", severity="advisory"),
    entry("INF-009", "Each of the five alerts is defined, with its severity.", area="infra", parameters=ALERTS),
    entry("INF-015", "TLS is valid and stays so for 21 days.", area="infra", severity="advisory"),
    entry("DOC-001", "An incident runbook covers each error class.", area="docs"),
    entry("DOC-007", "The runbooks hold no placeholder and no dead link.", area="docs"),
)


def _workload() -> dict[str, Any]:
    containers = [
        {"name": "chat", "image": "ghcr.example/chat@sha256:4e5f1c", "readiness_probe": None},
        {"name": "proxy", "image": "envoyproxy/envoy:v1.31", "readiness_probe": None},
    ]
    return {"name": "chat", "namespace": "chat", "replicas": 2, "revision": "9f2c1e7", "containers": containers}


def mixed(folder: Path, **head: Any) -> Path:
    """A NO-GO that has everything: two failures, two that could not be verified, a waiver, one not run."""
    workload = observe(
        folder,
        "workload",
        _workload(),
        sources=["GET https://10.0.0.1:6443/apis/apps/v1/namespaces/chat/deployments/chat"],
    )
    models = observe(
        folder, "models", {"ids": ["mistral-large-2411"]}, sources=["GET https://api.mistral.ai/v1/models"]
    )
    rules = observe(folder, "alert_rules", {"groups": 2}, sources=["GET http://prometheus:9090/api/v1/rules"])
    denied = "may not get secrets in namespace chat"
    grant = """Let the identity that verifies read this one Secret:

    kubectl -n chat create role golive-secret --verb=get --resource=secrets --resource-name=mistral
    kubectl -n chat create rolebinding golive-secret --role=golive-secret --serviceaccount=ci:golive"""
    secret = observe(
        folder,
        "cluster_secret",
        None,
        sources=["GET https://10.0.0.1:6443/api/v1/namespaces/chat/secrets/mistral"],
        reason="denied",
        message=denied,
        remedy=grant,
    )
    results = [
        Result(id="SEC-001", status="passed", duration=0.01),
        Result(id="SEC-003", status="passed", evidence=(models,), duration=0.4),
        Result(
            id="SEC-005",
            status="waived",
            beneath="failed",
            message="1 configured model retires within 30 days",
            offenders=(Offender("mistral-large-2411", "provider.model", "retires 2026-12-10", "30 days or more"),),
            evidence=(models,),
            waiver=WAIVER,
        ),
        Result(id="SEC-007", status="unverified", reason="denied", message=denied, remedy=grant, evidence=(secret,)),
        Result(id="ENV-001", status="passed", evidence=(workload,)),
        Result(id="ENV-004", status="passed", evidence=(workload,)),
        Result(id="COD-001", status="passed", duration=7.2),
        Result(
            id="COD-005",
            status="failed",
            message="1 of 4 call sites handles no error",
            offenders=(
                Offender(
                    "client.chat.stream(...)", "src/stream.ts:48", "no try around it", "errors caught or passed on"
                ),
            ),
            remedy="Catch `SDKError` around the call and answer with the fallback.",
        ),
        Result(id="INF-001", status="passed"),
        Result(
            id="INF-002",
            status="failed",
            message="2 of 2 containers have no readiness probe",
            offenders=(
                Offender("chat", "deployment chat/chat", "no readinessProbe", "a probe of its own /ready"),
                Offender("proxy", "deployment chat/chat", "no readinessProbe", "a probe of its own /ready"),
            ),
            evidence=(workload,),
        ),
        Result(id="INF-003", status="passed", evidence=(workload,)),
        Result(
            id="INF-005",
            status="failed",
            message="no PodDisruptionBudget selects the pods",
            offenders=(Offender("deployment/chat", "namespace chat", "no PodDisruptionBudget", "one that allows 1"),),
            evidence=(workload,),
        ),
        *(
            Result(id="INF-009", status="passed", parameter=alert, evidence=(rules,))
            for alert in ALERTS
            if alert != "circuit-open"
        ),
        Result(
            id="INF-009",
            parameter="circuit-open",
            status="unverified",
            reason="no_data",
            message="mistral_circuit_breaker_state has no series: the rule could never fire",
            remedy="Export the breaker's state from the service, then ask again:\n\n"
            "    promtool query instant http://prometheus:9090 mistral_circuit_breaker_state",
            evidence=(rules,),
        ),
        Result(id="INF-015", status="not_applicable", message="the service has no public address"),
        Result(id="DOC-001", status="passed"),
    ]
    ending = end(
        pytest_status=1,
        masked={"total": 3, "by_kind": {"value": 2, "pattern": 1}},
        service={"image": "ghcr.example/chat@sha256:4e5f1c", "revision": "9f2c1e7"},
    )
    orphan = WAIVER | {
        "check": "INF-003",
        "ticket": "OPS-1377",
        "expires": "2027-01-31",
        "reason": "Not needed.",
    }
    top = header(CATALOGUE, **({"waivers": (WAIVER, orphan)} | head))
    return written(folder, top, results, ending, not_run={"DOC-007": "deselected by -k"})


def passed(**fields: Any) -> list[Result]:
    """Every check of CATALOGUE passes, for each of its parameters."""
    return [
        Result(id=row.id, status="passed", parameter=name, **fields)
        for row in CATALOGUE
        for name in row.parameters or ("",)
    ]


def clean(folder: Path, **head: Any) -> Path:
    """A GO: every check of the phase passes."""
    workload = observe(folder, "workload", _workload(), sources=["GET https://10.0.0.1:6443/apis/apps/v1/..."])
    return written(folder, header(CATALOGUE, **head), passed(evidence=(workload,), duration=0.02), end())


ROLLOUT_CATALOGUE = (
    entry("ROL-003", "Users of the canary meet no more errors than they may.", area="rollout", phase="rollout"),
    entry("ROL-004", "Users of the canary wait no longer than they may.", area="rollout", phase="rollout"),
)
ERRORS = (None, 0.001, 0.0015, 0.002, 0.0022, 0.004, 0.012, 0.031, 0.052, 0.074)
"""The error rate of a canary look by look: no data at first, then worse and worse."""


def looks(errors: Iterable[float | str | None] = ERRORS) -> list[dict[str, Any]]:
    """The lines of rounds.jsonl of a watch that a blocker ended, half a minute apart."""
    rows = []
    for number, rate in enumerate(errors, 1):
        status = "unverified" if rate is None else "failed" if rate == "off scale" or float(rate) > 0.05 else "passed"
        slow = None if rate is None else 2.0 + number / 4
        measured = {"canary: errors": rate, "canary: latency (p99)": slow, "stable: errors": 0.0011}
        bounds = {"errors": (0.05, "%"), "latency (p99)": (8.0, "s")}
        readings = [
            {
                "name": name,
                "value": value,
                "bound": bounds[name.split(": ")[1]][0],
                "unit": bounds[name.split(": ")[1]][1],
            }
            for name, value in (measured | {"stable: latency (p99)": 2.1}).items()
        ]
        failed = ["ROL-003"] if status == "failed" else []
        says = ["ROL-003: too many of its requests fail"] if failed else []
        at = f"2026-11-22T15:{8 + number // 2:02}:{number % 2 * 30:02}.120Z"
        rows.append(
            {
                "number": number,
                "at": at,
                "statuses": {"ROL-003": status, "ROL-004": "passed"},
                "failed": failed,
                "says": says,
                "readings": readings,
            }
        )
    return rows


def watched(folder: Path, rows: Iterable[Mapping[str, Any]] | None = None) -> Path:
    """A rollout that was watched, with these rounds; its canary failed at the end."""
    given = looks() if rows is None else rows
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rounds.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in given), "utf-8")
    results = [
        Result(id="ROL-003", status="failed", message="too many of its requests fail"),
        Result(id="ROL-004", status="passed"),
    ]
    head = header(ROLLOUT_CATALOGUE, phase="rollout", intent="step 10 %, watched for 600 s")
    return written(folder, head, results, end(pytest_status=1))


TRIAGE_CATALOGUE = (
    entry("TRI-001", "Mistral answers us.", area="triage", phase="triage"),
    entry("TRI-002", "Our service says that it is healthy.", area="triage", phase="triage"),
    entry("TRI-003", "Our calls fail no more often than they may.", area="triage", phase="triage"),
    entry("TRI-004", "Our logs hold no error.", area="triage", phase="triage"),
)

TRIAGE: dict[str, Any] = {
    "diagnosis": "key-rejected",
    "title": "Mistral rejects the key",
    "sure": "confirmed",
    "severity": "P1",
    "respond": "15 min",
    "why": "62 % of calls failed over the last 5 minutes (0.1 % in the hour before), and the fallback does not answer.",
    "public": "Our AI provider does not accept our requests at the moment.",
    "path": [
        {
            "question": "Does Mistral answer a call with our key and our model?",
            "answer": "No: it answers 401.",
            "evidence": "observations/mistral_reply.json",
        },
        {"question": "Is the circuit open?", "answer": "Yes.", "evidence": "observations/own_health.json"},
    ],
    "also": [
        {
            "diagnosis": "circuit-open",
            "title": "The circuit of our service is open",
            "sure": "likely",
            "runbook": "runbook/circuit-open.md",
            "public": "The assistant answers with a short text for a while.",
        }
    ],
    "actions": [
        {
            "says": "Copy the key of the store to the Secret that the pods read.",
            "command": 'printf %s "$MISTRAL_API_KEY" | kubectl --context production -n chat \\\n'
            "    create secret generic mistral --from-file=api-key=/dev/stdin --dry-run=client -o yaml \\\n"
            "    | kubectl --context production -n chat apply -f -",
        },
        {"says": "Restart the pods.", "command": "kubectl -n chat rollout restart deployment/chat"},
    ],
    "runbook": "runbook/key-rejected.md",
    "unasked": [
        {
            "what": "What do our logs say?",
            "reason": "denied",
            "message": "may not get pods/log in namespace chat",
            "remedy": "Let the identity that verifies read logs:\n\n"
            "    kubectl -n chat create role golive-logs --verb=get --resource=pods/log",
        }
    ],
    "before": [
        {
            "id": "SEC-003",
            "status": "waived",
            "says": "The Mistral API accepts the key.",
            "run": "20261122T1208-production-preflight",
        }
    ],
    "drafts": [
        {"what": "Slack", "file": "drafts/slack.md"},
        {"what": "Status page", "file": "drafts/status-page.md"},
        {"what": "Postmortem", "file": "drafts/postmortem.md"},
    ],
    "changed": [{"at": "2026-11-22T15:01:12Z", "what": "revision 7 of deployment/chat was rolled out"}],
}


def triaged(folder: Path, *, sandbox: bool = False, **changed: Any) -> Path:
    """A triage that found a rejected key, unless `changed` rows of the diagnosis say otherwise."""
    reply = observe(
        folder, "mistral_reply", {"status": 401}, sources=["POST https://api.mistral.ai/v1/chat/completions"]
    )
    health = observe(folder, "own_health", {"state": "degraded"}, sources=["GET https://chat.example.com/health"])
    denied = "may not get pods/log in namespace chat"
    results = [
        Result(id="TRI-001", status="failed", message="it answers 401 to our key", evidence=(reply,)),
        Result(id="TRI-002", status="failed", message="degraded: the circuit is open", evidence=(health,)),
        Result(id="TRI-003", status="passed"),
        Result(id="TRI-004", status="unverified", reason="denied", message=denied),
    ]
    environment = {
        "name": "sandbox" if sandbox else "production",
        "sandbox": sandbox,
        "config": ["environments/base.toml"],
    }
    head = header(TRIAGE_CATALOGUE, phase="triage", environment=environment)
    return written(folder, head, results, end(pytest_status=1, triage=TRIAGE | changed))
