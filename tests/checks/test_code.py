"""The checks of the service's source, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.code.revision import other_code
from checks.code.revision import test_the_code_verified_is_the_code_deployed as revision
from checks.code.tests import test_the_services_own_tests_pass as own_tests
from checks.code.tests import unproven
from fixtures.deployed import DeployedRevision
from fixtures.observations.repository import ServiceTests, Source
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.code import SPECIMENS
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, bench

__all__ = ["bench"]

CHECKS: dict[str, Callable[..., None]] = {"COD-001": own_tests, "COD-011": revision}
HEAD = "4f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e5f1c9d0e"


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    judged = bench.judged(CHECKS, HEALTHY)
    assert {id_: found.status for id_, found in judged.items()} == dict.fromkeys(CHECKS, "passed")


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    for id_, found in bench.judged(CHECKS, specimen).items():
        if id_ in specimen.breaks:
            assert (found.status, found.reason) == (specimen.status, specimen.reason), found.message
            assert specimen.message in found.message
        else:
            assert found.status == "passed", (id_, found.message)


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    for status in ("failed", "unverified"):
        assert {id_ for specimen in SPECIMENS if specimen.status == status for id_ in specimen.breaks} == set(CHECKS)


@pytest.mark.parametrize(("tier", "status"), [("development", "passed"), ("staging", "failed")])
def test_a_dirty_tree_is_tolerated_in_development_only(bench: Bench, tier: str, status: str) -> None:
    """People work on the code there."""
    world = World()
    world.repository.uncommitted["chat/idea.py"] = ""
    assert bench.over({"COD-011": revision}, world, tier=tier)["COD-011"].status == status


def test_ignored_files_are_not_dirt(bench: Bench) -> None:
    """What a build leaves behind and git ignores is not part of the code."""
    world = World()
    world.repository.files[".gitignore"] = "build/\n"
    world.repository.uncommitted["build/chat.js"] = ""
    assert bench.over({"COD-011": revision}, world)["COD-011"].status == "passed"


@pytest.mark.parametrize(
    ("commit", "same"),
    [
        pytest.param(HEAD, True, id="the-same"),
        pytest.param(HEAD[:7], True, id="short"),
        pytest.param(HEAD[:12], True, id="longer"),
        pytest.param(HEAD + "0" * 24, True, id="sha256-of-a-longer-kind"),
        pytest.param(HEAD[:11] + "f", False, id="last-digit"),
        pytest.param("e" + HEAD[1:], False, id="first-digit"),
        pytest.param(HEAD[1:9], False, id="inside"),
    ],
)
def test_revisions_are_the_same_where_one_begins_with_the_other(commit: str, same: bool) -> None:
    """A short hash names the same commit; a part of its middle does not."""
    found = list(other_code(Source("chat", HEAD, 0, ()), DeployedRevision(commit, "Deployment"), committed=True))
    assert (found == []) is same


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        ("not ok 1 - a 429\n# pass 3\n# fail 1\n# todo 0\n# duration_ms 6\n", "not ok 1 - a 429 | # fail 1"),
        ("FAILED tests/test_a.py::test_b\n=== 1 failed in 0.1s ===\n", "test_b | === 1 failed in 0.1s ==="),
        ("make: *** [Makefile:2: test] Error 1\n", "[Makefile:2: test] Error 1"),
        ("it broke\n\n", "it broke"),
        ("\n---\n", "no output"),
    ],
)
def test_a_failure_is_told_in_the_runners_own_words(tail: str, said: str) -> None:
    """The lines that tell of it, and not the zeros after them."""
    (offender,) = unproven(ServiceTests("npm test", "package.json", False, 1, 4, 1.0, tail))
    assert offender.found.endswith(said)
    assert "fail 0" not in offender.found


def test_many_changes_are_counted_and_few_are_named() -> None:
    """A build that was never ignored does not fill the report."""
    source = Source("chat", HEAD, 4000, tuple(f"?? build/{number}.js" for number in range(20)))
    (offender,) = other_code(source, DeployedRevision(HEAD, "Deployment"), committed=True)
    assert offender.found == "?? build/0.js, ?? build/1.js, ?? build/2.js and 3997 more"


@pytest.mark.parametrize(
    ("exit_code", "ran", "said"),
    [
        (1, 12, "the service's tests fail"),
        (1, None, "the service's tests fail"),
        (-9, 3, "ended by signal 9"),
        (0, 0, "no test ran"),
        (5, 0, "no test ran"),
    ],
)
def test_each_bad_ending_has_its_own_words(exit_code: int, ran: int | None, said: str) -> None:
    """Failed, killed, and nothing there to fail."""
    tests = ServiceTests("npm test", "package.json", False, exit_code, ran, 1.0, "one line\n\n-----\nanother\n")
    (offender,) = unproven(tests)
    assert said in str(offender)
    assert "one line | another" in offender.found
