"""A suite in miniature, to be killed: copies of the sandbox's service, faults in them, messages, and restarts.

python -m tests.real.drilling URL      URL: a fault server that somebody else runs, into which it injects as well
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fixtures.drills.copies import Copy
from fixtures.drills.evidence import Redirection
from fixtures.drills.fault_server import FaultServer
from fixtures.drills.stage import Stage
from fixtures.http import ask
from fixtures.permission import Permission
from fixtures.repository import Repository
from fixtures.settings import load
from plugins.redaction import Redactor

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Drill until killed."""
    overlay = {
        "repository": {"path": str(ROOT)},
        "resilience": {"command": [sys.executable, "-m", "fixtures.sandbox.service"], "folder": str(ROOT)},
    }
    environment = load("sandbox", ROOT / "environments", overlay=overlay, variables={})
    stage = Stage(environment, Repository(environment), Redactor(), Permission())
    with FaultServer(sys.argv[1]).inject("503"):
        found = Redirection(method="variable MISTRAL_BASE_URL", tried=(), plan=())
        drills = [threading.Thread(target=drill, args=(stage, found, work)) for work in (talk, talk, restart)]
        for one in drills:
            one.start()
        for one in drills:
            one.join()


def drill(stage: Stage, found: Redirection, work: Callable[[Copy], None]) -> None:
    """Work with one copy while its provider fails."""
    with stage.copy(found) as copy, copy.provider.inject("500"):
        assert isinstance(copy, Copy)
        print(copy.name, flush=True)
        while True:
            work(copy)


def talk(copy: Copy) -> None:
    """Send a message, which fails in a defined way."""
    ask("POST", f"{copy.url}/api/chat", what=copy.name, json={"message": "Hello"})
    time.sleep(0.02)


def restart(copy: Copy) -> None:
    """Be in the middle of a start or an end most of the time."""
    copy.restart()


if __name__ == "__main__":
    main()
