"""What a run can come to, for hypothesis: catalogues, results, endings, and texts that nobody wishes to meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reports.model import STATUSES, Entry, Finding, Offender, Result, Severity
from tests.reports import runs

HOSTILE = (
    "<script>alert(1)</script>",
    "]]>",
    "\x1b[31mred\x1b[0m\x00",
    "\u202egnp.exe",
    "\ud800 lone",
    "| a | `b` **c** [d](javascript:e) @f\n# g",
    "\ufffe\uffff\x85",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }} {% raw %}",
    "a\r\nb\tc",
    "",
)
texts = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=30))
statuses = st.sampled_from(STATUSES)
severities: st.SearchStrategy[Severity] = st.sampled_from(("blocker", "advisory"))
AREAS = ("secrets", "environments", "code", "infra", "docs")


@st.composite
def findings(draw: st.DrawFn, min_size: int = 0, max_size: int = 6) -> list[Finding]:
    """Findings with distinct ids, of every status and severity."""
    size = draw(st.integers(min_size, max_size))
    return [
        Finding(id=f"INF-{n:03}", area="infra", severity=draw(severities), claim="c", status=draw(statuses))
        for n in range(1, size + 1)
    ]


offenders = st.builds(Offender, what=texts, where=texts, found=texts, expected=texts)


@st.composite
def catalogues(draw: st.DrawFn) -> tuple[Entry, ...]:
    areas = sorted(draw(st.lists(st.sampled_from(AREAS), min_size=1, max_size=7)), key=AREAS.index)
    return tuple(
        runs.entry(f"{area[:3].upper()}-{n:03}", draw(texts), area=area, severity=draw(severities), remedy=draw(texts))
        for n, area in enumerate(areas, 1)
    )


@st.composite
def results(draw: st.DrawFn, catalogue: tuple[Entry, ...]) -> list[Result]:
    """Any results for some of the catalogue: with and without parameters, reasons, waivers."""
    rows = []
    for entry in catalogue:
        for parameter in draw(st.sampled_from([(), ("",), ("one", "two")])):
            status = draw(statuses)
            fields: dict[str, Any] = {"id": entry.id, "parameter": parameter, "status": status, "message": draw(texts)}
            fields["offenders"] = tuple(draw(st.lists(offenders, max_size=2))) if status == "failed" else ()
            if status == "unverified":
                fields["reason"] = draw(st.sampled_from(["denied", "timeout", "no_data"]))
            if status == "waived":
                reason = draw(texts)
                fields |= {"beneath": "failed", "waiver": runs.WAIVER | {"check": entry.id, "reason": reason}}
            rows.append(Result(**fields, duration=draw(st.floats(0, 9))))
    return rows


@st.composite
def headers(draw: st.DrawFn) -> Any:
    """The header of a run on a catalogue of its own, in any environment, with or without a phase."""
    sandbox = draw(st.booleans())
    return runs.header(
        draw(catalogues()),
        phase=draw(st.sampled_from(["preflight", None])),
        environment={"name": draw(texts) or "staging", "sandbox": sandbox, "config": ["environments/base.toml"]},
        replay=draw(st.sampled_from([None, "20261122T1508-production-preflight"])),
        waivers=(runs.WAIVER,),
    )


def diagnoses() -> st.SearchStrategy[Any]:
    """The diagnosis of a triage with any text anywhere, or a document that is none."""
    anything = st.none() | st.integers() | texts | st.lists(texts, max_size=1)
    row = st.dictionaries(st.sampled_from([*runs.TRIAGE["unasked"][0], "says", "file", "answer", "at"]), anything)
    fields = {
        key: st.lists(row, max_size=2) | anything if isinstance(value, list) else anything
        for key, value in runs.TRIAGE.items()
    }
    return st.none() | st.just(runs.TRIAGE) | st.fixed_dictionaries({}, optional=fields)


def endings() -> st.SearchStrategy[Any]:
    """How a run ends: killed, well, with failures of nobody's, or as pytest's other statuses say."""
    end = st.builds(
        runs.end,
        pytest_status=st.integers(0, 6),
        foreign=st.integers(0, 2),
        notes=st.lists(texts, max_size=2).map(tuple),
        masked=st.just({"total": 2, "by_kind": {"value": 2}}),
        triage=diagnoses(),
    )
    return st.none() | end
