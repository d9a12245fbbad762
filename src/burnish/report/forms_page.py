"""The report stage of a compression: one page that needs no network, and what it says as JSON."""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.figures import plural, show_exact, show_share, significant
from burnish.report.forms_charts import quality_chart
from burnish.report.forms_view import FormsView, as_json, read_forms
from burnish.report.lineage import rail
from burnish.report.templates import PageConfig, at_both_widths, render_template
from burnish.runtime import Workdir

COLUMNS = (
    ("num_parameters", "Parameters"),
    ("size_bytes", "Size"),
    ("num_bits_mean", "Bits a weight"),
    ("perplexity_ratio", "Perplexity"),
    ("kl_nats", "KL, nats"),
    ("top1_agreement_frac", "Same first token"),
    ("bits_per_byte", "Bits a byte"),
    ("text_kept_frac", "Text kept, served"),
    ("logit_difference_max", "Export differs by"),
    ("throughput_tokens_per_s", "Tokens a second"),
    ("ttft_p50_ms", "First token"),
    ("latency_p99_ms", "Latency P99"),
    ("acceptance_frac", "Drafts accepted"),
)


@dataclass(frozen=True)
class FormsConfig(PageConfig):
    """Choose what the report of a compression shows."""

    title: str = "The forms of the model"
    template: Path = field(default=Path(__file__).with_name("forms_template.html"))


@dataclass(frozen=True)
class NamedForms:
    """The page's configuration, and what the chain calls its models, in their order."""

    page: FormsConfig
    names: tuple[str, ...]


def write_forms_page(out: Workdir, *artifacts: Artifact, config: NamedForms) -> Draft[ReportArtifact]:
    """Write index.html and report.json from sealed artifacts, of which the first model is the reference.

    Raises:
        RecipeError: no artifact is a model.
    """
    view = read_forms(artifacts, config.names, title=config.page.title)
    if view is None:
        given = ", ".join(artifact.label for artifact in artifacts) or "none"
        raise RecipeError(f"no artifact given is a model ({given}); give the forms that are to be compared")
    page = render(view, config.page)
    (out / "index.html").write_bytes(page)
    body = json.dumps(as_json(view, columns_of(view)), indent=1, ensure_ascii=True, allow_nan=False)
    (out / "report.json").write_text(body + "\n", encoding="ascii")
    evidence = (
        Measurement("shown_forms", len(view.forms), "forms", len(view.forms), how="in the table of the page"),
        Measurement("page_bytes", len(page), "bytes", 1, how="size of index.html"),
    )
    return Draft(ReportArtifact, evidence, view.headline)


def columns_of(view: FormsView) -> list[tuple[str, str]]:
    """Give the columns that any form has a figure for."""
    return [(name, words) for name, words in COLUMNS if view.has(name)]


def render(view: FormsView, config: FormsConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    is_drawn = any("perplexity_ratio" in form.figures and "size_bytes" in form.figures for form in view.forms)
    return render_template(
        config,
        view=view,
        columns=columns_of(view),
        chart=at_both_widths(partial(quality_chart, view)) if is_drawn else "",
        rail=Markup(rail(view.nodes)),  # noqa: S704
        share=show_share,
        significant=significant,
        plural=plural,
        exact=show_exact,
    )
