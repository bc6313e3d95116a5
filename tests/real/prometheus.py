"""A real Prometheus on loopback, with its own data, rules and targets: for tests and for people.

with PrometheusServer(tmp_path, targets={"chat": ["127.0.0.1:3000"]}, rules=text) as prometheus:
    prometheus.url
    prometheus.reload(other_rules)
    prometheus.aim({"chat": [("127.0.0.1:3000", {"pod": "chat-1"})]})
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.real.control_plane.processes import Process, ProcessGroup, StartError, free_port
from tests.real.control_plane.programs import PartMissing

__all__ = ["PartMissing", "PrometheusServer", "StartError", "program"]

Target = tuple[str, Mapping[str, str]]
"""An address, and the labels of its series."""
ELSEWHERE = "counted_elsewhere"
"""A label of a target whose metrics another one has already: it is scraped, and up or down, and nothing is kept."""
READY_WITHIN = 60.0
"""Seconds to start, and again to scrape every target and evaluate every rule once."""


def program(name: str = "prometheus") -> str:
    """The path of `prometheus` or `promtool`. Raises PartMissing."""
    found = shutil.which(name)
    if found is None:
        raise PartMissing(f"{name} is not installed: apt-get install --no-install-recommends prometheus")
    return found


def remember(folder: Path, series: Mapping[str, Mapping[float, float]]) -> None:
    """Give the Prometheus of this folder, before it starts, samples of the past: of each series the value by the time.

    Series are written as `name{label="value"}`, times are in seconds since 1970. Raises PartMissing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name} {value} {at}\n" for name in sorted(series) for at, value in sorted(series[name].items())]
    (folder / "past.txt").write_text("".join([*lines, "# EOF\n"]))
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "past.txt", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


class PrometheusServer:
    """Prometheus, from `with` to its end; nothing of it outlives this process.

    `folder` is made if it is not there and holds the configuration, the data and the log. `targets` are addresses by
    job; `rules` is the text of a rule file. It scrapes and evaluates every `interval` seconds. With `settled`, it is
    entered once every target was scraped, whatever came of it, and every rule was evaluated. Raises PartMissing,
    StartError.
    """

    url: str

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Sequence[str]],
        rules: str = "",
        *,
        interval: float = 1.0,
        settled: bool = True,
    ) -> None:
        self.folder = folder
        self._targets: dict[str, list[Target]] = {
            job: [(address, {}) for address in addresses] for job, addresses in targets.items()
        }
        self._rules = rules
        self._interval = interval
        self._settled = settled
        self._group: ProcessGroup | None = None
        self._process: Process | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, or start it again at the same address, over the data that it has."""
        binary = program()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configure(self._rules)
        self.url = self.url or f"http://127.0.0.1:{free_port()}"
        command = [
            binary,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ]
        self._group = ProcessGroup()
        try:
            self._process = self._group.start("prometheus", command, self.folder)
            self._process.wait_until(self._ready, time.monotonic() + READY_WITHIN)
            if self._settled:
                self.settle()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it; its data stays."""
        if self._group is not None:
            self._group.stop()
            self._group = None

    def reload(self, rules: str) -> None:
        """Load other rules, and wait until each was evaluated. Raises StartError where Prometheus refuses them."""
        self._rules = rules
        self._configure(rules)
        answer = httpx.post(f"{self.url}/-/reload", timeout=10)
        if answer.status_code != 200:
            raise StartError(f"Prometheus refuses its rules: {answer.text}")
        self.settle()

    def aim(self, targets: Mapping[str, Sequence[Target]]) -> None:
        """Scrape these: job to addresses, each with the labels of its series. Waits for the first scrape of each.

        Raises StartError.
        """
        self._targets = {job: list(addresses) for job, addresses in targets.items()}
        self.reload(self._rules)

    def settle(self) -> None:
        """Wait until every target was scraped and every rule evaluated, whatever came of it. Raises StartError."""
        assert self._process is not None
        self._process.wait_until(self._seen_all, time.monotonic() + READY_WITHIN)

    def discover(self) -> None:
        """Wait until it knows every target, scraped or not. Raises StartError."""
        assert self._process is not None
        self._process.wait_until(self._found_all, time.monotonic() + READY_WITHIN)

    def wait_for(self, query: str) -> None:
        """Wait until a query has a result. Raises StartError."""
        assert self._process is not None
        until = time.monotonic() + READY_WITHIN
        self._process.wait_until(lambda: bool(self.api("query", query=query)["result"]), until)

    def api(self, path: str, **query: str) -> Any:
        """`data` of an answer of its API."""
        return httpx.get(f"{self.url}/api/v1/{path}", params=query, timeout=10).raise_for_status().json()["data"]

    def _configure(self, rules: str) -> None:
        (self.folder / "rules.yml").write_text(rules or "groups: []\n")
        jobs = [
            {
                "job_name": job,
                "static_configs": [{"targets": [address], "labels": dict(labels)} for address, labels in addresses],
                "metric_relabel_configs": [{"source_labels": [ELSEWHERE], "regex": ".+", "action": "drop"}],
            }
            for job, addresses in self._targets.items()
        ]
        interval = f"{round(self._interval * 1000)}ms"
        times = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
        # JSON is YAML.
        document = {"global": times, "rule_files": ["rules.yml"], "scrape_configs": jobs}
        (self.folder / "prometheus.yml").write_text(json.dumps(document, indent=1))

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def _seen_all(self) -> bool:
        rules = [rule for group in self.api("rules")["groups"] for rule in group["rules"]]
        targets = self._active()
        if not self._wanted(targets) or any(row["health"] == "unknown" for row in (*rules, *targets)):
            return False
        # How a target is comes to be told before the samples of its scrape can be asked for.
        scraped = [row["metric"] for row in self.api("query", query="up")["result"]]
        return all({"__name__": "up", **row["labels"]} in scraped for row in targets)

    def _found_all(self) -> bool:
        return self._wanted(self._active())

    def _active(self) -> list[dict[str, Any]]:
        return list(self.api("targets", state="active")["activeTargets"])

    def _wanted(self, targets: Sequence[Mapping[str, Any]]) -> bool:
        """Whether what it scrapes is what it was told last, and not what it was told before."""
        wanted = [(job, address, dict(labels)) for job, rows in self._targets.items() for address, labels in rows]
        active = [dict(row["labels"]) for row in targets]
        found = [(labels.pop("job"), labels.pop("instance"), labels) for labels in active]
        return len(found) == len(wanted) and all(row in found for row in wanted)
