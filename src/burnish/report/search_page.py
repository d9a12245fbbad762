"""The report stage of a search: one page that needs no network, and what it says as JSON."""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.figures import plural, show_exact, show_share, significant
from burnish.report.lineage import rail
from burnish.report.search_charts import importance_chart, trials_chart
from burnish.report.search_table import KIND
from burnish.report.search_view import SearchView, importance_words, name_words, read_search_view, stage_words
from burnish.report.templates import PageConfig, at_both_widths, render_template
from burnish.runtime import Workdir


@dataclass(frozen=True)
class SearchReportConfig(PageConfig):
    """Choose what the report of a search shows."""

    title: str = "Which values to train with"
    template: Path = field(default=Path(__file__).with_name("search_template.html"))


def write_search_report(out: Workdir, *artifacts: Artifact, config: SearchReportConfig) -> Draft[ReportArtifact]:
    """Write index.html, report.json and a copy of best.yaml from a sealed search and its parents.

    Raises:
        RecipeError: no artifact is a search.
    """
    view = read_search_view(artifacts, title=config.title)
    if view is None:
        given = ", ".join(artifact.label for artifact in artifacts) or "none"
        raise RecipeError(f"no artifact given is a search ({given}); give the one that the search stage made")
    page = render(view, config)
    (out / "index.html").write_bytes(page)
    body = json.dumps(as_json(view), indent=1, ensure_ascii=True, allow_nan=False)
    (out / "report.json").write_text(body + "\n", encoding="ascii")
    (out / "best.yaml").write_text(view.recipe, encoding="utf-8")
    evidence = (
        Measurement("shown_trials", len(view.trials), "trials", len(view.trials), how="in the table of the page"),
        Measurement("page_bytes", len(page), "bytes", 1, how="size of index.html"),
    )
    return Draft(ReportArtifact, evidence, view.headline)


def render(view: SearchView, config: SearchReportConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    return render_template(
        config,
        view=view,
        trials_chart=at_both_widths(partial(trials_chart, view)),
        importance_chart=at_both_widths(partial(importance_chart, view))
        if any(t.importance_frac is not None for t in view.tried)
        else "",
        rail=Markup(rail(view.nodes)),  # noqa: S704
        share=show_share,
        significant=significant,
        plural=plural,
        exact=show_exact,
        name_words=name_words,
        stage_words=stage_words,
        importance_words=importance_words,
    )


def as_json(view: SearchView) -> dict[str, Any]:
    """Give report.json; `kind` tells it from other reports."""
    return {
        "kind": KIND,
        "title": view.title,
        "headline": view.headline,
        "trials": {state: view.count(state) for state in ("complete", "pruned", "failed")},
        "best_validation_loss_nats": view.best_nats,
        "own_validation_loss_nats": view.own_nats,
        "values": [
            {
                "name": name_words(each.name),
                "stage": stage_words(each.stage),
                "tried": each.domain,
                "own": each.own,
                "best": each.best,
                "importance": importance_words(each.importance_frac),
            }
            for each in view.tried
        ],
    }
