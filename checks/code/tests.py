"""What the service's own tests say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.catalogue import Offender, check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures.observations.repository import ServiceTests


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
    if tests.stub:
        yield Offender("there are no tests", where, 'the stub "no test specified"', "a command that runs tests")
    elif tests.exit_code:
        found = f"{ending(tests.exit_code)}: {last_words(tests)}"
        yield Offender("the service's tests fail", where, found, "exit code 0")
    elif tests.ran == 0:
        yield Offender("no test ran", where, "exit code 0 with 0 tests", "at least one test that is not skipped")


def ending(exit_code: int) -> str:
    return f"exit code {exit_code}" if exit_code > 0 else f"ended by signal {-exit_code}"


def last_words(tests: ServiceTests) -> str:
    """The last lines that say something, on one line."""
    lines = [line.strip() for line in tests.tail.splitlines() if any(character.isalnum() for character in line)]
    return " | ".join(lines[-3:])[-300:] or "no output"
