"""The checks of the runbooks, over every world in which one of them must speak."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.docs.runbook import CLASSES, no_way_back, uncovered
from checks.docs.runbook import test_the_rollback_is_documented as rollback
from checks.docs.runbook import test_the_runbook_covers_each_class_of_errors as covers
from fixtures.markdown import sections
from fixtures.observations.runbook import Document
from fixtures.sandbox.specimen import Specimen
from fixtures.sandbox.specimens.docs import HEADINGS, SPECIMENS, rewritten
from fixtures.sandbox.world import World
from tests.checks.judging import HEALTHY, Bench, Judged, bench

__all__ = ["bench"]

Check = Callable[..., None]


def covered(error: str) -> Check:
    """The check of one class of errors."""

    def judge(incident_runbook: Document) -> None:
        covers(incident_runbook=incident_runbook, error=error)

    judge.__check__ = covers.__check__  # type: ignore[attr-defined] # what makes it a check
    return judge


CHECKS: dict[str, Check] = {"DOC-003": rollback, **{f"DOC-001[{error}]": covered(error) for error in CLASSES}}


def broken(bench: Bench, specimen: Specimen) -> dict[str, Judged]:
    """What does not pass, by id and parameter."""
    judged = bench.judged(CHECKS, specimen)
    return {name: found for name, found in judged.items() if found.status != "passed"}


def written(text: str) -> Document:
    return Document("RUNBOOK.md", True, sections(text))


def test_a_healthy_world_passes(bench: Bench) -> None:
    """Nothing is found where nothing is wrong."""
    assert broken(bench, HEALTHY) == {}


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda specimen: specimen.name)
def test_a_specimen_breaks_what_it_names_and_nothing_else(bench: Bench, specimen: Specimen) -> None:
    """Each check says what is wrong in its world, in words that name it, and the other checks pass."""
    found = broken(bench, specimen)
    assert {name.partition("[")[0] for name in found} == set(specimen.breaks)
    for judged in found.values():
        assert (judged.status, judged.reason) == (specimen.status, specimen.reason), judged.message
        assert specimen.message in judged.message


@pytest.mark.parametrize("error", list(CLASSES))
def test_a_missing_class_is_missed_alone(bench: Bench, error: str) -> None:
    """The sections about the other classes do not stand in for it."""
    world = World()
    rewritten(HEADINGS[error], "")(world)
    judged = bench.over(CHECKS, world)
    assert [name for name, found in judged.items() if found.status != "passed"] == [f"DOC-001[{error}]"]


def test_every_check_has_a_bad_and_a_blind_specimen() -> None:
    """A check that cannot be made to fail, or that cannot say that it is blind, is a defect."""
    for status in ("failed", "unverified"):
        named = {id_ for specimen in SPECIMENS if specimen.status == status for id_ in specimen.breaks}
        assert named == {"DOC-001", "DOC-003"}


@pytest.mark.parametrize(
    ("error", "heading"),
    [
        ("401", "401 Unauthorized"),
        ("401", "Auth failures"),
        ("401", "Authentication errors"),
        ("401", "Mistral rejected our key"),
        ("401", "Invalid API key"),
        ("429", "HTTP 429"),
        ("429", "Rate limits exceeded"),
        ("429", "Rate-limited by Mistral"),
        ("429", "Too many requests"),
        ("5xx", "5xx"),
        ("5xx", "500/502/503"),
        ("5xx", "Server errors"),
        ("5xx", "Outage of the Mistral API"),
        ("timeout", "Timeouts"),
        ("timeout", "Requests time out"),
        ("timeout", "Mistral timed out"),
        ("timeout", "`timeout` errors"),
    ],
)
def test_a_heading_names_its_class_in_many_words(error: str, heading: str) -> None:
    """However a team words it."""
    assert list(uncovered(written(f"# Runbook\n\n## {heading}\n\n1. Call somebody.\n"), error)) == []


@pytest.mark.parametrize(
    ("error", "heading"),
    [
        ("401", "Authors"),
        ("401", "Key rotation"),
        ("401", "Port 4010"),
        ("429", "Rates of exchange"),
        ("5xx", "Latency above 500 ms"),
        ("5xx", "Server setup"),
        ("timeout", "Timetable"),
    ],
)
def test_a_heading_about_something_else_names_no_class(error: str, heading: str) -> None:
    """A word that only looks alike is no instruction."""
    (offender,) = uncovered(written(f"# Runbook\n\n## {heading}\n\n1. Call somebody.\n"), error)
    assert heading in offender.found


def test_a_title_that_names_every_class_covers_none() -> None:
    """It announces the document, and the steps below it are about whatever comes first."""
    text = "# Incidents: 401, 429, 5xx, timeout, rollback\n\n1. Keep calm.\n\n## Contacts\n\n- Bob\n"
    assert all(list(uncovered(written(text), error)) for error in CLASSES)
    assert list(no_way_back(written(text)))


def test_one_good_section_is_enough() -> None:
    """A table of contents or a glossary that names the class too does no harm."""
    assert list(uncovered(written("## 401 in short\n\nProse.\n\n## 401 in depth\n\n- Step.\n"), "401")) == []


@pytest.mark.parametrize(
    "command",
    [
        "```sh\nkubectl rollout undo deployment/chat\n```",
        "```\nhelm rollback chat\n```",
        "    kubectl rollout undo deployment/chat",
        "Run `kubectl rollout undo deployment/chat`.",
        "- Run `./scripts/rollback.sh production`.",
        "1. Go:\n\n   ```console\n   $ vercel rollback\n   ```",
        "### With Helm\n\n```bash\nhelm rollback chat\n```",
    ],
)
def test_a_command_to_roll_back_may_stand_in_many_forms(command: str) -> None:
    """Whatever can be pasted."""
    assert list(no_way_back(written(f"# Runbook\n\n## Rolling back\n\n{command}\n"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "Set `replicas` back.",
        "```yaml\nreplicas: 2\n```",
        "```sh\n# to be written\n```",
        "```sh\n```",
        "Call `Bob`.",
        "## Deploying\n\n```sh\nkubectl apply -f .\n```",
    ],
)
def test_what_cannot_be_run_is_no_command(text: str) -> None:
    """A word in code style, a manifest, a comment, an empty block, the next section."""
    (offender,) = no_way_back(written(f"# Runbook\n\n## Rollback\n\n{text}\n"))
    assert offender.what == "the rollback is described without commands"
    assert offender.where == "RUNBOOK.md:3"
