"""The story of docs/shipping.md, told in the real world: what each command comes to, and what it leaves."""

from __future__ import annotations

import json
import re
import zipfile

import pytest

from tests.real.shipping import SETTINGS
from tests.real.story import PAGE, STEPS, block, skeleton, story
from tests.real.story_stage import BAD, GOOD, TOLD, Step, Told

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("story")]

Tales = dict[str, Told]


@pytest.fixture(scope="module")
def tales(tmp_path_factory: pytest.TempPathFactory) -> Tales:
    """All of it in one world, to the first step that does not come to what it must."""
    for _ in range(2):  # a busy machine that stalls for seconds opens a circuit, or adds a finding about time
        tales = {told.step.name: told for told in story(tmp_path_factory.mktemp("story"))}
        if len(tales) == len(STEPS) and all(told.as_expected for told in tales.values()):
            break
    return tales


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_a_step_comes_to_what_it_must(tales: Tales, step: Step) -> None:
    """Its exit status, its verdict, and the checks that fail, each with what it is about; no other is left open."""
    assert step.name in tales, f"the story ended at {list(tales)[-1]}"
    done = tales[step.name].done
    assert (done.code, done.verdict) == (step.code, step.verdict), done.printed
    assert done.broken == dict.fromkeys(step.failed, "failed"), done.printed
    for id_, says in step.failed.items():
        assert re.search(says, str(done.findings[id_]["offenders"])), done.findings[id_]["offenders"]


def test_the_flaw_is_told_by_its_numbers(tales: Tales) -> None:
    """By Prometheus, about three in a hundred of the canary's calls fail, and next to none of the stable version's."""
    (offender,) = tales["canary-50"].done.findings["ROL-003"]["offenders"]
    share, requests, other = re.findall(r"([\d.]+)% of (\d+) requests failed.*?version ([\d.]+)%", offender["found"])[0]
    assert 2.0 <= float(share) <= 4.0, offender
    assert int(requests) >= 11 * 33, offender  # with fewer than eleven failures it could not be told from chance
    assert float(other) < 0.5, offender


def test_the_image_before_runs_again_after_the_rollback(tales: Tales) -> None:
    """In the canary's pods, in place of the one that was refused; the stable version had no part in it."""
    before, after = tales["canary-50"].images, tales["rollback"].images
    assert before["chat-canary"] == {BAD}
    assert after["chat-canary"] == before["chat"] == after["chat"]


def test_the_verdicts_are_kept_for_the_images(tales: Tales) -> None:
    """The refused one cannot go on from where it was stopped; the mended one was cleared step by step."""
    folder = tales["postdeploy"].clearances
    rows = [json.loads(path.read_text("utf-8")) for path in folder.iterdir()]
    kept = {(row["image"], row["phase"], row["step"]): row["verdict"] for row in rows}
    assert kept == {
        (BAD, "preflight", None): "GO",
        (BAD, "rollout", 10): "GO",
        (BAD, "rollout", 50): "NO-GO",
        (GOOD, "preflight", None): "GO",
        (GOOD, "rollout", 10): "GO",
        (GOOD, "rollout", 50): "GO",
        (GOOD, "rollout", 100): "GO",
    }


def test_everybody_has_the_mended_image_in_the_end(tales: Tales) -> None:
    """And the canary has no pod any more."""
    assert tales["postdeploy"].images == {"chat": {GOOD}, "chat-canary": set()}


def test_people_are_told_of_the_rollback_once_and_of_nothing_else(tales: Tales) -> None:
    """By each channel that is configured."""
    assert tales["canary-50"].people == []
    assert sorted(tales["postdeploy"].people) == ["pagerduty", "slack"]


def test_the_incident_pack_is_left(tales: Tales) -> None:
    """With a manifest of what is in it."""
    with zipfile.ZipFile(tales["rollback"].folder / "incident-pack.zip") as pack:
        assert pack.testzip() is None
        names = pack.namelist()
    assert any(name.endswith("manifest.json") for name in names), names


def test_the_page_shows_what_the_world_says(tales: Tales) -> None:
    """Each command, each verdict, each check that fails; `python -m tests.real.story write` brings it up to date."""
    page = PAGE.read_text("utf-8")
    for name, told in tales.items():
        assert skeleton(block(page, name)) == skeleton(told.shown), name


def test_the_settings_of_the_page_are_those_of_the_world() -> None:
    """Word by word."""
    shown = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert shown == [SETTINGS.lstrip(), TOLD.format(url="http://127.0.0.1:8090/v2/enqueue")]
