import json
from html.parser import HTMLParser

import pytest

from burnish.artifacts import Draft, Measurement, ReportArtifact
from burnish.claims import page
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.claims.page import LedgerConfig, write_ledger
from burnish.runtime import Run, Workdir

EVIL = "</style><script>alert(1)</script><img src=https://example.com/x.png>"


class Outline(HTMLParser):
    """Collect tags, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href") and not (value or "").startswith("#"):
                self.loads.append(value or "")


def measured(out: Workdir, *, config: tuple[float, float, float]) -> Draft[ReportArtifact]:
    """Make a reading of three given numbers."""
    low, value, high = config
    write_reading(out, "T1", f"on a small set {EVIL}", ["a limit", EVIL])
    figures = (
        Measurement("gain_frac", value, "1", 604, low, high, f"by hand {EVIL}"),
        Measurement("more", 2.0, "1", 1),
    )
    return Draft(ReportArtifact, figures, "A reading.")


def unmeasured(out: Workdir, *, config: int) -> Draft[ReportArtifact]:
    """Stand for a claim that nobody measures."""
    raise NotImplementedError


CLAIMS = (
    Claim(
        "T1", f"a thing {EVIL}", "gain +15 %", "how we do it", (Figure("gain_frac", "gain in something", 0.15, "gain"),),
        measured, lambda run, seed: run(measured, config=(0.1, 0.2, 0.3)),
    ),
    Claim(
        "T2", "another thing", "2× faster", "how we would", (Figure("speed", "speed", 2.0, "times"),),
        unmeasured, lambda run, seed: run(unmeasured, config=seed),
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _two_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "all_claims", lambda: CLAIMS)


@pytest.mark.parametrize(
    ("numbers", "verdict", "sentence"),
    [
        ((0.2, 0.3, 0.4), "holds", "1 holds"),
        ((0.0, 0.05, 0.1), "falls short", "1 falls short"),
        ((0.1, 0.2, 0.3), "undecided", "1 cannot be told apart from chance"),
    ],
)
def test_the_page_sets_published_beside_ours_with_the_verdict_and_why(
    run: Run, numbers: tuple[float, float, float], verdict: str, sentence: str
) -> None:
    ledger = run(write_ledger, run(measured, config=numbers), config=LedgerConfig())
    text = (ledger.payload / "index.html").read_text(encoding="utf-8")
    for part in ("+15 %", f"+{100 * numbers[1]:.1f} %", "604", f"</i>{verdict}", sentence, "1 figure not measured yet"):
        assert part in text
    assert "burnish claims T2" in text
    assert ledger.measurement(f"{verdict.replace(' ', '_')}_figures").value == 1
    assert ledger.measurement("not_measured_figures").value == 1
    assert ledger.measurement("page_bytes").value == len(text.encode())
    rows = json.loads((ledger.payload / "ledger.json").read_text(encoding="utf-8"))["claims"]
    assert rows[0]["figures"][0]["ours"] == {
        "value": numbers[1], "low": numbers[0], "high": numbers[2], "n": 604, "how": f"by hand {EVIL}",
    }  # fmt: skip
    assert rows[0]["figures"][0]["verdict"] == verdict
    assert rows[1]["measured"] is None


def test_a_page_loads_nothing_and_runs_nothing_whatever_the_readings_say(run: Run) -> None:
    ledger = run(write_ledger, run(measured, config=(0.1, 0.2, 0.3)), config=LedgerConfig())
    outline = Outline((ledger.payload / "index.html").read_text(encoding="utf-8"))
    assert "script" not in outline.tags
    assert "img" not in outline.tags
    assert outline.loads == ["data:,"]


def test_a_ledger_of_nothing_says_so(run: Run) -> None:
    ledger = run(write_ledger, config=LedgerConfig())
    assert "Nothing has been measured yet." in (ledger.payload / "index.html").read_text(encoding="utf-8")


def test_the_page_wears_the_reports_style(run: Run) -> None:
    ledger = run(write_ledger, config=LedgerConfig())
    style = (ledger.payload / "index.html").read_text(encoding="utf-8").partition("</style>")[0]
    assert "--accent: #0a5bb5" in style
    assert "{%" not in style
    assert "&#" not in style
