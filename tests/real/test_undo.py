"""An undo on a real control plane: done as kubectl does it, refused by each guard, and what is left where it fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.changes import Changes
from fixtures.cluster import Cluster
from fixtures.drills.template_change import ANNOTATION
from fixtures.intent import Intent
from fixtures.lacks import of_rollout
from fixtures.observation import CannotObserve
from fixtures.permission import Permission
from fixtures.revisions import HISTORY
from fixtures.sandbox.world import World, started
from fixtures.settings import Environment, load
from fixtures.undo.doing import attempted
from fixtures.undo.evidence import Attempt, Undo
from fixtures.undo.seeing import seen
from fixtures.workload import REVISION
from tests.environments import ROOT, environments
from tests.real.kubernetes import ControlPlane

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("undo")]

GROUP = "rbac.authorization.k8s.io"
LABEL = "org.opencontainers.image.revision"
CAUSE = "kubernetes.io/change-cause"
NODE = "/api/v1/nodes/node-1"
IMAGES = [f"registry.example/chat@sha256:{digit * 64}" for digit in "0123456789"]
READS = [
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
]
CHANGES = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}
NOWHERE = {"nowhere": "true"}
"""Labels that no node has."""
NO_DEADLINE = 2**31 - 1
"""With as many seconds the controller keeps no account of progress (`HasProgressDeadline` of Kubernetes)."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that notes who asked for what."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with ControlPlane(folder / "plane", users={"undoer": []}, audit=True) as plane:
        yield plane


@dataclass(frozen=True, slots=True)
class Deployed:
    """The Deployment `chat` in a namespace of its own, and whoever undoes it."""

    plane: ControlPlane
    namespace: str
    folder: Path

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/chat"

    def now(self) -> dict[str, Any]:
        return self.plane.admin.get(self.path)

    def ship(self, image: str, *, complete: bool = True, **pods: Any) -> None:
        """Roll out another template, as somebody's pipeline would."""
        self.plane.apply([manifest(self.namespace, image, **pods)])
        if complete:
            self.plane.wait_for_rollout(self.namespace, "chat")
        else:
            eventually(lambda: self.image() == image and self.numbered(image))

    def image(self) -> str:
        return str(self.now()["spec"]["template"]["spec"]["containers"][0]["image"])

    def numbered(self, image: str) -> bool:
        """Whether the controller has made a revision of this image."""
        found = self.plane.admin.get(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets")["items"]
        return any(row["spec"]["template"]["spec"]["containers"][0]["image"] == image for row in found)

    def running(self) -> set[str]:
        """The images of the pods that are there to stay."""
        found = self.plane.admin.get(f"/api/v1/namespaces/{self.namespace}/pods")["items"]
        pods = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return {pod["spec"]["containers"][0]["image"] for pod in pods}

    def patches(self) -> int:
        """How often the undoer changed it, by the API server's own log."""
        rows = self.plane.audited()
        own = [row for row in rows if row["requestURI"].partition("?")[0] == self.path and row["verb"] == "patch"]
        return sum(row["user"]["username"] == "undoer" and row["responseStatus"]["code"] == 200 for row in own)

    def settings(self, **sections: Any) -> dict[str, Any]:
        kubernetes = {
            "kubeconfig": str(self.plane.kubeconfig("undoer", namespace=self.namespace)),
            "context": "real",
            "servers": [self.plane.server],
            "namespace": self.namespace,
            "deployment": "chat",
        }
        given = {"tier": "staging", "rollback": {"deadline": 30.0}, **sections}
        return {**given, "kubernetes": {**kubernetes, **sections.get("kubernetes", {})}}

    def environment(self, **sections: Any) -> Environment:
        folder = self.folder / f"environments-{len(list(self.folder.iterdir()))}"
        return load("staging", environments(folder, self.settings(**sections), name="staging"), variables={})

    def undo(self, revision: int | None, *, changes: bool = True, **sections: Any) -> Attempt:
        environment = self.environment(**sections)
        with contextlib.closing(Cluster(environment)) as cluster:
            noted = Changes(self.folder / "changes.jsonl", lambda row: row)
            return attempted(cluster, environment, Permission(changes), Intent(to_revision=revision), noted)

    def seen(self, attempt: Attempt) -> Undo:
        with contextlib.closing(Cluster(self.environment())) as cluster:
            return seen(cluster, self.now(), attempt, LABEL, "kubectl")


Deploy = Callable[..., Deployed]


def manifest(namespace: str, image: str, **pods: Any) -> dict[str, Any]:
    labels = {"app": "chat"}
    spec = {"containers": [{"name": "chat", "image": image, **pods.pop("container", {})}], **pods}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": namespace, "annotations": {CAUSE: f"ships {image[-4:]}"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


@pytest.fixture
def deploy(plane: ControlPlane, tmp_path: Path, request: pytest.FixtureRequest) -> Deploy:
    """Ships as many images as asked for, one after the other."""

    def make(count: int = 2, **first: Any) -> Deployed:
        namespace = f"n{abs(hash(request.node.nodeid)) % 10**9}"
        plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, *rights(namespace)])
        there = Deployed(plane, namespace, tmp_path)
        there.ship(IMAGES[1], **first)
        for image in IMAGES[2 : count + 1]:
            there.ship(image)
        return there

    return make


def rights(namespace: str, *, may_change: bool = True) -> list[dict[str, Any]]:
    metadata = {"name": "undoer", "namespace": namespace}
    own = CHANGES if may_change else {**CHANGES, "verbs": ["get"]}
    return [
        {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": metadata, "rules": [*READS, own]},
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "undoer"},
            "subjects": [{"apiGroup": GROUP, "kind": "User", "name": "undoer"}],
        },
    ]


def eventually(true: Callable[[], bool], within: float = 30.0) -> None:
    until = time.monotonic() + within
    while not true():
        assert time.monotonic() < until, f"not within {within:g} s"
        time.sleep(0.05)


# What is done


def test_the_earlier_revision_is_brought_back_and_seen(deploy: Deploy) -> None:
    """One patch, and when the attempt is over all pods are of the earlier revision."""
    there = deploy()
    attempt = there.undo(1)
    assert (attempt.outcome, attempt.changed, attempt.why) == ("complete", True, "")
    assert attempt.target is not None
    assert attempt.target.images == (IMAGES[1],)
    assert (there.running(), there.patches()) == ({IMAGES[1]}, 1)
    undo = there.seen(attempt)
    assert (undo.by, undo.earlier, undo.current.number, undo.current.before) == ("this run", True, 3, (1,))
    assert undo.undone is not None
    assert undo.undone.number == 2
    assert of_rollout(undo.workload) == []


def test_asked_again_nothing_is_changed_again(deploy: Deploy) -> None:
    """The revision is known by the number that it had, too; the second run only sees that it is there."""
    there = deploy()
    there.undo(1)
    again, by_new_number = there.undo(1), there.undo(3)
    assert [(attempt.outcome, attempt.changed) for attempt in (again, by_new_number)] == [("complete", False)] * 2
    assert there.patches() == 1
    assert there.seen(again).by == "somebody else"


def test_the_deployment_becomes_what_kubectl_would_make_of_it(deploy: Deploy) -> None:
    """Template and annotations are the same, to the last word; the one that tells of its cause is that of then."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: apt-get install kubernetes-client")
    there = deploy()
    admin = there.plane.kubeconfig("admin", namespace=there.namespace)
    command = ["kubectl", "--kubeconfig", str(admin), "rollout", "undo", "deployment/chat"]
    subprocess.run(command, check=True, capture_output=True)
    there.plane.wait_for_rollout(there.namespace, "chat")
    by_kubectl = there.now()
    assert by_kubectl["metadata"]["annotations"][CAUSE] == f"ships {IMAGES[1][-4:]}"
    there.undo(2)
    there.undo(1)
    ours = there.now()
    assert ours["spec"] == by_kubectl["spec"]
    for one in (ours, by_kubectl):
        one["metadata"]["annotations"].pop(REVISION)
    assert ours["metadata"]["annotations"] == by_kubectl["metadata"]["annotations"]


def test_an_undo_that_a_person_did_is_seen(deploy: Deploy) -> None:
    """Nothing was asked of the run: by the numbers of its revision it tells that the Deployment was gone back to."""
    there = deploy()
    assert there.seen(there.undo(None)).by == "nobody"
    there.ship(IMAGES[1])
    found = there.seen(there.undo(None))
    assert (found.by, found.earlier, found.undone and found.undone.number) == ("somebody else", True, 2)
    there.ship(IMAGES[2])
    assert there.seen(there.undo(None)).by == "nobody"
    assert there.patches() == 0


def test_an_undo_to_another_revision_than_the_one_before(deploy: Deploy) -> None:
    """Each revision that is kept can be gone back to."""
    there = deploy(3)
    assert there.undo(1).outcome == "complete"
    assert there.running() == {IMAGES[1]}


def test_a_rollout_that_goes_wrong_is_undone_in_the_middle(deploy: Deploy) -> None:
    """The rollout under way is the very one that is to be undone: nobody waits for its end."""
    there = deploy(1)
    there.ship(IMAGES[2], complete=False, nodeSelector=NOWHERE)
    attempt = there.undo(1)
    assert (attempt.outcome, there.running()) == ("complete", {IMAGES[1]}), attempt.why


def _given_up(there: Deployed) -> bool:
    rows = {row["type"]: row["status"] for row in there.now()["status"]["conditions"]}
    return rows.get("Progressing") == "False"


def test_a_rollout_that_got_stuck_is_undone_though_its_condition_stays(deploy: Deploy) -> None:
    """The controller's word on the rollout before outlives the change: it is not taken for one on the rollback.

    The deadline is set when the rollout is stuck already. Set before, the controller may lose its own note that the
    rollout began (its write meets a conflict), keep the word on the one before, and never give this one up.
    """
    there = deploy(1)
    _patched(strategy={"type": "Recreate", "rollingUpdate": None}, progressDeadlineSeconds=NO_DEADLINE)(there)
    there.ship(IMAGES[2], complete=False, nodeSelector=NOWHERE)
    eventually(lambda: "Progressing" not in {row["type"] for row in there.now()["status"]["conditions"]})
    _patched(progressDeadlineSeconds=1)(there)
    eventually(lambda: _given_up(there))
    _patched(progressDeadlineSeconds=600)(there)  # or the rollback may be given up too: it is counted in whole seconds
    attempt = there.undo(1)
    assert (attempt.outcome, there.running()) == ("complete", {IMAGES[1]}), attempt.why


def test_a_change_in_between_is_judged_anew(deploy: Deploy) -> None:
    """The Deployment is written to all the time, its template aside: the patch is made anew until it fits."""
    there, over = deploy(), threading.Event()

    def scribble() -> None:
        count = 0
        while not over.wait(0.02):
            count += 1
            there.plane.admin.patch(there.path, {"metadata": {"labels": {"count": str(count)}}})

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(scribble)
        try:
            attempt = there.undo(1)
        finally:
            over.set()
        writing.result()
    assert attempt.outcome in {"complete", "unknown"}
    assert there.patches() == (attempt.outcome == "complete")
    if attempt.failure is not None:
        assert (attempt.failure.reason, attempt.failure.message[:20]) == ("stale", "nothing was changed:")


def test_a_patch_that_does_not_fit_any_more_is_refused_in_the_words_of_the_sandbox(deploy: Deploy) -> None:
    """A test that does not hold is answered alike by both, so that the sandbox's stale patch is a real one."""
    there = deploy(1)
    environment = there.environment()
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": "1"}
    with contextlib.closing(Cluster(environment)) as cluster, pytest.raises(CannotObserve) as caught:
        cluster.patch(there.path, [test], resource="deployments.apps")
    assert caught.value.reason == "stale"
    assert "(422): the server rejected our request due to an error in our request" in caught.value.message


# What is refused


def _third_on_its_way(there: Deployed) -> None:
    there.ship(IMAGES[3], complete=False, nodeSelector=NOWHERE)


def _drilled(there: Deployed) -> None:
    there.plane.admin.patch(there.path, {"metadata": {"annotations": {ANNOTATION: "{}"}}})


def _patched(**spec: Any) -> Callable[[Deployed], None]:
    def act(there: Deployed) -> None:
        there.plane.admin.patch(there.path, {"spec": spec})

    return act


GUARDS: dict[str, tuple[int, Callable[[Deployed], Any], str, str]] = {
    "no-such-revision": (9, lambda there: None, "there is no revision 9; the cluster keeps revision 2", "history"),
    "shipped-last": (2, lambda there: None, "is the one that was shipped last", "rollout undo deployment/chat"),
    "paused": (1, _patched(paused=True), "it is paused", "rollout resume deployment/chat"),
    "scaled-to-nothing": (1, _patched(replicas=0), "it is scaled to no pod at all", "scale deployment/chat"),
    "another-rollout": (1, _third_on_its_way, "a rollout to revision 3", "rollout status deployment/chat"),
    "drilled": (1, _drilled, "it is pointed at a fault server", "rollout status deployment/chat"),
}


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_refuses_and_nothing_is_changed(deploy: Deploy, name: str) -> None:
    """Each says why and what to type next, and the API server has seen no change."""
    revision, act, why, onward = GUARDS[name]
    there = deploy()
    act(there)
    image = there.image()
    attempt = there.undo(revision)
    assert (attempt.outcome, attempt.changed) == ("refused", False), attempt
    assert why in attempt.why
    assert onward in attempt.onward
    assert (there.patches(), there.image()) == (0, image)


def test_a_revision_that_needs_what_is_gone_is_refused(deploy: Deploy, plane: ControlPlane) -> None:
    """Its Secret has no such key any more, then is gone: pods of it would not start."""
    reference = {"secretKeyRef": {"name": "greeting", "key": "text"}}
    there = deploy(container={"env": [{"name": "GREETING", "valueFrom": reference}]})
    metadata = {"name": "greeting", "namespace": there.namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    plane.apply([{**secret, "stringData": {"other": "hello"}}])
    assert "GREETING refers to the key text of the Secret greeting, which is not there" in there.undo(1).why
    plane.admin.delete(f"/api/v1/namespaces/{there.namespace}/secrets/greeting")
    assert there.undo(1).outcome == "refused"
    plane.apply([{**secret, "stringData": {"text": "hello"}}])
    assert there.undo(1).outcome == "complete"
    assert there.patches() == 1


def test_nothing_is_changed_without_leave(deploy: Deploy) -> None:
    """Without --allow-changes, and in production without its name."""
    there = deploy()
    assert there.undo(1, changes=False).outcome == "not allowed"
    unconfirmed = there.undo(1, tier="production")
    assert (unconfirmed.outcome, "--confirm staging" in unconfirmed.why) == ("not allowed", True)
    assert there.patches() == 0


def test_another_cluster_is_not_changed(deploy: Deploy) -> None:
    """The kubeconfig leads to a server that the settings do not list, or they list none."""
    there = deploy()
    elsewhere = there.undo(1, kubernetes={"servers": ["https://other.example:6443"]})
    assert (elsewhere.outcome, "is not staging's" in elsewhere.why) == ("refused", True)
    none = there.undo(1, kubernetes={"servers": []})
    assert none.failure is not None
    assert none.failure.reason == "not_configured"
    assert there.patches() == 0


def test_a_right_that_is_lacking_is_named(deploy: Deploy, plane: ControlPlane) -> None:
    """Nothing is changed, and the remedy is the command that gives the right."""
    there = deploy()
    plane.apply(rights(there.namespace, may_change=False))

    def refused() -> bool:
        attempt = there.undo(1)
        return attempt.failure is not None and attempt.failure.reason == "denied"

    plane.admin.patch(there.path, {"spec": {"paused": True}})  # until the right is gone, a guard is in the way
    eventually(lambda: not may_patch(there))
    plane.admin.patch(there.path, {"spec": {"paused": False}})
    assert refused()
    failure = there.undo(1).failure
    assert failure is not None
    assert "nothing was changed: " in failure.message
    assert "--verb=patch --resource=deployments.apps" in failure.remedy


def may_patch(there: Deployed) -> bool:
    return there.plane.allows(there.namespace, [{**CHANGES, "verbs": ["patch"]}], user="undoer")


# What is left where it does not end well


@pytest.fixture
def stuck(deploy: Deploy, plane: ControlPlane) -> Iterator[Deployed]:
    """Two images are shipped, and no node takes a pod of the first any more."""
    plane.admin.patch(NODE, {"metadata": {"labels": {"disk": "fast"}}})
    there = deploy(nodeSelector={"disk": "fast"})
    plane.admin.patch(NODE, {"metadata": {"labels": {"disk": None}}})
    yield there
    plane.admin.patch(NODE, {"metadata": {"labels": {"disk": None}}})


def test_a_rollback_that_is_late_says_what_is_left_and_what_to_type(stuck: Deployed) -> None:
    """The users still have the pods of before; which pod waits for what is told, and the next command."""
    attempt = stuck.undo(1, rollback={"deadline": 5.0})
    assert (attempt.outcome, attempt.changed) == ("late", True)
    assert "was not complete within 5 s: 1 of 2 pods are of the newest template" in attempt.why
    assert "node(s) didn't match Pod's node affinity/selector" in attempt.why
    assert attempt.onward.endswith(f"-n {stuck.namespace} rollout status deployment/chat")
    assert stuck.running() == {IMAGES[1], IMAGES[2]}
    assert {lack.what for lack in of_rollout(stuck.seen(attempt).workload)} >= {"pods of the new revision are missing"}


INTERVENTIONS: dict[str, tuple[Callable[[Deployed], Any], str, str]] = {
    "paused": (_patched(paused=True), "paused", "somebody paused it before the rollback was complete"),
    "superseded": (lambda there: there.ship(IMAGES[5], complete=False), "superseded", f"it rolls out {IMAGES[5]} now"),
    "deleted": (lambda there: there.plane.admin.delete(there.path), "deleted", "somebody deleted it"),
    "scaled-to-nothing": (_patched(replicas=0), "complete", ""),
    "unstuck": (
        lambda there: there.plane.admin.patch(NODE, {"metadata": {"labels": {"disk": "fast"}}}),
        "complete",
        "",
    ),
}


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_whatever_somebody_does_in_the_middle_is_told(stuck: Deployed, name: str) -> None:
    """The wait ends when what somebody did decides how it ends, and not at the deadline."""
    act, outcome, why = INTERVENTIONS[name]
    with ThreadPoolExecutor() as pool:
        undoing = pool.submit(stuck.undo, 1, rollback={"deadline": 60.0})
        eventually(lambda: stuck.image() == IMAGES[1])
        act(stuck)
        attempt = undoing.result(40)
    assert attempt.outcome == outcome, attempt
    assert why in attempt.why
    if name == "scaled-to-nothing":
        assert [lack.what for lack in of_rollout(stuck.seen(attempt).workload)] == ["is scaled to no pod at all"]


def test_a_right_that_is_taken_in_the_middle_leaves_no_doubt_of_what_was_done(
    stuck: Deployed, plane: ControlPlane
) -> None:
    """What became of the change cannot be seen any more: it is said that there was one."""
    with ThreadPoolExecutor() as pool:
        undoing = pool.submit(stuck.undo, 1, rollback={"deadline": 60.0})
        eventually(lambda: stuck.image() == IMAGES[1])
        plane.admin.delete(f"/apis/{GROUP}/v1/namespaces/{stuck.namespace}/rolebindings/undoer")
        attempt = undoing.result(40)
    assert attempt.failure is not None
    assert (attempt.outcome, attempt.failure.reason) == ("unknown", "denied")
    assert f"Deployment {stuck.namespace}/chat was changed to revision 1" in attempt.failure.message
    with pytest.raises(CannotObserve, match="what became of it cannot be told"):
        raise attempt.failure.error


# From the command line


def test_a_run_undoes_and_verifies(deploy: Deploy, tmp_path: Path) -> None:
    """`pytest -m rollback --allow-changes --to-revision 1`, and the same without leave before it."""
    there = deploy()
    with started(World(), tmp_path / "world") as running:
        settings = there.settings(service={"url": running.urls["service"]})
        config = environments(tmp_path / "environments", settings, name="staging")
        before = suite(config, tmp_path / "looking", "--to-revision", "1")
        assert (there.patches(), before["RBK-001"]["status"]) == (0, "failed")
        assert "changes were not allowed (--allow-changes)" in before["RBK-001"]["message"]
        after = suite(config, tmp_path / "undoing", "--to-revision", "1", "--allow-changes")
        assert {id_: after[id_]["status"] for id_ in ("RBK-001", "RBK-002", "RBK-003")} == dict.fromkeys(
            ("RBK-001", "RBK-002", "RBK-003"), "passed"
        )
    assert (there.patches(), there.running()) == (1, {IMAGES[1]})
    assert HISTORY not in there.now()["metadata"]["annotations"]


def suite(config: Path, run_dir: Path, *extra: str) -> dict[str, dict[str, Any]]:
    """The findings of a run, by id."""
    given = ["-m", "rollback", "--env", "staging", f"--config={config}", f"--run-dir={run_dir}", *extra]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", *given]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr
    return {row["id"]: row for row in json.loads((run_dir / "report.json").read_text())["findings"]}
