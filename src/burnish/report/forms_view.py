"""The view of a compression: every form that the model took, with its size, its quality and its speed, side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from burnish.artifacts import Artifact, Measurement, ModelArtifact
from burnish.report.cast import assign, words_for
from burnish.report.figures import show, show_interval, significant
from burnish.report.forms_table import KIND
from burnish.report.lineage import Node, lineage
from burnish.report.machine import Machine, machines
from burnish.report.view import Methods

QUALITY = "burnish.evaluate.text_quality.compare_on_text"
CHECK = "burnish.evaluate.exported.check_export"
LOAD = "burnish.evaluate.latency.load_served"
TEXT = "burnish.evaluate.served_text.compare_served"
DRAFT = "burnish.evaluate.speculative.measure_draft"
_OF = {QUALITY: 1, CHECK: 1, LOAD: 0, TEXT: 1, DRAFT: 1}  # which parent of a report is the form that it measured
_UNITS = {"kl_nats": "", "perplexity_ratio": ""}
_ALIKE = 1.01  # up to so many times as large is no larger: a line more in a configuration


@dataclass(frozen=True)
class Form:
    """Hold one form of the model.

    Attributes:
        name: as the recipe calls it.
        figures: every measurement of it by name: its own, its quality beside the first form, its load, its check.
        is_reference: the form that all others are set beside.
    """

    name: str
    words: str
    digest: str
    figures: dict[str, Measurement]
    is_reference: bool

    def value(self, name: str) -> float | None:
        """Give a measured value."""
        found = self.figures.get(name)
        return None if found is None else found.value

    @property
    def perplexity_ratio(self) -> float | None:
        """Give the perplexity over the reference's own, whose is 1; None where it was not measured."""
        return 1.0 if self.is_reference else self.value("perplexity_ratio")

    def shown(self, name: str) -> str:
        """Show a value in words; a dash where it was not measured."""
        found = self.figures.get(name)
        if found is None:
            return "–"
        if name == "num_parameters":
            return f"{found.value / 1e6:,.1f} M"
        return f"{show(found.value, _UNITS.get(name, found.unit))}{'×' if name == 'perplexity_ratio' else ''}"

    def interval(self, name: str) -> str:
        """Show the 95 % interval; nothing where there is none."""
        found = self.figures.get(name)
        if found is None or found.low is None or found.high is None:
            return ""
        return show_interval(found.low, found.high, _UNITS.get(name, found.unit), beside=found.value)


@dataclass(frozen=True)
class FormsView:
    """Hold the whole page."""

    title: str
    when: str
    forms: tuple[Form, ...]
    nodes: tuple[Node, ...]
    machines: tuple[Machine, ...]
    methods: tuple[Methods, ...]

    @property
    def reference(self) -> Form:
        """Give the form that the others are set beside."""
        return self.forms[0]

    @property
    def smallest(self) -> Form:
        """Give the form that takes least space, of those whose quality was measured where any was.

        Of forms that are as large as each other, the one with the lowest perplexity.
        """
        sized = [(form, size) for form in self.forms if (size := form.value("size_bytes")) is not None]
        if any("perplexity_ratio" in form.figures for form, _ in sized):
            sized = [(form, size) for form, size in sized if form.perplexity_ratio is not None]
        least = min((size for _, size in sized), default=0.0)
        alike = [form for form, size in sized if size <= _ALIKE * least]
        return min(alike, key=lambda form: form.perplexity_ratio or math.inf, default=self.reference)

    @property
    def headline(self) -> str:
        """Say in one sentence what the smallest form is, and what it costs."""
        small, before = self.smallest.value("size_bytes"), self.reference.value("size_bytes")
        if small is None or before is None or self.smallest is self.reference:
            return f"{len(self.forms)} forms of the model, side by side."
        is_smaller = before > _ALIKE * small
        times = f"{significant(before / small, 2)}× smaller than" if is_smaller else "as large as"
        cost = self.smallest.value("perplexity_ratio")
        tail = (
            ""
            if cost is None
            else f", at {significant(cost)}× its perplexity on held-out text (95 % interval "
            f"{self.smallest.interval('perplexity_ratio')})"
        )
        which = "smallest" if is_smaller else "best"
        return f"The {which} of {len(self.forms)} forms, {self.smallest.name}, is {times} {self.reference.name}{tail}."

    def has(self, name: str) -> bool:
        """Tell whether any form has the figure."""
        return any(name in form.figures for form in self.forms)


def read_forms(artifacts: Sequence[Artifact], names: Sequence[str], *, title: str) -> FormsView | None:
    """Read the view; None where no artifact is a model.

    Args:
        artifacts: sealed; the models among them are the forms, in order, and the first is the reference.
        names: of the models, in that order. Models of one name are one form: what is measured on an export is said of
            what it was made from.
    """
    models = [artifact for artifact in artifacts if isinstance(artifact, ModelArtifact)]
    if not models:
        return None
    reports = [artifact for artifact in artifacts if artifact.stage in _OF]
    named: dict[str, list[ModelArtifact]] = {}
    for model, name in zip(models, names, strict=True):
        named.setdefault(name, []).append(model)
    forms = tuple(
        Form(
            name,
            words_for(alike[0].stage),
            alike[0].digest,
            _joined(alike, reports),
            is_reference=alike[0] is models[0],
        )
        for name, alike in named.items()
    )
    cast = replace(assign(tuple(artifacts)), compressed=models[-1])
    last = max(artifact.manifest.created_unix_s for artifact in artifacts)
    return FormsView(
        title,
        datetime.fromtimestamp(last, UTC).strftime("%d %B %Y").lstrip("0"),
        forms,
        lineage(cast),
        machines(tuple(artifacts)),
        tuple(Methods(words_for(a.stage), a.digest[:12], a.evidence) for a in artifacts if a.evidence),
    )


def as_json(view: FormsView, columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Give report.json: every form with all that was measured of it, and the columns of the table in words."""
    return {
        "kind": KIND,
        "title": view.title,
        "headline": view.headline,
        "columns": [words for _, words in columns],
        "forms": [
            {
                "name": form.name,
                "digest": form.digest,
                "shown": [form.shown(name) for name, _ in columns],
                "figures": {
                    name: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
                    for name, m in form.figures.items()
                },
            }
            for form in view.forms
        ],
    }


def _joined(models: Sequence[ModelArtifact], reports: Sequence[Artifact]) -> dict[str, Measurement]:
    """Join the figures of one form's models; the first says its own size."""
    figures: dict[str, Measurement] = {}
    for model in reversed(models):
        figures |= _figures(model, reports)
    return figures


def _figures(model: Artifact, reports: Sequence[Artifact]) -> dict[str, Measurement]:
    figures = {m.name: m for m in model.evidence}
    for report in reports:
        place = _OF[report.stage]
        parents = report.manifest.parents
        if place < len(parents) and parents[place].digest == model.digest:
            # the server's own reading has one name more: the others are those of the reading in memory
            figures |= {m.name: m for m in report.evidence if report.stage != TEXT or m.name == "text_kept_frac"}
    return figures
