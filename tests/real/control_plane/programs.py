"""The programs of the control plane: found, or built once from the Go modules beside this file, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent
# The folder of each Go module, and what it builds: program -> package.
PACKAGES = {
    "etcd": {"etcd": "go.etcd.io/etcd/server/v3"},
    "kwok": {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
    "kubernetes": {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
}
STAGES = ("node", "pod")
LINKER_FLAGS = "-s -w -X k8s.io/component-base/version.gitVersion={kubernetes}"
BUILD_COMMAND = "python -m tests.real.kubernetes build"

logger = logging.getLogger(__name__)


class PartMissing(RuntimeError):  # noqa: N818 - a state of the machine, not a fault
    """A real part is not on this machine; the message names the step that installs it."""


class BuildError(RuntimeError):
    """Go is there and could not build a program; the message ends with what it said."""


@dataclass(frozen=True)
class Binaries:
    """Paths of the programs, and the folder of the stages by which kwok lets nodes and pods become ready."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kwok: Path
    stages: Path


def binaries() -> Binaries:
    """The programs of `KUBEBUILDER_ASSETS` where that is set (kwok from there or PATH), else those built here.

    Raises PartMissing where a program or Go is not installed, and BuildError.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return _installed(Path(assets)) if assets else _built()


def _built() -> Binaries:
    folder = made_once(_cache_folder() / _recipe_hash(), _build)
    return _in_folder(folder, kwok=folder / "kwok", stages=folder / "stages")


def _installed(folder: Path) -> Binaries:
    kwok = shutil.which("kwok", path=os.pathsep.join([str(folder), os.environ.get("PATH", "")]))
    missing = [name for name in ("etcd", *PACKAGES["kubernetes"]) if not (folder / name).is_file()]
    if missing or kwok is None:
        names = ", ".join(missing + ([] if kwok else ["kwok"]))
        raise PartMissing(
            f"KUBEBUILDER_ASSETS is {folder}, which lacks {names}. Install them there (kwok may be on PATH), "
            f"or unset KUBEBUILDER_ASSETS and run `{BUILD_COMMAND}` to have all of them built."
        )
    stages = folder / "stages"
    if not stages.is_dir():
        stages = made_once(_cache_folder() / f"{_recipe_hash()}-stages", _copy_stages)
    return _in_folder(folder.absolute(), kwok=Path(kwok).absolute(), stages=stages.absolute())


def _in_folder(folder: Path, *, kwok: Path, stages: Path) -> Binaries:
    return Binaries(
        etcd=folder / "etcd",
        kube_apiserver=folder / "kube-apiserver",
        kube_controller_manager=folder / "kube-controller-manager",
        kube_scheduler=folder / "kube-scheduler",
        kwok=kwok,
        stages=stages,
    )


def _cache_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification has a relative path ignored.
    base = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "golive" / "control-plane"


def _recipe_hash() -> str:
    """What the programs depend on: the pinned modules, how they are built, and for which machine."""
    digest = hashlib.sha256(f"{PACKAGES} {STAGES} {LINKER_FLAGS} {sys.platform} {platform.machine()}".encode())
    for module in PACKAGES:
        for name in ("go.mod", "go.sum"):
            digest.update((MODULES / module / name).read_bytes())
    return digest.hexdigest()[:16]


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` where it is not there yet; it appears whole or not at all, made by one process."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / ".lock"):
        if folder.is_dir():  # another process made it while this one waited
            return folder
        for left in folder.parent.glob(".unfinished-*"):  # of a build that was killed; nobody else builds now
            shutil.rmtree(left)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
        try:
            make(unfinished)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; the system frees it when its holder is killed."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another process builds the control plane: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(into: Path) -> None:
    flags = LINKER_FLAGS.format(kubernetes=_module("kubernetes", "k8s.io/kubernetes", "{{.Version}}"))
    for module, programs in PACKAGES.items():
        logger.info("building %s from its Go module (minutes where Go's build cache is cold)", ", ".join(programs))
        started = time.monotonic()
        for program, package in programs.items():
            _go(module, "build", "-mod=readonly", "-trimpath", "-ldflags", flags, "-o", str(into / program), package)
        logger.info("built %s in %.0f s", ", ".join(programs), time.monotonic() - started)
    stages = into / "stages"
    stages.mkdir()
    _copy_stages(stages)


def _copy_stages(into: Path) -> None:
    """Copy the stages of the kwok module's `kustomize/stage/{node,pod}/fast`."""
    _go("kwok", "mod", "download", "sigs.k8s.io/kwok")
    source = Path(_module("kwok", "sigs.k8s.io/kwok", "{{.Dir}}"))
    for kind in STAGES:
        stages = [
            path
            for path in sorted((source / "kustomize" / "stage" / kind / "fast").glob("*.yaml"))
            if path.stem != "kustomization"
        ]
        if not stages:
            raise BuildError(f"the kwok module has no stages for a {kind} in kustomize/stage/{kind}/fast")
        for path in stages:
            (into / path.name).write_bytes(path.read_bytes())


def _module(module: str, requirement: str, template: str) -> str:
    """What Go knows about a requirement of a module, by a template of `go list -m`."""
    return _go(module, "list", "-mod=readonly", "-m", "-f", template, requirement).strip()


def _go(module: str, *arguments: str) -> str:
    """The output of a go command in the folder of a module."""
    go = shutil.which("go")
    if go is None:
        version = _go_version(module)
        raise PartMissing(
            "the Kubernetes control plane is not built and Go is missing. "
            f"Install Go {version} or newer and run `{BUILD_COMMAND}`, or set KUBEBUILDER_ASSETS to a folder "
            "with etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok."
        )
    # Without cgo no C compiler is needed; a workspace of the user's would replace the pinned versions.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(
        [go, *arguments], cwd=MODULES / module, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildError(f"go {' '.join(arguments)} (in {module}) ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def _go_version(module: str) -> str:
    found = re.search(r"^go (\d+\.\d+)", (MODULES / module / "go.mod").read_text(), re.MULTILINE)
    return found.group(1) if found else ""
