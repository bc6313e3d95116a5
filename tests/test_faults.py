"""Every look times every fault: whatever a peer does, a run ends in time and in little memory, and is never GO.

Each row is a whole run, as a user would start it, against a world in which a peer has a fault. Two peers have it at
the same time where no look asks both: what was asked of each is judged by itself. The record of a drill is a source
like the peers, and has faults of its own. Without a fault the same run is GO, or none of this would tell anything.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.observation import OBSERVATIONS, digest
from fixtures.sandbox.peer import PEER_FAULTS
from fixtures.sandbox.world import World, started
from tests import warm
from tests.environments import ROOT, environments, recorded

PHASES = {
    ("provider", "prometheus"): ("preflight",),
    ("service",): ("preflight", "postdeploy"),
    ("kubernetes",): ("preflight", "postdeploy"),
}
ROWS = [(peers, fault, phase) for peers, phases in PHASES.items() for fault in PEER_FAULTS for phase in phases]

REFUSALS = frozenset({"401", "403", "404", "429", "500"})
NO_REPORT = frozenset({"html", "half-json"})
ANSWERS = {
    "provider": {"401", "403"},
    "service": REFUSALS | NO_REPORT,
    "kubernetes": frozenset[str](),
    "prometheus": frozenset[str](),
}
"""Faults that are an answer to judge: the key is refused, users get an error. All others leave what is asked unseen."""

INDEPENDENT = {
    # The variables of the Deployment name the environment, and an answer that is no report contradicts nothing.
    # INF-001 fails for it.
    "ENV-001": {"404", *NO_REPORT},
    # The kubelet looks at the status alone, and that is 200.
    "INF-002": NO_REPORT,
    # What is asked is whether the answer of the path reports on Mistral. An error and a page report on nothing.
    # INF-002 fails for an error.
    "INF-004": REFUSALS | NO_REPORT,
    # The log is the cluster's, and holds no error whatever the service answers.
    "POS-006": frozenset(PEER_FAULTS),
    # A service that fails has met the message that its log is searched for.
    "POS-007": {"500"},
}
"""Checks that hold although the service, which they looked at, has this fault, and honestly so."""

BEGUN = {"stream_answer": {"huge", "drip"}}
"""What a stream that has begun and does not end well tells: users see it, so it is an answer, and a bad one."""
SAYS_ITSELF = {"service": {"sent_message", "service_logs"}}
"""What could not be asked of this peer stands in what they saw, since another one can still be asked."""

REASONS = {"unreachable", "timeout", "unauthenticated", "denied", "quota", "no_data", "malformed"}
"""Why a look may not see its peer. That the suite itself broke is none of them."""

DRILLS = frozenset(f"RES-{number:03}" for number in range(1, 13))
"""The checks that a record is read for. To find it, the cluster is asked what is deployed."""

BRIEF = {"health": {"deadline": 1.0}, "chat": {"deadline": 2.0}}
"""Seconds, so that a fault which gives nothing is soon over."""
PATIENT = {"health": {"deadline": 10.0}}
"""Where a peer answers, a busy machine must not make a hanging one of it."""
SILENT = frozenset({"hang", "drip"})
"""Faults that last as long as anybody waits."""
STUB = ["sh", "-c", "echo 'Ran 1 test in 0.001s'"]
"""Stands for the service's own tests, which are not asked for here."""

OVERHEAD = 1.0
"""Seconds that a look may take beyond its deadline: a thread must be told, on a machine that has other work."""
START = 30.0
"""Seconds for all that is not waiting, on a machine that has a core for it; 3 s where it has one alone."""
WAITING = 25.0
"""Seconds that a peer which gives nothing may cost: the secrets, then a look that stands on another."""
MEMORY = 400_000_000
"""Bytes. An answer of `huge` is 100 MB, and several looks read one at the same time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One finished run."""

    code: int
    printed: str
    report: dict[str, Any]
    wall: float
    """Seconds."""
    resident: int
    """The most bytes of memory that one of its processes had at once."""
    addresses: dict[str, str]

    def told(self, status: str) -> dict[str, dict[str, Any]]:
        """The findings of this status."""
        return {row["id"]: row for row in self.report["findings"] if row["status"] == status}

    def looked_at(self, peer: str) -> dict[str, dict[str, Any]]:
        """The observations that asked the peer; a Secret by reference is read from the cluster."""
        marks = (self.addresses[peer], "k8s://") if peer == "kubernetes" else (self.addresses[peer],)
        rows = self.report["observations"]
        return {row["name"]: row for row in rows if any(mark in row["source"] for mark in marks)}

    def standing_on(self, names: set[str]) -> dict[str, dict[str, Any]]:
        """The findings whose evidence these observations are."""
        return {
            finding["id"]: finding
            for finding in self.report["findings"]
            if names & {Path(path).stem for path in finding["evidence"]}
        }


def _untouched(config: Path, record: Path) -> None:
    """Leave the settings and the record of the drill as they are."""


def _run(
    peers: tuple[str, ...],
    fault: str,
    phase: str,
    folder: Path,
    harm: Callable[[Path, Path], None] = _untouched,
) -> Outcome:
    """A run in which these peers have this fault, and the settings and the record came to this harm."""
    world = World()
    for peer in peers:
        world.peers[peer].fault = fault
    world.settings = {"service": BRIEF if fault in SILENT else PATIENT, "repository": {"test_command": STUB}}
    with started(world, folder / "world") as running:
        config = environments(folder / "environments", running.settings, "faulty")
        harm(config / "faulty.toml", recorded(config, world.repository.revision, "faulty"))
        arguments = ["-m", phase, "--env", "faulty", f"--config={config}", "--run-dir", str(folder / "run")]
        begun = time.monotonic()
        done = warm.ended(arguments, timeout=120)
        wall = time.monotonic() - begun
        addresses = running.urls
    report = json.loads((folder / "run" / "report.json").read_text())
    return Outcome(done.code, done.printed, report, wall, done.resident, addresses)


@pytest.fixture(scope="module", autouse=True)
def _observations() -> None:
    """Load every observation, to know its deadline."""
    for file in (ROOT / "fixtures" / "observations").glob("*.py"):
        importlib.import_module(f"fixtures.observations.{file.stem}")


@pytest.mark.parametrize("phase", ["preflight", "postdeploy"])
def test_without_a_fault_it_is_a_go(phase: str, tmp_path: Path) -> None:
    """The world, the settings and the record that the faults below are put into: whatever is not GO is their doing."""
    run = _run((), "", phase, tmp_path)
    assert (run.code, run.report["verdict"], run.report["exit_code"]) == (0, "GO", 0), run.printed
    asked = {row["id"] for row in run.report["findings"]}
    assert run.told("passed").keys() == asked
    assert asked & DRILLS == (DRILLS if phase == "preflight" else set())
    assert 0 < run.resident < MEMORY


@pytest.mark.parametrize(("peers", "fault", "phase"), ROWS, ids=["-".join((*row[0], *row[1:])) for row in ROWS])
def test_a_peer_with_a_fault_passes_nothing(peers: tuple[str, ...], fault: str, phase: str, tmp_path: Path) -> None:
    """What was asked of it is unseen with a reason, or an answer that fails a check; and all of it is bounded."""
    run = _run(peers, fault, phase, tmp_path)
    verdict = run.report["verdict"], run.report["exit_code"]
    assert run.code in {1, 10}, run.printed
    assert verdict == ("NO-GO", run.code), run.printed
    assert "Traceback" not in run.printed
    assert "is not there" not in run.printed  # a look whose evidence never came
    for peer in peers:
        _judged(run, peer, fault, phase)
    if phase == "preflight":
        assert run.told("unverified" if "kubernetes" in peers else "passed").keys() >= DRILLS, run.printed
    assert _late(run) == {}
    assert run.wall < START * _crowd() + (WAITING if fault in SILENT else 0)
    assert 0 < run.resident < MEMORY


def _crowd() -> float:
    """How many processes want each core of this machine just now, where more than one does."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _judged(run: Outcome, peer: str, fault: str, phase: str) -> None:
    """Nothing that was asked of this peer was made into a pass."""
    looks = run.looked_at(peer)
    assert looks, f"nothing asked {peer}"
    findings = run.standing_on(set(looks))
    looks = {name: row for name, row in looks.items() if name not in SAYS_ITSELF.get(peer, set())}
    seen = {name for name, row in looks.items() if row["seen"]}
    begun = {name for name in looks if fault in BEGUN.get(name, ())}
    assert seen == (set(looks) if fault in ANSWERS[peer] else begun)
    assert {row["reason"] for name, row in looks.items() if name not in seen} <= REASONS
    assert findings
    holding = {id_ for id_, finding in findings.items() if finding["status"] not in {"failed", "unverified"}}
    assert holding == _independent(peer, fault, phase), run.printed


def _independent(peer: str, fault: str, phase: str) -> set[str]:
    if peer != "service":
        return set()
    of_phase = {id_ for id_ in INDEPENDENT if id_.startswith("POS-") == (phase == "postdeploy")}
    return {id_ for id_ in of_phase if fault in INDEPENDENT[id_]}


def _late(run: Outcome) -> dict[str, float]:
    """Name to seconds of each look that outlasted its deadline."""
    return {
        row["name"]: row["duration"]
        for row in run.report["observations"]
        if row["duration"] > OBSERVATIONS[row["name"]].deadline + OVERHEAD
    }


# The record of a drill


def _missing(config: Path, record: Path) -> None:
    record.unlink()


def _a_folder(config: Path, record: Path) -> None:
    record.unlink()
    record.mkdir()


def _half(config: Path, record: Path) -> None:
    record.write_bytes(record.read_bytes()[: record.stat().st_size // 2])


def _padded(config: Path, record: Path) -> None:
    """To 50 MB; what it says, and the hash of that, are as they were."""
    with record.open("ab") as stream:
        stream.write(b" " * 50_000_000)


def _unsigned(config: Path, record: Path) -> None:
    """By somebody who knows how to put the hash right."""
    document = json.loads(record.read_text())
    document["signed_off"]["by"] = " "
    sealed = {key: value for key, value in document.items() if key != "sha256"}
    record.write_text(json.dumps({**sealed, "sha256": digest(sealed)}))


def _other_budgets(config: Path, record: Path) -> None:
    """The service promises more than when it was drilled."""
    text = config.read_text()
    assert text.count('"recovery" = 3.0') == 1
    config.write_text(text.replace('"recovery" = 3.0', '"recovery" = 2.0'))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_missing, "no_data"),
        (_a_folder, "malformed"),
        (_half, "malformed"),
        (_padded, "malformed"),
        (_unsigned, "malformed"),
        (_other_budgets, "stale"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_record_with_a_fault_passes_nothing(harm: Callable[[Path, Path], None], reason: str, tmp_path: Path) -> None:
    """All that is drilled is unseen for this one reason, and nothing else is: it alone stands in the way of GO."""
    run = _run((), "", "preflight", tmp_path, harm)
    assert (run.code, run.report["verdict"], run.report["exit_code"]) == (10, "NO-GO", 10), run.printed
    assert "Traceback" not in run.printed
    unseen = run.told("unverified")
    assert unseen.keys() == DRILLS, run.printed
    assert {row["reason"] for row in unseen.values()} == {reason}
    assert run.told("passed").keys() == {row["id"] for row in run.report["findings"]} - DRILLS
    assert 0 < run.resident < MEMORY
