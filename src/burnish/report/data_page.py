"""The report stage of a data run: one page that needs no network, and what it says as JSON."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artifacts import Artifact, Draft, Measurement, ReportArtifact
from burnish.errors import RecipeError
from burnish.report.data_charts import histogram_chart, length_chart, mini_histogram
from burnish.report.data_flow import flow_of
from burnish.report.data_json import as_json, headline
from burnish.report.data_view import DataView, read_data_view
from burnish.report.figures import plural, show_bytes, show_exact, show_interval, show_share
from burnish.report.flow import flow_chart
from burnish.report.lineage import rail
from burnish.report.templates import DESK, PageConfig, at_both_widths, render_template
from burnish.runtime import Workdir

_BESIDE_FACTS = 640.0  # width of a chart with facts at its side
_MAX_SAMPLES = 50


@dataclass(frozen=True)
class DataReportConfig(PageConfig):
    """Choose what the report of a data run shows.

    Attributes:
        samples: records to look at for each rule; 0 shows none.
        seed: draws them.
    """

    title: str = "The data, before and after"
    samples: int = 3
    seed: int = 0
    template: Path = field(default=Path(__file__).with_name("data_template.html"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.samples <= _MAX_SAMPLES:
            raise RecipeError(f"samples is {self.samples}; it must be from 0 to {_MAX_SAMPLES}")


def write_data_report(out: Workdir, *artifacts: Artifact, config: DataReportConfig) -> Draft[ReportArtifact]:
    """Write index.html and report.json from the sealed datasets of a run.

    Args:
        out: where to write.
        *artifacts: told apart by what they hold; the way is traced from the last back to its sources.
        config: title and samples.

    Raises:
        RecipeError: no artifact holds records.
    """
    view = read_data_view(out, artifacts, title=config.title, num_samples=config.samples, seed=config.seed)
    if view is None:
        given = ", ".join(artifact.label for artifact in artifacts) or "none"
        raise RecipeError(f"no artifact given holds records ({given}); give the datasets of the run")
    page = render(view, config)
    (out / "index.html").write_bytes(page)
    body = json.dumps(as_json(view), indent=1, ensure_ascii=True, allow_nan=False)
    (out / "report.json").write_text(body + "\n", encoding="ascii")
    return Draft(ReportArtifact, _evidence(view, len(page)), headline(view))


def render(view: DataView, config: DataReportConfig) -> bytes:
    """Render the page as UTF-8; everything that comes from data is escaped."""
    from markupsafe import Markup

    flow = flow_of(view)

    return render_template(
        config,
        view=view,
        headline=re.sub(r"(?<=\d) (?=%|[kMGT]?B\b)", "\u00a0", headline(view)),
        flow=flow,
        flow_chart=flow
        and at_both_widths(lambda width: flow_chart(flow, width), _BESIDE_FACTS if flow.planted else DESK),
        length_chart=at_both_widths(lambda width: length_chart(view.before, view.after, width)),
        histogram=lambda rule: at_both_widths(lambda width: histogram_chart(rule, rule.histogram, width)),
        mini=lambda rule: Markup(mini_histogram(rule.histogram)),  # noqa: S704
        rail=Markup(rail(view.nodes)),  # noqa: S704
        share=show_share,
        share_interval=lambda low, high: show_interval(low, high, "1"),
        size=show_bytes,
        plural=plural,
        exact=show_exact,
    )


def _evidence(view: DataView, num_bytes: int) -> tuple[Measurement, ...]:
    rules = [rule for passage in view.passages for rule in passage.rules]
    num_quiet = sum(len(passage.stage.quiet_rules) for passage in view.passages)
    num_shown = sum(len(some) for passage in view.passages for some in passage.samples.values())
    num_shown += sum(len(change.samples) for passage in view.passages for change in passage.changes)
    n = max(1, view.before.num_records)
    counted = (
        ("records_in", view.before.num_records, "records", "counted in the shards that were collected"),
        ("records_kept", view.after.num_records, "records", "counted in the shards of the last stage"),
        ("bytes_in", view.before.num_bytes, "bytes", "of text, UTF-8, as it was collected"),
        ("bytes_kept", view.after.num_bytes, "bytes", "of text, UTF-8, at the last stage"),
        ("rules_fired", len(rules), "rules", "rules that set something aside"),
        ("rules_quiet", num_quiet, "rules", "rules that were asked and set nothing aside"),
        ("sample_records", num_shown, "records", "shown on the page"),
        ("page_bytes", num_bytes, "bytes", "size of index.html"),
    )
    return tuple(Measurement(name, float(number), unit, n, how=how) for name, number, unit, how in counted)
