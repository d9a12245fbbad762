"""The whole chain: raw text and a base model in, a served model with its evidence out."""

from dataclasses import dataclass, field
from typing import Literal

from burnish.artifacts import ReportArtifact
from burnish.compress.export.write import ExportConfig, Openvino, export
from burnish.compress.quantize import QuantizeConfig, quantize
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig, collect
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.evaluate.generate import GenerateConfig, load_generate
from burnish.evaluate.latency import LoadConfig, load_served
from burnish.evaluate.parity import ParityConfig, check_parity
from burnish.evaluate.score import ScoreConfig, score_model, score_served
from burnish.loop import curate as curation
from burnish.loop.curate import curate
from burnish.loop.gated import Gated, check_labels
from burnish.report.page import ReportConfig, write_report
from burnish.runtime import Run
from burnish.runtime.gates import Bound
from burnish.train.base import BaseConfig, take_base
from burnish.train.finetune import FinetuneConfig, finetune
from burnish.train.merge import MergeConfig, merge

LABELS = (
    *curation.LABELS, "general", "base", "base_quality", "tuned", "merged",
    "quantized", "compressed", "parity", "baseline_load", "served_load", "served_quality", "report",
)  # fmt: skip


@dataclass(frozen=True)
class ChainRecipe:
    """All values of the whole chain; a recipe in YAML fills them.

    Attributes:
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
        general: text outside the domain, to see what tuning made the model forget.
        gates: label of a stage call -> name of a measurement -> bound.
    """

    train: FinetuneConfig
    score: ScoreConfig
    parity: ParityConfig
    baseline: GenerateConfig
    collect: CollectConfig
    general: CollectConfig
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    base: BaseConfig = field(default_factory=BaseConfig)
    compress: QuantizeConfig = field(default_factory=QuantizeConfig)
    load: LoadConfig = field(default_factory=LoadConfig)
    report: ReportConfig = field(default_factory=ReportConfig)
    gates: dict[str, dict[str, Bound]] = field(default_factory=dict)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.gates, LABELS)


def chain(run: Run, recipe: ChainRecipe) -> ReportArtifact:
    """Curate, measure the base, tune, merge, compress, check the hand-overs, serve, load, report.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    curated = curate(gated, recipe.collect, recipe)
    general = gated("general", collect, config=recipe.general)
    data = curated[-1]
    base = gated("base", take_base, config=recipe.base)
    base_quality = gated("base_quality", score_model, base, data, general, config=recipe.score)
    tuned = gated("tuned", finetune, base, data, config=recipe.train)
    merged = gated("merged", merge, base, tuned, config=MergeConfig())
    text = (data,) if recipe.compress.needs_text else ()
    quantized = gated("quantized", quantize, merged, *text, config=recipe.compress)
    compressed = gated("compressed", export, quantized, config=ExportConfig(Openvino()))
    parity = gated("parity", check_parity, base, tuned, merged, compressed, data, config=recipe.parity)
    for name, floor in recipe.parity.floors.items():
        run.require(parity, f"top1_agreement_{name}_frac", at_least=floor)
    baseline_load = gated("baseline_load", load_generate, base, data, config=recipe.baseline)
    served_load = gated("served_load", load_served, compressed, data, config=recipe.load)
    served_quality = gated("served_quality", score_served, compressed, data, general, config=recipe.score)
    everything = (
        *curated, general, base, base_quality, tuned, merged, quantized, compressed, parity,
        baseline_load, served_load, served_quality,
    )  # fmt: skip
    return gated("report", write_report, *everything, config=recipe.report)
