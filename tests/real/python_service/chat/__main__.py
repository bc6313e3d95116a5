"""Starts the service: `python -m chat`. Uvicorn ends it so that no request is lost."""

from __future__ import annotations

import math
import os
import sys

from .config import Settings, settings_from
from .log import set_up

SHUTDOWN_MARGIN = 5
"""Seconds beyond a message's deadline."""


def _settings() -> Settings:
    try:
        return settings_from(os.environ)
    except ValueError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(os.EX_CONFIG)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = _settings()
    set_up(settings)
    if flaw := os.environ.get("FLAW"):
        from . import flaws

        flaws.apply(flaw)

    import uvicorn

    from .app import Chat

    uvicorn.run(
        Chat(settings).app(),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.deadline) + SHUTDOWN_MARGIN,
    )


main()
