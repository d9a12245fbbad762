"""Quality: what a candidate must keep, measured in its server at the end, and by a cheap proxy on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from burnish.artifacts import DatasetArtifact, Measurement, ModelArtifact, ReportArtifact
from burnish.data.collect import CollectConfig, collect
from burnish.errors import RecipeError
from burnish.evaluate.score import ScoreConfig, score_model, score_served
from burnish.evaluate.served_text import ServedTextConfig, compare_served, read_text
from burnish.evaluate.text_quality import TextQualityConfig, compare_on_text
from burnish.loop.optimizing.limits import Figures, Limits

Call = Callable[..., Any]  # (stage, *artifacts, config=...), as a run is called


@dataclass(frozen=True)
class TextKept:
    """Judge by held-out text: 1 over the perplexity ratio, so that 1 is the base's own quality."""

    text: TextQualityConfig = field(default_factory=TextQualityConfig)


@dataclass(frozen=True)
class TaskAccuracy:
    """Judge by a labelled task: the share of right answers.

    Attributes:
        general: text outside the task, for what `score` says of forgetting.
    """

    score: ScoreConfig
    general: CollectConfig


Quality = TextKept | TaskAccuracy


@dataclass(frozen=True)
class Proxy:
    """Say how a candidate is judged before it is healed, exported and served.

    It goes on where its proxy's quality is at least the floor less the margin, and its packed weights are not larger
    than the size limit and its margin.

    Attributes:
        split: text of the proxy; another than the quality's.
        num_documents: documents, or records of a labelled task.
        max_tokens: of each document.
        margin_frac: of the floor, for what few documents may err.
        healing_margin_frac: of the floor, before healing or training on the grid. A 135M model cut by 40 % of its FFN
            had, on text unlike what it then learnt from, three fifths of the quality that distillation brought it to:
            benchmarks/results/compress_quality_training_h100_202611.json, whose perplexity ratios these are.
        size_margin_frac: of the size limit; an export repeats scales and has a tokenizer beside it, or packs tighter.
    """

    split: str = "validation"
    num_documents: int = 6
    max_tokens: int = 128
    margin_frac: float = 0.05
    healing_margin_frac: float = 0.4
    size_margin_frac: float = 0.1

    def __post_init__(self) -> None:
        if self.num_documents < 2 or self.max_tokens < 2:
            raise RecipeError(
                f"proxy.num_documents is {self.num_documents}, max_tokens {self.max_tokens}; both must be at least 2"
            )
        for name in ("margin_frac", "healing_margin_frac", "size_margin_frac"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"proxy.{name} is {getattr(self, name)}; it must lie in [0, 1]")


@dataclass(frozen=True)
class Judge:
    """Hold what quality is measured against.

    Attributes:
        beside: the reading of the base for text, general text for a task.
    """

    quality: Quality
    proxy: Proxy
    base: ModelArtifact
    data: DatasetArtifact
    beside: ReportArtifact | DatasetArtifact

    @staticmethod
    def prepare(call: Call, quality: Quality, proxy: Proxy, base: ModelArtifact, data: DatasetArtifact) -> "Judge":
        """Read the base once, or collect the general text."""
        match quality:
            case TextKept(text=text):
                return Judge(quality, proxy, base, data, call(read_text, base, data, config=text))
            case TaskAccuracy(general=general):
                return Judge(quality, proxy, base, data, call(collect, config=general))
            case _:
                assert_never(quality)

    def served(self, call: Call, model: ModelArtifact) -> ReportArtifact:
        """Measure a served model."""
        report: ReportArtifact
        match self.quality:
            case TextKept(text=text):
                report = call(compare_served, self.beside, model, config=ServedTextConfig(text.seed))
            case TaskAccuracy(score=score):
                report = call(score_served, model, self.data, self.beside, config=score)
            case _:
                assert_never(self.quality)
        return report

    def cheaply(self, call: Call, model: ModelArtifact) -> ReportArtifact:
        """Measure a model of the Hugging Face layout in memory, on little."""
        proxy = self.proxy
        report: ReportArtifact
        match self.quality:
            case TextKept(text=text):
                little = replace(
                    text, split=proxy.split, num_documents=proxy.num_documents, max_tokens=proxy.max_tokens
                )
                report = call(compare_on_text, self.base, model, self.data, config=little)
            case TaskAccuracy(score=score):
                few = replace(
                    score,
                    test_records=proxy.num_documents,
                    general_records=2,
                    max_general_tokens=min(score.max_general_tokens, proxy.max_tokens),
                )
                report = call(score_model, model, self.data, self.beside, config=few)
            case _:
                assert_never(self.quality)
        return report


def quality_name(quality: Quality) -> str:
    """Name the measurement of a served model's quality."""
    match quality:
        case TextKept():
            return "text_kept_frac"
        case TaskAccuracy():
            return "accuracy_frac"
        case _:
            assert_never(quality)


def proxy_quality(report: ReportArtifact) -> float:
    """Read the quality of a proxy."""
    ratio = next((m for m in report.evidence if m.name == "perplexity_ratio"), None)
    return report.measurement("accuracy_frac").value if ratio is None else 1 / ratio.value


def refusal(limits: Limits, proxy: Proxy, figures: Figures, *, is_to_be_trained: bool) -> str:
    """Say why a candidate is given up after its proxy; nothing where it goes on.

    Args:
        figures: quality by the proxy, and bytes of the packed weights; None where unknown.
        is_to_be_trained: whether healing or training on the grid still comes.
    """
    margin = proxy.healing_margin_frac if is_to_be_trained else proxy.margin_frac
    if limits.min_quality is not None and figures.quality_frac is not None:
        least = limits.min_quality * (1 - margin)
        if figures.quality_frac < least:
            return (
                f"quality {figures.quality_frac:.3g} by the proxy{' before training' if is_to_be_trained else ''}, out of "
                f"reach of {limits.min_quality:g} (margin {margin:.0%}: {least:.3g})"
            )
    if limits.max_size_mb is not None and figures.size_bytes is not None:
        most = limits.max_size_mb * (1 + proxy.size_margin_frac)
        if figures.size_bytes / 1e6 > most:
            return (
                f"weights of {figures.size_bytes / 1e6:.3g} MB, out of reach of {limits.max_size_mb:g} MB "
                f"(margin {proxy.size_margin_frac:.0%}: {most:.3g})"
            )
    return ""


def figures_of(load: ReportArtifact, quality: Measurement, size_bytes: float) -> Figures:
    """Put together what was measured of a served candidate."""
    return Figures(
        quality_frac=quality.value,
        quality_low_frac=quality.value if quality.low is None else quality.low,
        p99_ms=load.measurement("latency_p99_ms").value,
        memory_bytes=load.measurement("memory_bytes").value,
        size_bytes=size_bytes,
        throughput_tokens_per_s=load.measurement("throughput_tokens_per_s").value,
    )
