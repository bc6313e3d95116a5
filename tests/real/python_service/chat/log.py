"""The log: a JSON object a line, and never a traceback, a header or a message's text."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from .config import Settings

LEVELS = {"fatal": 50, "error": 40, "warn": 30, "info": 20, "debug": 10, "silent": 100}
NAMES = {50: "fatal", 40: "error", 30: "warn", 20: "info", 10: "debug"}

logger = logging.getLogger("chat")


class JsonLines(logging.Formatter):
    """Writes a record's message and its `facts`; of an error only its type, since its text can repeat a prompt."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._base = {"service": "chat", "environment": settings.environment, "revision": settings.git_revision}

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry = {
            "level": NAMES.get(record.levelno, "info"),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            **self._base,
            **getattr(record, "facts", {}),
            "msg": record.getMessage() if record.name == logger.name else f"{record.name}: {record.msg}",
        }
        if record.exc_info and record.exc_info[0]:
            entry["error"] = record.exc_info[0].__name__
        return json.dumps(entry)


def set_up(settings: Settings) -> None:
    """Send everything to LOG_FILE, else to standard output; of libraries only warnings, without their arguments."""
    handler = logging.FileHandler(settings.log_file) if settings.log_file else logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(settings))
    logging.basicConfig(level=max(logging.WARNING, LEVELS[settings.log_level]), handlers=[handler])
    logger.setLevel(LEVELS[settings.log_level])
