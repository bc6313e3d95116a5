"""report.html as a browser shows it: to everybody, on every screen, on paper, and with nothing running in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from reports import build
from reports.model import Offender, Result
from tests.reports import runs

pytestmark = pytest.mark.real

AXE = Path(__file__).parents[1] / "browser/node_modules/axe-core/axe.min.js"
SANDBOX = {"name": "sandbox", "sandbox": True, "config": ["environments/sandbox.toml"]}
LONG = "x" * 3000
ATTACK = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>\u202e\x1b[31m"


def missing(what: str, install: str) -> NoReturn:
    """A pipeline must have its parts; elsewhere the reader is told how to get them."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing: {install}")
    pytest.skip(f"needs {what}: {install}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which is run in the page from outside: the page itself could not load it."""
    if not AXE.is_file():
        missing("axe-core", "npm ci --prefix tests/browser")
    return AXE.read_text("utf-8")


def hostile(folder: Path) -> Path:
    """Every text is an attack, and longer than any line."""
    runs.observe(folder, "workload", {ATTACK: LONG}, sources=[ATTACK + LONG])
    entries = tuple(
        runs.entry(f"INF-{number:03}", ATTACK + LONG, remedy=f"{ATTACK}{LONG}\n\n    {LONG}") for number in range(1, 5)
    )
    offender = Offender(ATTACK + LONG, ATTACK, LONG, ATTACK)
    results = [
        Result(id="INF-001", status="failed", message=ATTACK + LONG, offenders=(offender,) * 3),
        Result(id="INF-002", status="unverified", reason="denied", message=LONG, parameter=ATTACK),
        Result(id="INF-003", status="passed", message=LONG, evidence=("observations/workload.json",)),
        Result(id="INF-004", status="not_applicable", message=LONG),
    ]
    waivers = (dict.fromkeys(runs.WAIVER, ATTACK + LONG),)
    environment = {"name": ATTACK, "sandbox": True, "config": [LONG]}
    service = {"name": LONG, "image": ATTACK, "revision": LONG}
    head = runs.header(entries, waivers=waivers, environment=environment, service=service)
    return runs.written(folder, head, results, runs.end(notes=(ATTACK + LONG,)))


def attacked(folder: Path) -> Path:
    """A triage in which each text is an attack, and longer than any line."""

    def hostile(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hostile(item) for key, item in value.items()}
        return [hostile(item) for item in value] if isinstance(value, list) else ATTACK + LONG

    return runs.triaged(folder, **{key: hostile(value) for key, value in runs.TRIAGE.items()})


def attacked_watch(folder: Path) -> Path:
    """A watch in which each text is an attack, and longer than any line; no bound, no time, no figure is sane."""
    reading = {"name": ATTACK + LONG, "value": 1e300, "bound": -1.0, "unit": "s"}
    row = {"at": ATTACK + LONG, "statuses": {ATTACK: "failed"}, "failed": [ATTACK + LONG] * 3, "says": [LONG]}
    return runs.watched(folder, [{"number": -(10**9), **row, "readings": [reading] * 20}] * 130)


def killed(folder: Path) -> Path:
    return runs.written(folder, runs.header(runs.CATALOGUE), [Result(id="SEC-001", status="passed")], None)


RUNS: dict[str, Callable[[Path], Path]] = {
    "mixed": runs.mixed,
    "clean": lambda folder: runs.clean(folder, environment=SANDBOX),
    "killed": killed,
    "no-phase": lambda folder: runs.clean(folder, phase=None, replay="20261122T1508-production-preflight"),
    "hostile": hostile,
    "triage": runs.triaged,
    "attacked-triage": attacked,
    "watched": runs.watched,
    "attacked-watch": attacked_watch,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of the report of each run."""
    addresses = {}
    for name, make in RUNS.items():
        folder = make(tmp_path_factory.mktemp(name))
        assert build.publish(folder)[1] == []
        addresses[name] = (folder / "report.html").as_uri()
    return addresses


def opened(browser: Browser, address: str, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.goto(address)
    return page


def unfold(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(row => { row.open = true })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", RUNS)
def test_everybody_can_read_it(
    browser: Browser, pages: dict[str, str], axe: str, name: str, width: int, scheme: str
) -> None:
    """No finding of axe-core, WCAG 2.2 AA and best practices, with everything unfolded."""
    size = {"width": width, "height": 800}
    page = opened(browser, pages[name], viewport=size, color_scheme=scheme)
    unfold(page)
    page.evaluate(axe)
    outcome = page.evaluate("axe.run()")
    page.context.close()
    found = [(row["id"], [node["html"][:120] for node in row["nodes"]]) for row in outcome["violations"]]
    assert found == []
    assert len(outcome["passes"]) > 20


@pytest.mark.parametrize("name", RUNS)
def test_the_verdict_is_white_on_its_colour(browser: Browser, pages: dict[str, str], name: str) -> None:
    """axe-core cannot tell the contrast of a text over a gradient; that of white is shown for each of ours."""
    page = opened(browser, pages[name])
    colours = page.evaluate(
        "[...document.querySelectorAll('.banner *:not(.caveat, .caveat *)')].map(e => getComputedStyle(e).color)"
    )
    page.context.close()
    assert set(colours) == {"rgb(255, 255, 255)"}


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("name", RUNS)
def test_no_screen_has_to_scroll_sideways(browser: Browser, pages: dict[str, str], name: str, width: int) -> None:
    """However narrow the phone and however long the word: the page fits, and nothing is cut off at its side."""
    page = opened(browser, pages[name], viewport={"width": width, "height": 700})
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(
        """width => [...document.querySelectorAll('main *, header *, footer *')]
        .filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('.unseen, thead, svg'))
        .map(e => e.outerHTML.slice(0, 100))""",
        width,
    )
    page.context.close()
    assert beyond == []


@pytest.mark.parametrize("name", RUNS)
def test_nothing_runs_and_nothing_is_asked_for(browser: Browser, pages: dict[str, str], name: str) -> None:
    """One file, one request; no script, no violation of the page's own policy, no message on the console."""
    page = browser.new_context().new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(pages[name])
    unfold(page)
    ran = page.evaluate("window.ran")
    page.context.close()
    assert (asked, said, ran) == ([pages[name]], [], None)


def test_it_is_whole_without_javascript(browser: Browser, pages: dict[str, str]) -> None:
    """Read where scripts are switched off, it shows the same."""
    shown = []
    for enabled in (True, False):
        page = opened(browser, pages["mixed"], java_script_enabled=enabled)
        shown.append(page.locator("body").inner_text())
        page.context.close()
    assert shown[0] == shown[1]
    assert "Every call to Mistral handles its errors." in shown[1]


def test_the_keyboard_reaches_everything(browser: Browser, pages: dict[str, str]) -> None:
    """The first tab stop skips to the findings; each row of what holds opens with Enter; focus can be seen."""
    page = opened(browser, pages["mixed"], viewport={"width": 1280, "height": 800})
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("e => e === document.activeElement && e.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    row = page.locator("details.row > summary").first
    row.focus()
    page.keyboard.press("Enter")
    assert row.evaluate("e => e.parentElement.open")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert row.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.context.close()


def test_a_link_to_evidence_opens_it_to_the_reader(browser: Browser, pages: dict[str, str]) -> None:
    """From a finding to what it rests on, within the file."""
    page = opened(browser, pages["mixed"])
    page.locator("#INF-002 .evidence a").first.click()
    assert page.locator("#observation-4").evaluate("e => e.getBoundingClientRect().top < innerHeight")
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_white_and_carries_the_whole_report(browser: Browser, pages: dict[str, str], scheme: str) -> None:
    """Printed from a dark screen too: dark on white, verdict and findings, without what only a screen can use."""
    page = opened(browser, pages["mixed"], color_scheme=scheme)
    page.emulate_media(media="print", color_scheme=scheme)  # type: ignore[arg-type] # light or dark
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(21, 25, 30)"
    assert page.locator(".contents").is_hidden()
    for text in ("NO-GO", "INF-002", "The Mistral API accepts the key.", "OPS-1412", "cluster_secret"):
        assert page.get_by_text(text).first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.context.close()


def test_status_is_never_told_by_colour_alone(browser: Browser, pages: dict[str, str]) -> None:
    """Each status has its word and its sign; in forced colours the bar keeps its segments apart."""
    page = opened(browser, pages["mixed"], forced_colors="active")
    words = page.locator(".marks .chip, .row > summary > .chip").all_inner_texts()
    assert set(words) == {"✗ failed", "? unverified", "~ waived", "○ not run", "✓ passed", "- not applicable"}
    assert page.locator(".fill").first.evaluate("e => getComputedStyle(e).stroke") != "none"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_watch_is_drawn_and_told_in_words(browser: Browser, pages: dict[str, str], scheme: str) -> None:
    """For who cannot see the chart there are its description and a table; lines differ by more than their colour."""
    page = opened(browser, pages["watched"], color_scheme=scheme, viewport={"width": 1280, "height": 800})
    charts = page.get_by_role("img", name="Errors over the watch")
    assert charts.count() == 1
    assert charts.locator("desc").text_content() == (
        "canary: 0.10 % to 7.40 %; at last 7.40 %, and at most 5.00 % may be; 1 look without data. "
        "stable: 0.11 % to 0.11 %; at last 0.11 %, and at most 5.00 % may be."
    )
    styles = charts.locator(".course, .limit").evaluate_all(
        "rows => rows.map(e => [getComputedStyle(e).stroke, getComputedStyle(e).strokeDasharray])"
    )
    assert len({dashes for _, dashes in styles}) == len({colour for colour, _ in styles}) == 3
    unfold(page)
    assert page.get_by_role("row").filter(has_text="7.40 %").count() == 1
    page.emulate_media(media="print", color_scheme=scheme)  # type: ignore[arg-type] # light or dark
    assert charts.is_visible()
    assert charts.locator(".course-1").first.evaluate("e => getComputedStyle(e).stroke") == "rgb(11, 92, 173)"
    page.context.close()


def test_the_browser_would_tell(browser: Browser, tmp_path: Path, axe: str) -> None:
    """The tests above can fail: a bad page has violations, scrolls sideways and runs its script."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<p style='width: 5000px; color: #eee; background: #fff'>pale text</p><script>window.ran = 1</script>"
    )
    page = opened(browser, bad.as_uri(), viewport={"width": 360, "height": 700})
    page.evaluate(axe)
    violations = {row["id"] for row in page.evaluate("axe.run()")["violations"]}
    assert {"color-contrast", "html-has-lang", "document-title"} <= violations
    assert page.evaluate("document.documentElement.scrollWidth") == 5008
    assert page.evaluate("window.ran") == 1
    with pytest.raises(Error):
        page.evaluate("throw new Error('seen')")
    page.context.close()
