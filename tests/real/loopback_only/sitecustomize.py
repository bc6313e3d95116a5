"""Keeps a Python program on this machine: a connection to elsewhere fails.

The host that it asked for goes into the file that the variable LOOPBACK_ONLY names.
"""

from __future__ import annotations

import errno
import os
import sys
from ipaddress import ip_address
from typing import Any


def _host(event: str, arguments: tuple[Any, ...]) -> str:
    """Whom the event is about; "localhost" where it has nothing to do with another machine."""
    if event == "socket.getaddrinfo":
        asked = arguments[0] or "localhost"
    elif event in {"socket.connect", "socket.sendto"} and isinstance(arguments[1], tuple):
        asked = arguments[1][0]
    else:
        asked = "localhost"
    return asked.decode("ascii", "replace") if isinstance(asked, bytes) else str(asked)


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return False


def _only_here(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or _here(host := _host(event, arguments)):
        return
    with open(os.environ["LOOPBACK_ONLY"], "a", encoding="utf-8") as seen:  # noqa: PTH123 - loads nothing more
        seen.write(f"{host}\n")
    raise OSError(errno.ENETUNREACH, f"connect ENETUNREACH {host}")


sys.addaudithook(_only_here)
