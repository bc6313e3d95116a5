"""Where a story is told: the real world with a canary and those who are told of a rollback, and what a step leaves.

with Stage(folder) as stage:
    told = stage.run(Step(name="preflight", typed="-m preflight --env production", before=nothing))
    told.done.verdict, told.shown
"""

from __future__ import annotations

import base64
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from fixtures.sandbox import receivers
from fixtures.sandbox.world import World as Sandbox
from fixtures.sandbox.world import started
from tests.real.shipping import CANARY, WINDOW, Shipping
from tests.real.test_world import Verified, drill, run
from tests.real.world import RATE, World

BAD, GOOD = "sha256:" + "c4" * 32, "sha256:" + "d5" * 32
"""The digests of the two releases."""
AT_ONCE = 6
"""So many wait for an answer at the most; the service turns away what goes beyond 8."""
ATTEMPTS = 3
"""Of a command that says that there were too few requests: on a busy machine they are fewer, and a watch is doubled."""
TRAFFIC = ("ROL-002", "ROL-003", "ROL-004")
"""The checks that count requests."""
SETTLED = WINDOW + 2
"""Seconds, after which a window holds nothing of what was before."""

TOLD = """\
[notifications]
slack_webhook = "k8s://vault/notifications#slack"
pagerduty_key = "k8s://vault/notifications#pagerduty"
pagerduty_url = "{url}"

[service.health]
deadline = 5.0 # seconds; this machine runs the whole world
"""
"""What production says beside: who is told of a rollback, at which address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command, and what it must come to."""

    name: str
    typed: str
    """What follows `pytest`; {watch} is the time that it watches."""
    before: Callable[[Stage], None]
    """What somebody does, or what happens, before it is typed."""
    code: int = 0
    verdict: str = "GO"
    failed: Mapping[str, str] = field(default_factory=dict)
    """The checks that are not fine, each with a pattern of what it says."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set for this command; {bad} and {good} are the images of the two releases, {on_call} a kubeconfig."""
    watch: int = 0
    """Seconds."""

    def arguments(self, attempt: int) -> list[str]:
        """What is given to pytest at this attempt, counted from 0."""
        return shlex.split(self.typed.format(watch=f"{self.watch * 2**attempt}s"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a step came to. `plain` is what it printed, without the names that are of this machine."""

    step: Step
    done: Verified
    typed: str
    """The command line."""
    plain: str
    folder: Path
    """Of the run."""
    clearances: Path
    """The folder with the verdicts on images."""
    images: Mapping[str, set[str]]
    """The digests that the pods of each Deployment were of afterwards."""
    people: Sequence[str]
    """The channels by which people had been told of anything by then, once for each time."""

    @property
    def as_expected(self) -> bool:
        """Whether it comes to what it must."""
        expected = self.step.code, self.step.verdict, dict.fromkeys(self.step.failed, "failed")
        return (self.done.code, self.done.verdict, self.done.broken) == expected

    @property
    def too_few(self) -> bool:
        """Whether the requests do not tell yet."""
        return any(self.done.broken.get(id_) == "no_data" for id_ in TRAFFIC)

    @property
    def shown(self) -> str:
        """The command and what it printed, in Markdown. What passes while it runs is left out, and marked."""
        said = re.sub(r"(?:^[✓✗?] [A-Z]{3}-\d{3}.*\n)+", "...\n", self.plain, flags=re.MULTILINE)
        return f"```console\n$ {self.typed}\n```\n\n```text\n{said.strip()}\n```"


class Stage:
    """The world with a canary, and those who are told of a rollback, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._runs = 0
        self._shared = -SETTLED

    def __enter__(self) -> Self:
        try:
            self.world = self._stack.enter_context(World(self._folder / "world"))
            drill(self.world, self._folder / "drill")
            self.receivers = self._stack.enter_context(started(Sandbox(), self._folder / "receivers"))
            self._tell()
            self.shipping = self._stack.enter_context(Shipping(self.world))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def crowd(self, percent: int, rate: float) -> None:
        """As many messages a second as tell soon, this share of them the canary's."""
        self.world.users.rate, self.world.users.at_once = rate, AT_ONCE
        self.shipping.share(percent)
        self._shared = time.monotonic()

    def quiet(self) -> None:
        """Few users, and all of them at the stable version."""
        self.world.users.rate, self.world.users.at_once = RATE, None
        self.shipping.share(0)
        self._shared = time.monotonic()

    def settle(self) -> None:
        """Wait until a window holds nothing of how the users were shared out before."""
        time.sleep(max(0.0, self._shared + SETTLED - time.monotonic()))

    def run(self, step: Step) -> Told:
        """Do what comes before the step, then type its command, again where there were too few requests to tell."""
        step.before(self)
        for attempt in range(ATTEMPTS):
            told = self._typed(step, attempt)
            if not told.too_few:
                break
        return told

    def _typed(self, step: Step, attempt: int) -> Told:
        self._runs += 1
        folder = self._folder / "runs" / f"{self._runs}-{step.name}"
        known = {"bad": self.shipping.image(BAD), "good": self.shipping.image(GOOD), "on_call": self.world.on_call}
        variables = {name: value.format(**known) for name, value in step.variables.items()}
        arguments = step.arguments(attempt)
        done = run(*arguments, f"--config={self.world.config}", folder=folder, variables=variables)
        set_ = "".join(f"{name}={value} \\\n    " for name, value in variables.items())
        return Told(
            step=step,
            done=done,
            typed=self._plain(f"{set_}pytest {shlex.join(arguments)}", folder),
            plain=self._plain(done.printed, folder),
            folder=folder,
            clearances=self.world.config / "records" / "clearances",
            images={name: self._images(name) for name in ("chat", CANARY)},
            people=[channel for channel, _ in self.receivers.world.receivers.messages],
        )

    def _images(self, name: str) -> set[str]:
        pods = self.world.plane.admin.get(
            "/api/v1/namespaces/chat/pods", labelSelector=f"app.kubernetes.io/name={name}"
        )
        there = [pod["spec"] for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]
        return {spec["containers"][0]["image"].partition("@")[2] for spec in there}

    def _plain(self, printed: str, folder: Path) -> str:
        """Without the names that are of this machine: the folders, and the ports."""
        ports = {
            self.world.service.url: "http://127.0.0.1:3000",
            self.world.prometheus.url: "http://127.0.0.1:9090",
            self.world.provider: "http://127.0.0.1:8080",
            self.world.plane.server: "https://127.0.0.1:6443",
            self.receivers.urls["receivers"]: "http://127.0.0.1:8090",
        }
        names = {url.partition("//")[2]: known.partition("//")[2] for url, known in ports.items()}
        names |= {str(folder): f"reports/runs/{folder.name.partition('-')[2]}", str(self.world.config): "environments"}
        names |= {str(self.world.on_call): "~/.kube/on-call"}
        for name, known in names.items():
            printed = printed.replace(name, known)
        return printed

    def _tell(self) -> None:
        """Those who are on call: their addresses in a Secret that the reader may get, and named in the settings."""
        state, url = self.receivers.world.receivers, self.receivers.urls["receivers"]
        kept = {"slack": f"{url}{receivers.SLACK}/{state.slack_token}", "pagerduty": state.routing_key}
        metadata = {"name": "notifications", "namespace": "vault"}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in kept.items()}
        self.world.plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}])
        settings = self.world.config / "production.toml"
        settings.write_text(settings.read_text() + TOLD.format(url=f"{url}{receivers.PAGERDUTY}"))
