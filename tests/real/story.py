"""One service shipped twice, in the real world: a release that is stopped at half of its users, and one that goes out.

    python -m tests.real.story write      tells both anew, and writes what the commands print into docs/shipping.md

A step is a command that somebody types, what happens in the world before it, and what it must come to. tests/real/
test_story.py holds the world to that, and the page to what the world says.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.real.staging import ROOT
from tests.real.story_stage import BAD, GOOD, Stage, Step, Told

PAGE = ROOT / "docs" / "shipping.md"
FLAW = "one-in-33"
CROWD, HALF = 100.0, 60.0
"""Messages a second: 272 are needed to tell that a canary is fine. A tenth of them is to be that in half a minute, and
half of them in a window, also on a machine that is busy."""


def _nothing(stage: Stage) -> None:
    """It is typed right after the one before."""


def _canary(digest: str) -> Callable[[Stage], None]:
    def ship(stage: Stage) -> None:
        """The canary runs the image, and is one of eight pods: as near to a tenth as it gets."""
        stage.shipping.ship(digest)
        stage.settle()
        stage.crowd(12, CROWD)

    return ship


def _half_and_flawed(stage: Stage) -> None:
    """It has half of the users, and what nobody met among a tenth of them comes out."""
    stage.shipping.serve(FLAW)
    stage.crowd(50, HALF)
    stage.settle()


def _quiet(stage: Stage) -> None:
    """The canary is taken out of the traffic, as the finding says."""
    stage.quiet()


def _half(stage: Stage) -> None:
    stage.crowd(50, HALF)
    stage.settle()


def _all(stage: Stage) -> None:
    stage.shipping.promote(GOOD)
    stage.crowd(0, HALF)
    stage.settle()
    stage.quiet()


ROLLOUT = "-m rollout --env production --step"
STEPS: tuple[Step, ...] = (
    Step(
        name="preflight",
        variables={"GOLIVE_KUBERNETES__IMAGE": "{bad}"},
        typed="-m preflight --env production",
        before=_nothing,
    ),
    Step(name="canary-10", typed=f"{ROLLOUT} 10 --watch {{watch}}", watch=30, before=_canary(BAD)),
    Step(
        name="canary-50",
        typed=f"{ROLLOUT} 50",
        before=_half_and_flawed,
        code=1,
        verdict="NO-GO",
        failed={
            "ROL-003": r"[234]\.\d\d% of \d+ requests failed .* of the stable version 0\.\d\d% of \d+ requests failed",
            "ROL-005": "a new kind of error, .*the service itself failed",
        },
    ),
    Step(
        name="rollback",
        variables={"GOLIVE_KUBERNETES__KUBECONFIG": "{on_call}", "GOLIVE_KUBERNETES__DEPLOYMENT": "chat-canary"},
        typed="-m rollback --env production --to-revision 1 --allow-changes --confirm production --notify --bundle",
        before=_quiet,
    ),
    Step(
        name="fixed-preflight",
        variables={"GOLIVE_KUBERNETES__IMAGE": "{good}"},
        typed="-m preflight --env production",
        before=_nothing,
    ),
    Step(name="fixed-10", typed=f"{ROLLOUT} 10 --watch {{watch}}", watch=30, before=_canary(GOOD)),
    Step(name="fixed-50", typed=f"{ROLLOUT} 50", before=_half),
    Step(name="fixed-100", typed=f"{ROLLOUT} 100", before=_all),
    Step(
        name="postdeploy",
        variables={"GOLIVE_KUBERNETES__IMAGE": "{good}"},
        typed="-m postdeploy --env production",
        before=_nothing,
    ),
)


def story(folder: Path) -> Iterator[Told]:
    """Tell it, step by step, in a world of its own, to the first that does not come to what it must."""
    with Stage(folder) as stage:
        for step in STEPS:
            told = stage.run(step)
            yield told
            if not told.as_expected:
                return


def block(page: str, name: str) -> str:
    """What the page shows of a step. Raises ValueError where it has no place for it."""
    return _parts(page, name)[1]


def documented(page: str, tales: Sequence[Told]) -> str:
    """The page with what each command prints. Raises ValueError where it has no place for it."""
    for told in tales:
        before, _, after = _parts(page, told.step.name)
        page = f"{before}{told.shown}\n{after}"
    return page


def _parts(page: str, name: str) -> tuple[str, str, str]:
    """What is before the place of a step, there, and after it; the markers are outside."""
    before, begin, rest = page.partition(f"<!-- {name} -->\n")
    shown, end, after = rest.partition(f"<!-- /{name} -->")
    if not (begin and end):
        raise ValueError(f"{PAGE}: expected the lines <!-- {name} --> and <!-- /{name} -->")
    return before + begin, shown, end + after


def skeleton(shown: str) -> list[str]:
    """What must not differ from one telling to the next: the command, the verdict, the checks that are not fine."""
    lines = re.findall(r"^(?:\$ .*|    pytest .*| (?:GO|NO-GO|PARTIAL): .*|[✗?] .*)$", shown, re.MULTILINE)
    return [re.sub(r"--watch \d+s", "--watch TIME", line) for line in lines]


def main(arguments: Sequence[str]) -> int:
    """Write the page, or say how."""
    if list(arguments) != ["write"]:
        sys.stderr.write("python -m tests.real.story write\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="golive-story-") as folder:
        tales = list(story(Path(folder)))
    if [told.step.name for told in tales if told.as_expected] != [step.name for step in STEPS]:
        sys.stderr.write(f"{tales[-1].step.name} does not come to what it must:\n{tales[-1].plain}\n")
        return 1
    PAGE.write_text(documented(PAGE.read_text("utf-8"), tales), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
