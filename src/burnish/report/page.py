"""The report stage: one page that needs no network, and the same table as JSON."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.charts import bar_pair, loss_chart
from burnish.report.compare import Row, Verdict
from burnish.report.figures import show_exact, show_interval, show_price, show_share, significant
from burnish.report.flow import flow_chart
from burnish.report.headline import plain_text
from burnish.report.lineage import rail
from burnish.report.tasks import show_with_interval
from burnish.report.templates import PageConfig, render_template
from burnish.report.view import View, as_json, read_view
from burnish.runtime import Workdir

_WIDE, _NARROW = 640.0, 327.0  # drawn twice, so that text keeps its size on a phone


@dataclass(frozen=True)
class ReportConfig(PageConfig):
    """Choose what the report says beside the evidence.

    Attributes:
        price_per_hour: of the machine that serves; turns throughput into cost. The default is about what
            two virtual cores with 8 GiB cost on demand at the large clouds; state your own.
        currency: of the price, ISO 4217.
        price_note: where the price comes from; printed below the table.
    """

    title: str = "Before and after"
    price_per_hour: float = 0.10
    currency: str = "USD"
    price_note: str = "assumed for two virtual cores on demand; not measured"
    template: Path = field(default=Path(__file__).with_name("template.html"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.price_per_hour < float("inf"):
            raise RecipeError(f"price_per_hour is {self.price_per_hour}; it must be a finite number, at least 0")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise RecipeError(
                f"currency is {self.currency!r}; it must be three capital letters of ISO 4217, such as USD"
            )


def write_report(out: Workdir, *artifacts: Artifact, config: ReportConfig) -> Draft[ReportArtifact]:
    """Write index.html and report.json from sealed artifacts.

    Args:
        out: where to write.
        *artifacts: told apart by their stage; one that is missing leaves its section out.
        config: title and price.
    """
    view = read_view(artifacts, title=config.title, price_per_hour=config.price_per_hour, currency=config.currency)
    for warning in view.warnings:
        out.warn(warning)
    page = render(view, config)
    (out / "index.html").write_bytes(page)
    (out / "report.json").write_text(
        json.dumps(as_json(view), indent=1, ensure_ascii=True, allow_nan=False) + "\n", encoding="ascii"
    )
    return Draft(ReportArtifact, _evidence(view, len(page)), plain_text(view.headline))


def render(view: View, config: ReportConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    charts: dict[str, list[str]] = {"flow": [], "loss": []}
    for width in (_WIDE, _NARROW):
        if view.flow is not None:
            charts["flow"].append(Markup(flow_chart(view.flow, width)))  # noqa: S704  # built by svg, which escapes
        if view.training is not None:
            charts["loss"].append(Markup(loss_chart(view.training.curve, width)))  # noqa: S704
    return render_template(
        config,
        view=view,
        charts=charts,
        rail=Markup(rail(view.nodes)),  # noqa: S704
        with_interval=show_with_interval,
        bars=lambda row: Markup(_bars(row)),  # noqa: S704
        share=show_share,
        price=show_price(config.price_per_hour),
        share_interval=lambda low, high: show_interval(low, high, "1"),
        significant=significant,
        exact=show_exact,
    )


def _bars(row: Row) -> str:
    sides = (row.before, row.after)
    intervals = tuple(
        (side.low, side.high) if side is not None and side.low is not None and side.high is not None else None
        for side in sides
    )
    values = [None if side is None else side.value for side in sides]
    return bar_pair(values[0], values[1], intervals)


def _evidence(view: View, num_bytes: int) -> tuple[Measurement, ...]:
    verdicts = [row.verdict for row in view.rows]
    n = max(1, len(verdicts))
    how = "rows of the before/after table; overlapping intervals count as within noise"
    counted = (
        ("compared_rows", len([verdict for verdict in verdicts if verdict is not Verdict.ONE_SIDED])),
        ("better_rows", verdicts.count(Verdict.BETTER)),
        ("worse_rows", verdicts.count(Verdict.WORSE)),
        ("within_noise_rows", verdicts.count(Verdict.NOISE)),
    )
    return (
        *(Measurement(name, number, "rows", n, how=how) for name, number in counted),
        Measurement("page_bytes", num_bytes, "bytes", 1, how="size of index.html"),
    )
