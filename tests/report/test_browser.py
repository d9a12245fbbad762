"""The report as a reader sees it: opened by file:// in a real browser, on a desk and on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from headless import Browser, browser
from quickstart_chain import quickstart

import burnish.report
from burnish.report.page import ReportConfig, write_report
from burnish.runtime.workdir import fresh

LONG = "Antidisestablishmentarianism" * 12


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chain = quickstart(tmp_path_factory.mktemp("report"))
    config = ReportConfig(title=LONG, price_note=LONG)
    write_report(fresh(chain.root / "report", "report", chain.log), *chain.passed(), config=config)
    return chain.root / "report/payload/index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [375, 768, 1280])
def test_the_page_fits_its_screen_and_asks_for_nothing(
    chromium: Browser, page: Path, width: int, is_dark: bool
) -> None:
    chromium.open(page, width=width, is_dark=is_dark)
    assert chromium.requests == [page.as_uri()]
    assert chromium.complaints == []
    assert chromium.ask("document.documentElement.scrollWidth") == width
    assert chromium.ask("document.querySelectorAll('section').length") == 7
    overlong = "[...document.querySelectorAll('section, header, .card')].filter(e => e.scrollWidth > innerWidth).length"
    assert chromium.ask(overlong) == 0


def test_colours_follow_the_reader_s_choice(chromium: Browser, page: Path) -> None:
    papers = []
    for is_dark in (False, True):
        chromium.open(page, width=1280, is_dark=is_dark)
        papers.append(chromium.ask("getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(250, 250, 248)", "rgb(14, 17, 21)"]


def test_one_drawing_of_each_chart_is_seen_at_a_time(chromium: Browser, page: Path) -> None:
    seen = "[...document.querySelectorAll('svg.chart')].map(e => Math.round(e.getBoundingClientRect().width))"
    for width in (375, 1280):
        chromium.open(page, width=width)
        shown = [size for size in chromium.ask(seen) if size]
        assert len(shown) == 2
        assert max(shown) < width
        smallest = chromium.ask(
            "Math.min(...[...document.querySelectorAll('svg.chart text')].map(e => e.getBoundingClientRect().height)"
            ".filter(height => height > 0))"
        )
        assert smallest >= 10, "text in a chart is too small to read"


def test_every_artifact_s_rail_ends_at_its_row(chromium: Browser, page: Path) -> None:
    for width in (375, 1280):
        chromium.open(page, width=width)
        rail, first, last = chromium.ask(
            "[document.querySelector('svg.rail'), document.querySelector('.node'),"
            " [...document.querySelectorAll('.node')].at(-1)].map(e => e.getBoundingClientRect()).map(r => [r.top, r.bottom])"
        )
        assert rail[0] == pytest.approx(first[0], abs=1)
        assert rail[1] == pytest.approx(last[1], abs=1)


def test_print_shows_the_methods_and_hides_the_navigation(chromium: Browser, page: Path) -> None:
    chromium.open(page, width=800, media="print")
    assert chromium.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    hidden = "[...document.querySelectorAll('details table')].filter(e => e.getBoundingClientRect().height == 0).length"
    assert chromium.ask(hidden) == 0


def test_the_screenshot_is_not_blank(chromium: Browser, page: Path, tmp_path: Path) -> None:
    chromium.open(page, width=1280)
    chromium.screenshot(tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 50_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 for text."""
    style = (Path(burnish.report.__file__).with_name("shared.html")).read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", blocks[0 if scheme == "light" else 1]))
    for text in ("ink", "soft", "faint", "accent", "warn"):
        for ground in ("paper", "surface"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)


def _contrast(one: str, other: str) -> float:
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
