"""The ledger's page: every claim, published beside ours, in one file that needs no network; and the same as JSON."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import Draft, Measurement, ReportArtifact
from burnish.claims import all_claims
from burnish.claims.claim import Verdict
from burnish.claims.ledger import Reading, Row, read_together
from burnish.report.figures import plural, show_exact
from burnish.report.svg import Drawing
from burnish.report.templates import PageConfig, render_template
from burnish.runtime import Workdir

_WIDTH, _HEIGHT, _MARGIN = 132.0, 22.0, 6.0


@dataclass(frozen=True)
class LedgerConfig(PageConfig):
    """Choose how the page looks."""

    title: str = "Published figures, measured again"
    template: Path = field(default=Path(__file__).with_name("ledger.html"))


def write_ledger(out: Workdir, *readings: ReportArtifact, config: LedgerConfig) -> Draft[ReportArtifact]:
    """Write index.html and ledger.json; a claim that has no reading among those given is shown as not measured.

    Args:
        *readings: told apart by their stage.
    """
    ledger = read_together(all_claims(), readings)
    page = render(ledger, config)
    (out / "index.html").write_bytes(page)
    body = {"claims": [reading.as_json() for reading in ledger]}
    (out / "ledger.json").write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    counts = Counter(row.verdict for reading in ledger for row in reading.rows)
    of = max(1, counts.total())
    evidence = (
        *(
            Measurement(f"{verdict.name.lower()}_figures", float(counts[verdict]), "figures", of, how="count")
            for verdict in Verdict
        ),
        Measurement("page_bytes", float(len(page)), "bytes", 1, how="size of index.html"),
    )
    return Draft(ReportArtifact, evidence, headline(ledger))


def headline(ledger: Sequence[Reading]) -> str:
    """Count the verdicts in a sentence."""
    counts = Counter(row.verdict for reading in ledger for row in reading.rows)
    measured = counts.total() - counts[Verdict.NOT_MEASURED]
    if not measured:
        return "Nothing has been measured yet."
    words = {
        Verdict.HOLDS: "hold",
        Verdict.FALLS_SHORT: "fall short",
        Verdict.UNDECIDED: "cannot be told apart from chance",
        Verdict.NOT_COMPARABLE: "cannot be compared",
    }
    parts = [
        f"{counts[verdict]} {'holds' if verdict is Verdict.HOLDS and counts[verdict] == 1 else said}".replace(
            "1 fall ", "1 falls "
        )
        for verdict, said in words.items()
        if counts[verdict]
    ]
    missing = counts[Verdict.NOT_MEASURED]
    rest = f"; {plural(missing, 'figure')} not measured yet" if missing else ""
    return f"Of {plural(measured, 'published figure')} measured again, {', '.join(parts)}{rest}."


def render(ledger: Sequence[Reading], config: LedgerConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    return render_template(
        config,
        ledger=ledger,
        headline=headline(ledger),
        plot=lambda row: Markup(plot(row)),  # noqa: S704  # svg escapes
        exact=show_exact,
        plural=plural,
    )


def plot(row: Row) -> str:
    """Draw the published figure as a bar across, ours as a dot with its interval; nothing where ours is missing."""
    if row.ours is None:
        return ""
    ends = (row.ours.low, row.ours.high, row.ours.value, row.figure.published)
    values = [value for value in ends if value is not None]
    low, high = (0.0, 1.0) if row.figure.form == "share" else (min(0.0, *values), max(values))
    span = max(high - low, 1e-9)

    def x(value: float) -> float:
        return _MARGIN + (value - low) / span * (_WIDTH - 2 * _MARGIN)

    what = f"published {row.published}, ours {row.value} {row.interval}".strip()
    drawing = Drawing(_WIDTH, _HEIGHT, what, "gauge")
    middle = _HEIGHT / 2
    drawing.line(_MARGIN, middle, _WIDTH - _MARGIN, middle, "track")
    drawing.rect(x(row.figure.published) - 1.25, 2, 2.5, _HEIGHT - 4, "target", f"published {row.published}")
    if row.ours.low is not None and row.ours.high is not None:
        drawing.line(x(row.ours.low), middle, x(row.ours.high), middle, "spread")
    drawing.circle(x(row.ours.value), middle, 3.5, "bar-after", f"ours {row.value}")
    return drawing.markup()
