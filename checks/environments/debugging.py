"""Whether debugging is off where users are: it prints headers, prompts and stack traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.environment import DebugSwitches, Switch
    from fixtures.settings import Environment

OFF = frozenset({"", "0", "false", "no", "off", "none", "null"})

# Both official SDKs take any value of this one, even "false", as on; the TypeScript one then prints the key.
ON_WHEN_SET = frozenset({"MISTRAL_DEBUG"})

# 10 is DEBUG in Python's logging and trace in pino's.
VERBOSE = frozenset({"debug", "trace", "verbose", "silly", "all", "notset", "10"})


def for_developers(environment: Environment) -> str | None:
    """Developers may debug."""
    if environment.tier != "development":
        return None
    return f"{environment.name} is a development environment, where debugging may be on"


@check(
    "ENV-004",
    severity="blocker",
    applies=for_developers,
    remedy="""\
Take the variable away (for MISTRAL_DEBUG any value counts, even "false") and log at info:

    kubectl set env deployment/NAME -n NAMESPACE DEBUG- MISTRAL_DEBUG- LOG_LEVEL=info

If MISTRAL_DEBUG was on, the TypeScript SDK has written the key into the logs: rotate it.""",
)
def test_debugging_is_off(debug_switches: DebugSwitches, environment: Environment) -> None:
    """Debugging is off in staging and production: no debug variable is on, no log level is below info."""
    assert list(switched_on(debug_switches, environment.tier)) == []


def switched_on(switches: DebugSwitches, tier: str) -> Iterator[Offender]:
    """Each variable that switches debugging on. A debug variable is on unless its value is known to mean off."""
    for switch in switches.switches:
        where = f"{switches.workload}, {switch.where}"
        if switch.kind == "debug" and _on(switch):
            yield Offender("a debug variable is on", where, repr(switch.says), f"unset in {tier}")
        if switch.kind == "log level" and switch.says.lower() in VERBOSE:
            yield Offender("the log level is below info", where, repr(switch.says), f"info or above in {tier}")


def _on(switch: Switch) -> bool:
    if switch.name in ON_WHEN_SET:
        return switch.says != ""
    return switch.says.lower() not in OFF
