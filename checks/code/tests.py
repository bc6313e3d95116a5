"""What the service's own tests say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.repository import ServiceTests

FAILURE = re.compile(r"\b(fail\w*|errors?|not ok)\b", re.IGNORECASE)
NOTHING = re.compile(r"(?<![\d.])0(?![\d.])")
"""As in the closing line `# fail 0`."""


@check(
    "COD-001",
    severity="blocker",
    remedy="""\
Run the tests as they were run here, in the folder that repository.path names, and mend what they report:

    cd ../chat && env -i PATH="$PATH" HOME="$HOME" CI=true npm test

Where another command is the right one, or they take longer than five minutes, say so in environments/NAME.toml:

    [repository]
    test_command = ["npm", "run", "test:unit"]
    test_deadline = 600

Where there are none, begin with one that calls the service with the Mistral API answering 429, and see it retried.""",
)
def test_the_services_own_tests_pass(service_tests: ServiceTests) -> None:
    """The service's own tests pass, and there are some."""
    assert list(unproven(service_tests)) == []


def unproven(tests: ServiceTests) -> Iterator[Offender]:
    """Why the service's tests prove nothing, or prove that it is broken."""
    where = f"`{tests.command}` ({tests.manifest})"
    ended = f"{ending(tests.exit_code or 0)}: {last_words(tests)}"
    if tests.stub:
        yield Offender("there are no tests", where, 'the stub "no test specified"', "a command that runs tests")
    elif tests.ran == 0:
        yield Offender("no test ran", where, ended, "at least one test that is not skipped")
    elif tests.exit_code:
        yield Offender("the service's tests fail", where, ended, "exit code 0")


def ending(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code >= 0 else f"ended by signal {-exit_code}"


def last_words(tests: ServiceTests) -> str:
    """The last lines that tell of a failure, else the last ones that say something, on one line."""
    lines = [line.strip() for line in tests.tail.splitlines() if any(character.isalnum() for character in line)]
    telling = [line for line in lines if FAILURE.search(line) and not NOTHING.search(line)]
    return " | ".join((telling or lines)[-3:])[-300:] or "no output"
