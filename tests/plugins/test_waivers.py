"""A waiver covers what it says, as long as it says, and is refused where it could not be trusted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.catalogue import Catalogue
from plugins.waivers import WaiverError, Waivers, load
from reports.model import Entry

TODAY = date(2026, 11, 22)
VALID = {
    "check": '"INF-002"',
    "environment": '"production"',
    "reason": '"The sidecar has no readiness endpoint before version 2.4"',
    "ticket": '"OPS-1234"',
    "owner": '"ada@example.com"',
    "approver": '"grace@example.com"',
    "expires": "2026-12-31",
}


def entry(id_: str, *, waivable: bool = True) -> Entry:
    return Entry(
        id=id_,
        area="infra",
        phase="preflight",
        severity="blocker",
        claim="It holds.",
        remedy="Mend it.",
        waivable=waivable,
        test="checks/infra/x.py::test_x",
        observations=(),
    )


CATALOGUE = Catalogue(
    {row.id: row for row in (entry("INF-002"), entry("INF-003"), entry("COD-001"), entry("SEC-003", waivable=False))}
)


def written(folder: Path, *waivers: dict[str, str | None]) -> Path:
    """A waivers.toml with these changes to the valid waiver, beside the files of two environments."""
    for name in ("base", "production", "staging"):
        (folder / f"{name}.toml").touch()
    rows = [{**VALID, **changes} for changes in waivers]
    blocks = ["\n".join(f"{key} = {value}" for key, value in row.items() if value is not None) for row in rows]
    file = folder / "waivers.toml"
    file.write_text("".join(f"[[waiver]]\n{block}\n" for block in blocks), "utf-8")
    return file


def loaded(file: Path, *, environment: str = "production", today: date = TODAY) -> Waivers:
    return load(file, CATALOGUE, environment, today)


def refusal(file: Path) -> str:
    with pytest.raises(WaiverError) as error:
        loaded(file)
    return str(error.value)


def test_a_waiver_covers_its_check_in_its_environment(tmp_path: Path) -> None:
    """And no other check, and nowhere else."""
    file = written(tmp_path, {})
    waiver = loaded(file).covering("INF-002")
    assert waiver is not None
    assert waiver.document() == {
        "check": "INF-002",
        "environment": "production",
        "reason": "The sidecar has no readiness endpoint before version 2.4",
        "ticket": "OPS-1234",
        "owner": "ada@example.com",
        "approver": "grace@example.com",
        "expires": "2026-12-31",
    }
    assert loaded(file).covering("INF-003") is None
    assert loaded(file, environment="staging").covering("INF-002") is None
    assert loaded(file, environment="staging").rows(set()) == []


@pytest.mark.parametrize("content", [None, "", "# nothing yet\n"])
def test_no_file_and_an_empty_file_hold_no_waivers(tmp_path: Path, content: str | None) -> None:
    """Nothing is covered then, which is the safe side."""
    file = tmp_path / "waivers.toml"
    if content is not None:
        file.write_text(content)
    assert loaded(file).entries == ()


def test_a_date_may_stand_in_quotes(tmp_path: Path) -> None:
    """TOML has dates of its own, people write both."""
    assert loaded(written(tmp_path, {"expires": '"2026-12-31"'})).entries[0].expires == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("moment", "covers"),
    [
        (datetime(2026, 12, 31, 0, 0, tzinfo=UTC), True),
        (datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), True),
        (datetime(2027, 1, 1, 0, 0, tzinfo=UTC), False),
        (datetime(2027, 1, 1, 1, 59, 59, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 12, 31, 23, 0, tzinfo=timezone(timedelta(hours=-2))), False),
    ],
)
def test_a_waiver_ends_with_its_day_in_utc(tmp_path: Path, moment: datetime, covers: bool) -> None:
    """Whatever the clock on the wall says."""
    waivers = loaded(written(tmp_path, {}), today=moment)
    assert (waivers.covering("INF-002") is not None) is covers


def test_a_moment_without_time_zone_is_refused(tmp_path: Path) -> None:
    """It would end the waiver at another hour on each machine."""
    with pytest.raises(ValueError, match="time zone"):
        loaded(written(tmp_path, {}), today=datetime(2026, 11, 22))  # noqa: DTZ001 - the point of this test


def test_an_expired_waiver_covers_nothing_and_is_reported(tmp_path: Path) -> None:
    """Yesterday's exception is no exception."""
    waivers = loaded(written(tmp_path, {"expires": "2026-11-21"}))
    assert waivers.covering("INF-002") is None
    assert [row["state"] for row in waivers.rows(set())] == ["expired"]


def test_the_state_of_each_waiver_is_reported(tmp_path: Path) -> None:
    """Covers, about to expire, expired, orphan."""
    file = written(
        tmp_path,
        {"check": '"INF-002"', "expires": "2026-12-07"},
        {"check": '"INF-003"', "expires": "2026-12-06"},
        {"check": '"COD-001"', "expires": "2026-11-22"},
    )
    waivers = loaded(file)

    def states(used: set[str], asked: set[str] | None = None) -> list[str]:
        return [row["state"] for row in waivers.rows(used, asked)]

    assert states({"INF-002", "INF-003", "COD-001"}) == ["covers", "expires_soon", "expires_soon"]
    assert states({"INF-002"}) == ["covers", "orphan", "orphan"]
    assert states(set(), asked={"COD-001"}) == ["covers", "expires_soon", "orphan"]
    assert states(set(), asked=set()) == ["covers", "expires_soon", "expires_soon"]


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "missing field": ({"ticket": None}, "waiver 1: ticket: found no such field, expected each of check, environment"),
    "unknown field": ({"aprover": '"x"'}, "waiver 1: aprover: found an unknown field, expected one of check"),
    "near field": ({"aprover": '"x"'}, "did you mean approver?"),
    "empty field": ({"reason": '"  "'}, "waiver 1: reason: found an empty text, expected text"),
    "wrong type": ({"owner": "7"}, "waiver 1: owner: found the number 7, expected text"),
    "no date": ({"expires": '"soon"'}, "waiver 1: expires: found 'soon', expected a date, such as 2026-12-31"),
    "no such day": ({"expires": '"2026-02-30"'}, "expires: found '2026-02-30', expected a date"),
    "week date": ({"expires": '"2026-W50-1"'}, "expires: found '2026-W50-1', expected a date"),
    "time of day": ({"expires": "2026-12-31T10:00:00Z"}, "expires: found a date or time, expected a date"),
    "number for a date": ({"expires": "20261231"}, "expires: found the number 20261231, expected a date"),
    "too far": (
        {"expires": "2027-02-21"},
        "found 2027-02-21, 91 days ahead, expected 2027-02-20 at the latest (90 days)",
    ),
    "unknown check": (
        {"check": '"INF-02"'},
        "found 'INF-02', an unknown check, expected the id of a check; did you mean",
    ),
    "lower case check": ({"check": '"inf-002"'}, "did you mean INF-002?"),
    "non-waivable": ({"check": '"SEC-003"'}, "check: found SEC-003, which cannot be waived (It holds.)"),
    "self-approved": ({"approver": '"ada@example.com"'}, "approver: found the owner, expected somebody else"),
    "self-approved in capitals": ({"approver": '" ADA@example.com "'}, "approver: found the owner"),
    "self-approved by name": ({"approver": '"Ada L. <ada@example.com>"'}, "approver: found the owner"),
    "unknown environment": (
        {"environment": '"prod"'},
        "found 'prod', an unknown environment, expected one of production,",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_waiver_that_cannot_be_trusted_is_refused(tmp_path: Path, name: str) -> None:
    """Each with its own sentence: file, place, what was found, what is expected."""
    changes, message = REFUSED[name]
    text = refusal(written(tmp_path, changes))
    assert message in text
    assert text.startswith(f"{tmp_path / 'waivers.toml'}: waiver 1: ")
    assert len(text.splitlines()) == 1


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Nobody wants to run it once for each."""
    text = refusal(written(tmp_path, {"ticket": None, "expires": '"soon"'}, {}, {"check": '"SEC-003"'}))
    assert [line.split(": found")[0].split(": ", 1)[1] for line in text.splitlines()] == [
        "waiver 1: ticket",
        "waiver 1: expires",
        "waiver 3: check",
    ]


def test_two_waivers_for_one_check_are_refused(tmp_path: Path) -> None:
    """Which of them holds would be a guess; for two environments they are two."""
    assert "waiver: found two for INF-002 in production, expected one" in refusal(written(tmp_path, {}, {}))
    assert len(loaded(written(tmp_path, {}, {"environment": '"staging"'})).entries) == 1


def test_problems_of_another_environment_are_told_too(tmp_path: Path) -> None:
    """The file is one; a mistake in it should not wait for the day when it matters."""
    assert "waiver 1: ticket" in refusal(written(tmp_path, {"environment": '"staging"', "ticket": None}))


def test_a_copy_in_a_runs_folder_knows_no_environments(tmp_path: Path) -> None:
    """A replay reads it where no environment's file lies beside it."""
    file = written(tmp_path, {"environment": '"canary"'})
    (tmp_path / "base.toml").unlink()
    assert loaded(file, environment="canary").covering("INF-002")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[waiver]\ncheck = 'INF-002'\n", "waiver: found [waiver], expected a list of tables: [[waiver]]"),
        (b"waiver = 3\n", "waiver: found the number 3, expected a list of tables"),
        (b"waiver = [3]\n", "waiver: found an array of 1, expected a list of tables"),
        (b"[[waivers]]\n", "waivers: found an unknown key, expected [[waiver]] and nothing else; did you mean waiver?"),
        (b"[[waiver]\n", "line 1, column "),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: found bytes that are not UTF-8 text"),
        ("reason = 'überholt'".encode("latin-1"), "line 1: found bytes that are not UTF-8 text"),
        (b"# a\n# b\0\n", "line 2: found a NUL byte"),
        (b"#" * 50_000_000, "found a file larger than 1000000 bytes"),
    ],
    ids=["table", "number", "list", "plural", "syntax", "picture", "Latin-1", "NUL", "50 MB"],
)
def test_a_file_that_is_none_of_waivers_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """Never taken for one without waivers, and read within bounds."""
    file = tmp_path / "waivers.toml"
    file.write_bytes(content)
    assert message in refusal(file)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """It is there, so it is not "no waivers"."""
    assert "found a folder, expected a TOML file of waivers" in refusal(tmp_path)


@settings(deadline=None, max_examples=50)
@given(days=st.integers(-400, 400))
def test_a_waiver_covers_exactly_its_days(days: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Refused more than 90 days ahead, covering from then to its last day, expired after it."""
    file = written(tmp_path_factory.mktemp("waivers"), {"expires": str(TODAY + timedelta(days))})
    if days > 90:
        assert "days ahead" in refusal(file)
    else:
        assert (loaded(file).covering("INF-002") is not None) is (days >= 0)
