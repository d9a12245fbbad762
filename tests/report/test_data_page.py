"""The page of a data run: whole, escaped, without network, and right on a desk and on a phone."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from data_stages_made import Added, Given, Sieve, augment, collect, select
from headless import Browser, browser

from burnish.artifacts import Artifact, DatasetArtifact, ReportArtifact, Store
from burnish.data.records import read_kept
from burnish.errors import RecipeError
from burnish.report.data_page import DataReportConfig, write_data_report
from burnish.runtime import Run
from burnish.runtime.workdir import fresh
from curated_store import BROKEN, EMAIL, MOBILE, RECORDS, curate

BIDI = "\u202aleft \u202eright \u2066isolated <b>bold</b> and a word joiner \u2060 stand in an id and a source"


class Outline(HTMLParser):
    """Collect the tags of a page, those that stay open, ids, and whatever could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "link", "img", "br"}:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "srcset", "data") and not (value or "").startswith("#"):
                self.loads.append(value or "")
            assert not name.startswith("on"), f"{tag} runs script by {name}"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in {"meta", "link", "img", "br"}:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    store = Store(curate(tmp_path_factory.mktemp("run"), "report.samples=20"))
    return next(artifact for artifact in store.all() if isinstance(artifact, ReportArtifact))


@pytest.fixture(scope="module")
def page(report: Artifact) -> str:
    return (report.payload / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def facts(report: Artifact) -> dict[str, Any]:
    body: dict[str, Any] = report.read_json("report.json")
    return body


def test_the_page_is_whole_and_loads_nothing(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.loads == ["data:,"]
    assert not {"script", "img", "iframe", "object", "embed"} & outline.tags
    assert "url(" not in page
    assert "@import" not in page
    assert set(re.findall(r'href="#([\w-]+)"', page)) <= set(outline.ids)
    assert {"flow", "rules", "copies", "changes", "lengths", "languages", "sources", "lineage", "methods"} <= set(
        outline.ids
    )


def test_personal_data_is_nowhere_on_the_page(page: str, report: Artifact) -> None:
    for text in (page, (report.payload / "report.json").read_text()):
        assert EMAIL not in text
        assert MOBILE not in text
    assert "&lt;EMAIL&gt;" in page
    assert "&lt;CN_MOBILE&gt;" in page
    assert EMAIL in BROKEN[1]  # which is on the page, masked: the row that could not be read
    assert "write to &lt;EMAIL&gt;" in page


def test_strangers_text_is_text(page: str) -> None:
    assert "&lt;mixed&gt;" in page
    assert "中文英文" not in page
    assert "中英文 &amp; &lt;mixed&gt;" in page
    assert "&lt;script&gt;alert" in page  # evil, as it was before its repair
    assert "⟨U+202E⟩" in page  # bidi, as it was before its repair
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", page)


def test_ids_and_sources_cannot_break_the_page_either(run: Run, tmp_path: Path) -> None:
    rows = ((f"{BIDI} 1", "one two three four", BIDI), (f"{BIDI} 2", "one", BIDI), ("</style>", "x y # z", "<script>"))
    raw = run(collect, config=Given(rows))
    kept = run(select, raw, config=Sieve(partners=(("</style>", f"{BIDI} 1", 0.9),)))
    write_data_report(fresh(tmp_path / "r", "report", run.events), raw, kept, config=DataReportConfig())
    page = (tmp_path / "r/payload/index.html").read_text(encoding="utf-8")
    outline = Outline(page)
    assert outline.open == []
    assert "script" not in outline.tags
    assert "<b>bold" not in page
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2060]", page)


def test_report_json_says_what_the_shards_hold(facts: dict[str, Any], report: Artifact) -> None:
    stages = {stage["stage"]: stage for stage in facts["stages"]}
    assert facts["kind"] == "data"
    assert list(stages) == ["Collect", "Clean", "Select"]
    assert facts["before"]["records"] == len(RECORDS)
    assert facts["after"]["records"] == stages["Select"]["records_out"]
    removed = {rule["rule"]: rule["removed"] for rule in stages["Select"]["rules"]}
    assert sum(removed.values()) == len(RECORDS) - facts["after"]["records"]
    assert {"exact_copy", "near_copy", "too_few_words", "language"} <= removed.keys()
    assert {rule["rule"] for rule in stages["Collect"]["rules"]} == {"malformed_row", "missing_text"}
    assert sum(facts["lengths"]["after"]) == facts["after"]["records"]
    assert facts["copies"]["removed"] == removed["exact_copy"] + removed["near_copy"]
    evidence = {m.name: m.value for m in report.evidence}
    assert evidence["records_kept"] == facts["after"]["records"]
    assert evidence["bytes_in"] == facts["before"]["bytes"]
    assert evidence["bytes_kept"] == stages["Select"]["bytes_out"]
    assert evidence["rules_fired"] == sum(len(stage["rules"]) for stage in facts["stages"])


def test_no_samples_where_none_are_asked_for(run: Run, tmp_path: Path) -> None:
    raw = run(collect, config=Given((("a", "one two three four", "s"), ("b", "secret", "s"))))
    kept = run(select, raw, config=Sieve())
    draft = write_data_report(fresh(tmp_path / "r", "r", run.events), raw, kept, config=DataReportConfig(samples=0))
    assert "secret" not in (tmp_path / "r/payload/index.html").read_text()
    assert {m.name: m.value for m in draft.evidence}["sample_records"] == 0


def test_a_run_that_adds_records_is_told_too(run: Run, tmp_path: Path) -> None:
    raw = run(collect, config=Given((("a", "one two three four", "s"), ("b", "一 二 三 四", "s"))))
    more = run(augment, raw, config=Added(("a", "b")))
    draft = write_data_report(fresh(tmp_path / "r", "r", run.events), raw, more, config=DataReportConfig())
    assert draft.summary == "2 records came and 4 left; others were added."
    page = (tmp_path / "r/payload/index.html").read_text(encoding="utf-8")
    assert Outline(page).open == []
    assert "made from it" in page


def test_only_a_source_is_a_report_as_well(run: Run, tmp_path: Path) -> None:
    raw = run(collect, config=Given((("a", "一 二 三 四", "s"),)))
    write_data_report(fresh(tmp_path / "r", "r", run.events), raw, config=DataReportConfig())
    page = (tmp_path / "r/payload/index.html").read_text(encoding="utf-8")
    assert Outline(page).open == []
    assert 'id="rules"' not in page


def test_equal_artifacts_give_equal_bytes(run: Run, tmp_path: Path) -> None:
    raw = run(collect, config=Given(tuple((f"r{n}", f"{n} {'x ' * (n % 5)}", "s") for n in range(40)), 3))
    kept: DatasetArtifact = run(select, raw, config=Sieve())
    assert read_kept(kept)
    pages = []
    for name in ("one", "two"):
        write_data_report(fresh(tmp_path / name, "r", run.events), raw, kept, config=DataReportConfig())
        pages.append((tmp_path / name / "payload/index.html").read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"title": " "}, "title is empty"), ({"samples": -1}, "samples is -1; it must be from 0 to 50")],
)
def test_a_wrong_configuration_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DataReportConfig(**change)


def test_nothing_to_report_is_said(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no artifact given holds records \(none\)"):
        write_data_report(fresh(tmp_path / "r", "r", run.events), config=DataReportConfig())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize(("width", "is_dark"), [(390, False), (390, True), (1280, False)])
def test_the_page_fits_its_screen_and_asks_for_nothing(
    chromium: Browser, report: Artifact, width: int, is_dark: bool
) -> None:
    path = (report.payload / "index.html").resolve()
    chromium.open(path, width=width, is_dark=is_dark)
    assert chromium.requests == [path.as_uri()]
    assert chromium.complaints == []
    chromium.ask("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert chromium.ask("document.documentElement.scrollWidth") == width
    wide = "[...document.querySelectorAll('.sample, .text, summary')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    assert chromium.ask(f"{wide}.length") == 0
    seen = "[...document.querySelectorAll('svg.chart text')].map(e => e.getBoundingClientRect().height).filter(h => h)"
    assert min(chromium.ask(seen)) >= 10, "text in a chart is too small to read"
