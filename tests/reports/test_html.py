"""report.html: everything that an auditor needs, in one file in which nothing runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import build, html
from reports.model import Offender, Result
from tests.reports import runs, strategies
from tests.reports.page import Element, parsed

TAGS = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "article"}
TAGS |= {"h1", "h2", "h3", "h4", "p", "div", "span", "strong", "a", "code", "pre", "ol", "ul", "li", "dl", "dt"}
TAGS |= {"dd", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"}
TAGS |= {"svg", "desc", "circle", "path", "rect"}


def page(folder: Path) -> Element:
    return parsed(html.text(build.build(folder), folder))


def single(folder: Path, **fields: Any) -> Element:
    """The page of a run with one check and one result."""
    evidence = fields.pop("evidence", ())
    result = Result(**{"id": "INF-002", "status": "failed", "evidence": evidence} | fields)
    runs.written(folder, runs.header((runs.entry("INF-002", remedy=runs.PROBE_REMEDY),)), [result], runs.end())
    return page(folder)


def test_the_verdict_stands_first(tmp_path: Path) -> None:
    """One h1 with the verdict, then the headline, in the banner."""
    tree = page(runs.mixed(tmp_path))
    banner = tree.one("header")
    assert banner.one("h1").words == "NO-GO"
    assert banner.one(id="headline").text == build.build(tmp_path).headline
    assert tree.one("head").one("title").text == "NO-GO: chat, production, preflight"


def test_a_sandbox_is_called_one_in_the_banner(tmp_path: Path) -> None:
    """Nobody can take a screenshot of the verdict without it."""
    sandbox = {"name": "sandbox", "sandbox": True, "config": []}
    banner = page(runs.clean(tmp_path / "sandbox", environment=sandbox)).one("header")
    assert "this proves nothing about a real service" in banner.one("strong").text + banner.words
    assert [*page(runs.clean(tmp_path / "real")).one("header").all("strong")] == []


def test_findings_stand_by_status_the_worst_first(tmp_path: Path) -> None:
    """Failed, unverified, waived, not run; blockers before advisories; then what holds, by area."""
    main = page(runs.mixed(tmp_path)).one("main")
    shown = [
        (row.attributes["data-id"], row.attributes["data-status"]) for row in main.all() if "data-id" in row.attributes
    ]
    assert shown[:7] == [
        ("COD-005", "failed"),
        ("INF-002", "failed"),
        ("INF-005", "failed"),
        ("SEC-007", "unverified"),
        ("INF-009", "unverified"),
        ("SEC-005", "waived"),
        ("DOC-007", "not_run"),
    ]
    assert {status for _, status in shown[7:]} == {"passed", "not_applicable"}
    assert [heading.words for heading in main.all("h2")] == [
        "16 checks to answer",
        "Failed 3",
        "Could not be verified 2",
        "Waived 1",
        "Not run 1",
        "What holds, by area",
        "Waivers 2",
        "Evidence 4",
        "Replay and audit",
    ]


def test_a_finding_shows_all_of_itself(tmp_path: Path) -> None:
    """Id, severity, claim, message, offenders, what to paste, evidence."""
    card = page(runs.mixed(tmp_path)).one("article", data_id="INF-002")
    for text in ("failed", "INF-002", "blocker", "infra", "Traffic reaches a container", "2 of 2 containers"):
        assert text in card.words
    header, *rows = [[cell.words for cell in (*row.all("th"), *row.all("td"))] for row in card.all("tr")]
    assert header == ["What", "Where", "Found", "Expected"]
    assert rows[1] == ["proxy", "deployment chat/chat", "no readinessProbe", "a probe of its own /ready"]
    pasted = [block.text for block in card.all("pre")]
    assert pasted[0].startswith("containers:\n  - name: chat\n    readinessProbe:")
    assert pasted[1].startswith("$ kubectl -n chat apply")
    links = [link.attributes["href"] for link in card.all("a")]
    assert links == ["#observation-4", "observations/workload.json"]


def test_what_could_not_be_seen_says_why(tmp_path: Path) -> None:
    """The reason in words, and the step that would fix it."""
    card = page(runs.mixed(tmp_path)).one("article", data_id="SEC-007")
    assert "Could not look denied (a permission is missing)" in card.words
    assert "kubectl -n chat create role golive-secret" in card.one("pre").text


def test_what_did_not_run_is_a_row_with_its_reason(tmp_path: Path) -> None:
    """Forty checks that a killed run left out are a list, not forty cards; each can be opened."""
    row = page(runs.mixed(tmp_path)).one("details", data_id="DOC-007")
    assert row.one("summary").words == (
        "○ not run DOC-007 The runbooks hold no placeholder and no dead link. deselected by -k blocker"
    )
    assert row.one("pre").text == "pytest -m preflight --env production"


def test_a_waiver_says_who_answers_until_when(tmp_path: Path) -> None:
    """On the finding, with what is beneath; and in the table of all waivers."""
    tree = page(runs.mixed(tmp_path))
    card = tree.one("article", data_id="SEC-005")
    for text in ("failed", "OPS-1412", "lea.moreau", "j.okafor", "2026-12-01", "needs their sign-off"):
        assert text in card.words
    table = next(table for table in tree.all("table") if "Every waiver" in table.words)
    assert "SEC-005 expires soon" in table.words
    assert "INF-003 orphan" in table.words


def test_evidence_is_embedded_whole(tmp_path: Path) -> None:
    """The one file stands alone: the recorded JSON can be read out of it."""
    tree = page(runs.mixed(tmp_path))
    shown = [json.loads(block.text) for block in tree.all("pre") if block.attributes.get("class") == "json"]
    recorded = [json.loads(file.read_text()) for file in sorted((tmp_path / "observations").iterdir())]
    assert shown == recorded


def test_a_look_says_what_was_asked_when_and_its_hash(tmp_path: Path) -> None:
    """Without unfolding anything, on paper too; the full hashes of what was verified stand at the end."""
    runs.observe(tmp_path, "rules", {}, sources=["GET /rules", "GET /query", "GET /targets"])
    row = single(tmp_path).one("details", id="observation-1").one("summary").words
    sha256 = build.build(tmp_path).observations[0].sha256
    assert row == f"seen rules 22 Nov 2026, 15:08:01 UTC, 0.31 s, sha256 {sha256[:12]} GET /rules and 2 more"


def test_the_banner_shortens_hashes_and_the_end_has_them_whole(tmp_path: Path) -> None:
    """People compare twelve digits; an auditor needs all of them."""
    image, revision = f"registry.example/chat:1.4.2@sha256:{'5f1c9d0e' * 8}", "325df976d07900b67872742f654e62c6c7d00eaa"
    tree = page(runs.clean(tmp_path, service={"name": "chat", "image": image, "revision": revision}))
    shown = [value.words for value in tree.one("header").all("dd")]
    assert shown[1:3] == ["registry.example/chat:1.4.2@sha256:5f1c9d0e5f1c", "325df976d079"]
    codes = [code.text for code in tree.one("main").all("code")]
    assert {image, revision} <= set(codes)


def test_long_evidence_is_cut_and_says_so(tmp_path: Path) -> None:
    """Each to its bound, all together to theirs; nothing is cut in silence."""
    for number in range(60):
        runs.observe(tmp_path, f"big_{number:02}", "x" * 100_000)
    tree = single(tmp_path)
    notes = [note.words for note in tree.all("p") if note.attributes.get("class") == "truncated"]
    assert len(notes) == 60
    hidden = (tmp_path / "observations/big_00.json").stat().st_size - html.EVIDENCE_EACH
    assert re.fullmatch(r"([\d,]+) more characters are in observations/big_00\.json\.", notes[0])
    assert abs(int(notes[0].split()[0].replace(",", "")) - hidden) < 100  # indented by one more than the file
    assert len(html.text(build.build(tmp_path), tmp_path)) < html.EVIDENCE_WHOLE + 200_000


def test_many_offenders_are_counted_not_all_listed(tmp_path: Path) -> None:
    """The page stays readable; the rest is in report.json."""
    card = single(tmp_path, offenders=tuple(Offender(f"pod-{n}") for n in range(1000))).one("article")
    assert len([*card.all("tr")]) == html.OFFENDERS + 1
    assert "1000 offenders" in card.words
    assert "And 800 more in report.json." in card.words


def test_an_empty_column_is_left_out(tmp_path: Path) -> None:
    """An offender that is only a name makes a table of one column."""
    card = single(tmp_path, offenders=(Offender("a"), Offender("b", found="x"))).one("article")
    assert [cell.words for cell in card.all("th")] == ["What", "Found"]


def test_how_to_replay_can_be_pasted(tmp_path: Path) -> None:
    """With the phase, the environment and the run's own name, quoted for a shell where they need it."""
    blocks = [block.text for block in page(runs.mixed(tmp_path / "a run")).one("main").all("pre")]
    assert "pytest -m preflight --env production --replay 'reports/runs/a run'" in blocks
    assert "python -m reports verify 'reports/runs/a run'" in blocks


def test_the_counts_bar_has_a_title_a_description_and_a_table(tmp_path: Path) -> None:
    """Who cannot see the bar reads the same."""
    tree = page(runs.mixed(tmp_path))
    bar = tree.one("svg", role="img")
    assert bar.one("title").text == "Findings by status"
    assert bar.one("desc").text == "3 failed, 2 unverified, 1 not run, 1 waived, 8 passed, 1 not applicable"
    rows = {row.attributes["data-count"]: int(row.one("td").text) for row in tree.one("table", id="counts").all("tr")}
    assert rows == build.build(tmp_path).counts


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(head=strategies.headers(), ending=strategies.endings(), data=st.data())
def test_nothing_hostile_becomes_markup(tmp_path: Path, head: Any, ending: Any, data: st.DataObject) -> None:
    """Whatever names and messages hold: our elements only, closed in order, no script, no handler, no odd address."""
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    runs.observe(folder, "o", {"x": data.draw(strategies.texts).encode("utf-8", "replace").decode()})
    runs.written(folder, head, data.draw(strategies.results(head.catalogue)), ending)
    text = html.text(build.build(folder), folder)
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    tree = parsed(text)
    assert {element.tag for element in tree.all()} <= TAGS
    for element in tree.all():
        assert not [name for name in element.attributes if name.startswith("on") or name in {"src", "action"}]
        address = element.attributes.get("href")
        ours = r"#[\w-]+|((observations|drafts)/)?[\w.-]+\.(json|xml|md)"
        assert address is None or re.fullmatch(ours, address), address


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "]]>",
        "</style><b>",
        "{{ 7 * 7 }}",
        '" onmouseover="x',
        "&lt;b&gt;",
        "${jndi:ldap://x}",
    ],
)
def test_hostile_text_is_shown_as_it_is(tmp_path: Path, text: str) -> None:
    """The reader sees exactly what was found."""
    card = single(tmp_path, message=text, offenders=(Offender(text, text, text, text),)).one("article")
    assert card.words.count(text) == 5


@pytest.mark.parametrize(
    "path",
    ["javascript:alert(1)", "https://evil.example/x.json", "../../etc/passwd", "observations/../x.json", "/etc/passwd"],
)
def test_evidence_elsewhere_is_no_link(tmp_path: Path, path: str) -> None:
    """A path that does not lie in the run's folder is shown as text."""
    card = single(tmp_path, evidence=(path,)).one("article")
    assert [*card.all("a")] == []
    assert path in card.words


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    """The policy forbids all but inline style, and nothing in the page would need more."""
    text = html.text(build.build(runs.mixed(tmp_path)), tmp_path)
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    assert parsed(text).one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"] == policy
    style = parsed(text).one("style").text
    assert [word for word in ("url(", "@import", "http", "expression(") if word in style] == []
    assert [word for word in ("<script", "<link", "<img", "<iframe", "javascript:") if word in text.lower()] == []


def test_ids_are_unique_and_every_anchor_leads_somewhere(tmp_path: Path) -> None:
    """A link within the page that goes nowhere is a promise not kept."""
    tree = page(runs.mixed(tmp_path))
    ids = [str(element.attributes["id"]) for element in tree.all() if "id" in element.attributes]
    assert sorted(ids) == sorted(set(ids))
    targets = {
        str(link.attributes["href"])[1:] for link in tree.all("a") if str(link.attributes["href"]).startswith("#")
    }
    assert targets <= set(ids)


def test_a_run_without_a_phase_has_no_verdict_in_the_banner(tmp_path: Path) -> None:
    """It says so, and does not look like a GO."""
    banner = page(runs.clean(tmp_path, phase=None)).one("header")
    assert banner.attributes["class"] == "banner no-verdict"
    assert banner.one("h1").words == "No verdict"


def _luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, WCAG 2.2."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_banner_can_be_read_on_every_part_of_its_gradient() -> None:
    """White on each end of each verdict's colours, dark on each stripe of the sandbox's caveat: 4.5 to 1 at least."""
    css = (Path(html.__file__).parent / "templates/report.css").read_text("utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css.split("@media")[0]))
    ends = [f"{name}{end}" for name in ("go", "no-go", "partial", "none") for end in ("", "-deep")]
    assert {end: ratio for end in ends if (ratio := _contrast("#ffffff", colours[end])) < 4.5} == {}
    stripes = re.findall(r"#[0-9a-f]{6}", next(line for line in css.splitlines() if line.startswith(".caveat {")))
    *backgrounds, ink = stripes
    assert min(_contrast(ink, background) for background in backgrounds) > 4.5


def _templates(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Render a page as a fresh process does, with `folder` for what Jinja compiles; what is there then."""
    monkeypatch.setattr(html, "cache_from_source", lambda file: f"{folder}/{Path(file).name}c")
    html._environment.cache_clear()
    try:
        assert page(runs.clean(Path(mkdtemp(dir=folder)))).one("h1").text
    finally:
        html._environment.cache_clear()
    return sorted(folder.glob("*.cache"))


def test_templates_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next process reads them, unless how they are escaped has changed meanwhile."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    written = {file: file.read_bytes() for file in _templates(tmp_path, monkeypatch)}
    assert len(written) > 1
    monkeypatch.setattr("jinja2.Environment._generate", None)  # nothing can be compiled
    _templates(tmp_path, monkeypatch)
    monkeypatch.undo()
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    monkeypatch.setattr(html, "_settings", lambda: "other")
    assert all(written[file] != file.read_bytes() for file in _templates(tmp_path, monkeypatch))


@pytest.mark.parametrize("damage", [b"", b"\0", None], ids=["empty", "damaged", "cut"])
def test_a_damaged_template_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any) -> None:
    """Whatever pickle or marshal make of it."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    for file in _templates(tmp_path, monkeypatch):
        file.write_bytes(file.read_bytes()[:-40] if damage is None else damage * 500)
    assert all(file.stat().st_size > 600 for file in _templates(tmp_path, monkeypatch))


def test_nothing_compiled_is_kept_where_python_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By PYTHONDONTWRITEBYTECODE, or where the folder may not be written."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert _templates(tmp_path, monkeypatch) == []
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", _denied)
    assert _templates(tmp_path, monkeypatch) == []


def _denied(*_: Any, **__: Any) -> None:
    raise PermissionError("read-only")
