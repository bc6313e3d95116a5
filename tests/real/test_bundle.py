"""An incident pack of the real world: real pods' logs, real metrics and alerts, read with production's own identity."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from reports.__main__ import main as command
from tests.real.staging import ROOT
from tests.real.world import World

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("world")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world, with Mistral refusing the key for a while, which an alert of the service's is about."""
    with World(tmp_path_factory.mktemp("bundle") / "world", audit=True) as running:
        running.fault("401")
        running.prometheus.wait_for('ALERTS{alertstate="firing"}')
        running.prometheus.wait_for("sum(rate(mistral_errors_total[5m])) > 0")
        yield running


@pytest.fixture(scope="module")
def pack(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of the pack of a triage of that world."""
    folder = tmp_path_factory.mktemp("run") / "night"
    asked = [sys.executable, "-m", "pytest", "-m", "triage", *world.arguments, "--bundle", f"--run-dir={folder}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert "Traceback" not in done.stdout + done.stderr
    assert command(["verify", str(folder / "incident-pack.zip")]) == 0, done.stdout
    with zipfile.ZipFile(folder / "incident-pack.zip") as found:
        return {name: found.read(name) for name in found.namelist()}


def _json(pack: dict[str, bytes], name: str) -> Any:
    return json.loads(pack[name])


def test_nothing_that_is_there_is_missing(pack: dict[str, bytes]) -> None:
    """Every source of a real world is had by an identity that may only read."""
    assert [row["what"] for row in _json(pack, "manifest.json")["missing"]] == []


def test_the_logs_of_the_real_pods_are_in_it_without_the_key(pack: dict[str, bytes], world: World) -> None:
    """Each pod's own, as the API server gives it, with what the service said of the fault."""
    logs = {path: data.decode() for path, data in pack.items() if path.startswith("logs/")}
    assert {path.split("/")[1] for path in logs} == set(world.pods("chat"))
    assert all('"status":503' in text for text in logs.values()), {path: text[-300:] for path, text in logs.items()}
    assert not [path for path, data in pack.items() if world.key.encode() in data]


def test_the_metrics_are_those_that_prometheus_has(pack: dict[str, bytes]) -> None:
    """Requests that came, failures of the key by their kind, and a chart of each."""
    rows = list(csv.DictReader(io.StringIO(pack["metrics/errors.csv"].decode())))
    assert any(float(row["auth"] or 0) > 0 for row in rows)
    requests = list(csv.DictReader(io.StringIO(pack["metrics/requests.csv"].decode())))
    assert max(float(row["requests"]) for row in requests) > 0
    assert {path for path in pack if path.endswith(".svg")} == {
        f"metrics/{name}.svg" for name in ("requests", "errors", "latency", "circuit")
    }


def test_the_timeline_has_rollouts_who_changed_what_the_key_and_the_alert(pack: dict[str, bytes]) -> None:
    """In the order of time, each with the moment that its source gives."""
    rows = _json(pack, "timeline.json")
    said = "\n".join(row["what"] for row in rows)
    for what in (
        "first rollout of revision 1",
        "first rollout of revision 2",
        "Deployment chat/chat: last changed by ",
        "Secret chat/mistral (now version ",
        "the key api-key of Secret vault/mistral was written (enabled)",
        "container chat started",
        "alert ",
        "this suite, triage",
    ):
        assert what in said, said
    moments = [datetime.fromisoformat(row["at"]) for row in rows]
    assert moments == sorted(moments)


def test_the_events_of_the_namespace_are_in_it(pack: dict[str, bytes]) -> None:
    """As the controllers of the real control plane noted them."""
    assert "ScalingReplicaSet" in {row["reason"] for row in _json(pack, "events.json")}


def test_the_drafts_name_the_cause_that_triage_confirmed(pack: dict[str, bytes]) -> None:
    """With the timeline of the pack in the postmortem."""
    postmortem = pack["drafts/postmortem.md"].decode()
    assert "Confirmed by what was answered: Mistral rejects the key" in postmortem
    assert "first rollout of revision 2" in postmortem


def test_the_pack_reads_only(pack: dict[str, bytes], world: World) -> None:
    """By the API server's own account of what production's reader asked for."""
    assert pack
    rows = world.plane.audited()
    asked = {(row["verb"], row["objectRef"]["resource"]) for row in rows if row["user"]["username"] == "reader"}
    assert ("list", "events") in asked
    assert {verb for verb, resource in asked if not resource.startswith("selfsubject")} <= {"get", "list"}
