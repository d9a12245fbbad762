"""The report stage of a search over the whole chain: one page that needs no network, its JSON, and best.yaml."""

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.figures import plural, show_exact, show_seconds, show_share, significant
from burnish.report.lineage import rail
from burnish.report.optimize_chart import pareto_chart
from burnish.report.optimize_found import REFERENCE, Found
from burnish.report.optimize_view import (
    COLUMNS,
    OptimizeView,
    Shown,
    as_json,
    read_optimize,
    reason_words,
    state_words,
)
from burnish.report.templates import PageConfig, at_both_widths, render_template
from burnish.runtime import Workdir


@dataclass(frozen=True)
class OptimizePageConfig(PageConfig):
    """Choose what the report of a search over the whole chain shows."""

    title: str = "The model that meets the limits"
    template: Path = field(default=Path(__file__).with_name("optimize_template.html"))


@dataclass(frozen=True)
class Optimum:
    """The page's configuration, and what the search found."""

    page: OptimizePageConfig
    found: Found


def write_optimize_page(out: Workdir, *artifacts: Artifact, config: Optimum) -> Draft[ReportArtifact]:
    """Write index.html, report.json, and best.yaml where there is an answer.

    Args:
        artifacts: all that the rows name, and what they were made from.

    Raises:
        RecipeError: the base as it was is not the first row, or was not measured.
    """
    rows = config.found.rows
    if not rows or rows[0].number != REFERENCE or rows[0].state != "complete":
        raise RecipeError(f"the first of {len(rows)} rows is not the measured base; give that as number 0")
    view = read_optimize(artifacts, config.found, title=config.page.title)
    page = render(view, config.page)
    (out / "index.html").write_bytes(page)
    body = json.dumps(as_json(view), indent=1, ensure_ascii=True, allow_nan=False)
    (out / "report.json").write_text(body + "\n", encoding="ascii")
    if config.found.recipe:
        (out / "best.yaml").write_text(config.found.recipe, encoding="utf-8")
    return Draft(ReportArtifact, (*_evidence(view), _size(page)), view.headline)


def render(view: OptimizeView, config: OptimizePageConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    return render_template(
        config,
        view=view,
        columns=[(name, view.quality_words if name == "quality" else words) for name, words in COLUMNS.items()],
        chart=at_both_widths(partial(pareto_chart, view)),
        rail=Markup(rail(view.nodes)),  # noqa: S704
        share=show_share,
        significant=significant,
        plural=plural,
        exact=show_exact,
        seconds=show_seconds,
        state_words=state_words,
        reason_words=reason_words,
    )


def _evidence(view: OptimizeView) -> tuple[Measurement, ...]:
    tried = len(view.candidates) - 1
    within = sum(each.is_within for each in view.candidates[1:])
    rows = (
        ("tried", tried),
        ("measured", view.count("complete")),
        ("rejected", view.count("rejected")),
        ("failed", view.count("failed")),
        ("within", within),
    )
    how = "of all that were tried, the base not counted"
    counts = tuple(Measurement(f"{name}_candidates", n, "candidates", max(1, tried), how=how) for name, n in rows)
    answer = view.answer
    if answer is None:
        return counts
    figures = [
        Measurement(f"answer_{_named(name, view)}", m.value, m.unit, m.n, m.low, m.high, m.how)
        for name, m in answer.figures.items()
    ]
    raced = () if view.speed is None else (replace(view.speed, name="throughput_times"),)
    times = [
        Measurement(name, above / below, "1", 1, how=how)
        for name, how, above, below in (
            *(() if raced else (("throughput_times", "the answer's over the base's, at one load", *_pair(answer, view.reference, "throughput_tokens_per_s")),)),
            ("size_times", "the base's over the answer's, both exported", *_pair(view.reference, answer, "size_bytes")),
        )
        if above is not None and below
    ]  # fmt: skip
    return (*counts, *figures, *raced, *times)


def _named(name: str, view: OptimizeView) -> str:
    return view.found.quality if name == "quality" else name


def _pair(first: Shown, second: Shown, name: str) -> tuple[float | None, float | None]:
    return first.value(name), second.value(name)


def _size(page: bytes) -> Measurement:
    return Measurement("page_bytes", len(page), "bytes", 1, how="size of index.html")
