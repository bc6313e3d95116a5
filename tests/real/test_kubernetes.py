"""The control plane behaves as a real one, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.real.control_plane.programs import made_once
from tests.real.kubernetes import ApiError, ControlPlane, PartMissing, PodLog, RolloutError, StartError, binaries

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SECRETS = "/api/v1/namespaces/default/secrets"

# What `kill -9` is tried on: it tells what it started, and then only waits.
PARENT = """
import json, pathlib, sys, time
from tests.real.kubernetes import ControlPlane
with ControlPlane(pathlib.Path(sys.argv[1])) as plane:
    print(json.dumps([plane.process_group, list(plane.ports.values())]), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def installed() -> None:
    """The programs are there or can be built; a pipeline must have them."""
    try:
        binaries()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def plane(installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One control plane for the tests that only talk to it; each takes names of its own."""
    users = {"on-call": ["chat-team"]}
    with ControlPlane(tmp_path_factory.mktemp("kubernetes"), users=users, audit=True) as plane:
        yield plane


def deployment(name: str, image: str = "registry.example/chat:1", **spec: object) -> dict[str, object]:
    """A Deployment of two pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "chat", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def reader_may_read(*rules: tuple[str, str]) -> list[dict[str, object]]:
    """The Role of the reader with (API group, resource) rules, and its RoleBinding."""
    api = "rbac.authorization.k8s.io"
    reads = [{"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]} for group, resource in rules]
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": {"name": "reads"}, "rules": reads},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader-reads"},
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "reads"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": "reader"}],
        },
    ]


def status_of(plane: ControlPlane, user: str, path: str) -> int:
    """The HTTP status that a user gets for reading a path."""
    try:
        plane.client(user).get(path)
    except ApiError as error:
        return error.status
    return 200


def eventually(claim: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether the claim comes true in time; RBAC and the end of processes take a moment."""
    end = time.monotonic() + seconds
    while not (holds := claim()) and time.monotonic() < end:
        time.sleep(0.05)
    return holds


def listening(port: int) -> bool:
    """Whether anybody accepts connections at a port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def running(group: int) -> bool:
    """Whether a process group has a process that nobody ended (one that only waits to be reaped does not count)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, process_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended while we looked
            continue
        if int(process_group) == group and state not in "ZX":
            return True
    return False


def nothing_is_left(group: int, ports: list[int]) -> bool:
    """Whether no process of the group runs and no port is served."""
    return eventually(lambda: not running(group) and not any(map(listening, ports)))


@pytest.mark.real
def test_the_api_is_ready_and_says_its_version(plane: ControlPlane) -> None:
    """The API server answers as Kubernetes 1.37."""
    assert plane.admin.text("/readyz") == "ok"
    assert plane.admin.get("/version")["gitVersion"].startswith("v1.37.")


@pytest.mark.real
def test_a_deployment_rolls_out(plane: ControlPlane) -> None:
    """Two pods become available, and again after a new image."""
    plane.apply([deployment("rolls-out")])
    assert plane.wait_for_rollout("default", "rolls-out")["status"]["availableReplicas"] == 2
    plane.apply([deployment("rolls-out", "registry.example/chat:2")])
    plane.wait_for_rollout("default", "rolls-out")
    pods = plane.admin.get("/api/v1/namespaces/default/pods", labelSelector="app=rolls-out")["items"]
    new = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert [pod["spec"]["containers"][0]["image"] for pod in new] == ["registry.example/chat:2"] * 2


@pytest.mark.real
def test_a_rollout_that_cannot_complete_says_what_it_lacks(plane: ControlPlane) -> None:
    """A Deployment whose pods are not available long enough ends in an error with the count."""
    plane.apply([deployment("never-available", minReadySeconds=60)])
    with pytest.raises(RolloutError, match="0 of 2 pods are available"):
        plane.wait_for_rollout("default", "never-available", deadline=10)


@pytest.mark.real
def test_the_reader_may_read_what_a_role_allows(plane: ControlPlane) -> None:
    """Nothing before, both with the Role, and no secrets once the Role lacks them."""
    assert [status_of(plane, "reader", path) for path in (DEPLOYMENTS, SECRETS)] == [403, 403]
    plane.apply(reader_may_read(("apps", "deployments"), ("", "secrets")))
    assert eventually(lambda: [status_of(plane, "reader", path) for path in (DEPLOYMENTS, SECRETS)] == [200, 200])
    plane.apply(reader_may_read(("apps", "deployments")))
    assert eventually(lambda: [status_of(plane, "reader", path) for path in (DEPLOYMENTS, SECRETS)] == [200, 403])


@pytest.mark.real
def test_objects_are_patched_and_deleted_by_path(plane: ControlPlane) -> None:
    """A status that is patched stays, and an object that is deleted is gone."""
    plane.apply([deployment("patched")])
    plane.wait_for_rollout("default", "patched")
    pod = plane.admin.get("/api/v1/namespaces/default/pods", labelSelector="app=patched")["items"][0]
    path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}"
    state = {"name": "chat", "image": "chat:1", "imageID": "sha256:0", "ready": False, "restartCount": 7}
    plane.admin.patch(f"{path}/status", {"status": {"containerStatuses": [state]}})
    assert plane.admin.get(path)["status"]["containerStatuses"][0]["restartCount"] == 7
    plane.admin.delete(f"{DEPLOYMENTS}/patched")
    assert eventually(lambda: status_of(plane, "admin", path) == 404)


@pytest.mark.real
def test_pods_show_the_log_file_that_is_theirs(plane: ControlPlane, tmp_path: Path) -> None:
    """The log of a pod is the file set for it, and can be set anew."""
    plane.apply([deployment("logs")])
    plane.wait_for_rollout("default", "logs")
    pods = plane.admin.get("/api/v1/namespaces/default/pods", labelSelector="app=logs")["items"]
    names = [pod["metadata"]["name"] for pod in pods]
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_text("2026-11-22T13:53:04.040454Z stdout F first\n")
    second.write_text("2026-11-22T13:53:04.040454Z stderr F second\n")
    plane.serve_logs([PodLog(first, pods=[names[0]]), PodLog(second, namespaces=["default"])])
    assert [plane.admin.text(f"/api/v1/namespaces/default/pods/{name}/log") for name in names] == [
        "first\n",
        "second\n",
    ]


@pytest.mark.real
@pytest.mark.skipif(
    shutil.which("kubectl") is None,
    reason="kubectl is not on PATH: install it, at https://kubernetes.io/docs/tasks/tools/",
)
def test_a_kubeconfig_is_of_its_user_context_and_namespace(plane: ControlPlane) -> None:
    """kubectl meets the control plane as the user that the file is for."""
    path = plane.kubeconfig("on-call", context="staging", namespace="chat")

    def kubectl(*arguments: str) -> str:
        command = ["kubectl", f"--kubeconfig={path}", "--context=staging", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    who = json.loads(kubectl("auth", "whoami", "--output=json"))["status"]["userInfo"]
    assert (who["username"], "chat-team" in who["groups"]) == ("on-call", True)
    assert kubectl("config", "view", "--minify", "--output=jsonpath={..namespace}") == "chat"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.real
def test_the_audit_log_holds_who_asked_for_what(plane: ControlPlane) -> None:
    """A refused request is a line with user, verb, resource and status."""
    status_of(plane, "on-call", "/api/v1/namespaces/default/configmaps")

    def seen() -> bool:
        return ("on-call", "list", "configmaps", 403) in [
            (event["user"]["username"], event["verb"], event["objectRef"]["resource"], event["responseStatus"]["code"])
            for event in plane.audited()
            if "objectRef" in event and "responseStatus" in event
        ]

    assert eventually(seen)


@pytest.mark.real
def test_nothing_is_left_after_an_error_in_the_block(installed: None, tmp_path: Path) -> None:
    """Processes and ports are gone when the block is left, by an error too."""
    plane = ControlPlane(tmp_path / "plane")

    def use_it_and_fail() -> None:
        with plane:
            assert running(plane.process_group)
            assert all(map(listening, plane.ports.values()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use_it_and_fail()
    assert not running(plane.process_group)
    assert not any(map(listening, plane.ports.values()))


@pytest.mark.real
def test_nothing_is_left_after_the_parent_is_killed(installed: None, tmp_path: Path) -> None:
    """SIGKILL to the process that started the control plane ends all of it."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tmp_path / "plane"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            group, ports = json.loads(parent.stdout.readline())
            assert running(group)
            assert all(map(listening, ports))
        finally:
            parent.send_signal(signal.SIGKILL)
    assert nothing_is_left(group, ports)


@pytest.mark.real
def test_a_part_that_fails_is_named_with_its_last_words(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the program and shows the end of its log, and what had started is ended."""
    assets = tmp_path / "assets"
    programs = binaries()
    assets.mkdir()
    for program in (
        programs.etcd,
        programs.kube_controller_manager,
        programs.kube_scheduler,
        programs.kwok,
        programs.stages,
    ):
        (assets / program.name).symlink_to(program)
    (assets / "kube-apiserver").write_text("#!/bin/sh\necho out of luck\nexit 3\n")
    (assets / "kube-apiserver").chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    plane = ControlPlane(tmp_path / "plane")
    with pytest.raises(StartError, match=r"(?s)kube-apiserver ended with 3 before it was ready.*out of luck"):
        plane.__enter__()
    assert nothing_is_left(plane.process_group, list(plane.ports.values()))


@pytest.mark.real
def test_a_folder_in_use_is_refused(installed: None, tmp_path: Path) -> None:
    """A store and keys of another control plane are never mixed in."""
    (tmp_path / "etcd").mkdir()
    with pytest.raises(FileExistsError, match="is not empty"):
        ControlPlane(tmp_path).__enter__()


def test_assets_without_a_program_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what is missing where, and the way out."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        PartMissing,
        match=r"lacks etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok.*unset KUBEBUILDER_ASSETS",
    ):
        binaries()


def test_without_go_the_message_says_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is built and no Go is there: the message names the version and the command."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        PartMissing, match=r"Install Go 1\.\d+ or newer and run `python -m tests\.real\.kubernetes build`"
    ):
        binaries()


def test_a_folder_is_made_once_by_many_at_a_time(tmp_path: Path) -> None:
    """Those who come while it is made wait for it, and find it whole."""
    makers: list[Path] = []

    def make(into: Path) -> None:
        makers.append(into)
        time.sleep(0.2)
        (into / "program").write_text("whole")

    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append((made_once(tmp_path / "built", make) / "program").read_text()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(makers), found) == (1, ["whole"] * 4)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half a folder is never found by the next one who looks."""

    def make(into: Path) -> None:
        (into / "program").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        made_once(tmp_path / "built", make)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
