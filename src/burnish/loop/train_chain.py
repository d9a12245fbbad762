"""The training chain: a base model and what it shall learn in; the tuned model, measured before and after, out."""

from dataclasses import dataclass, field
from typing import Any, Literal

from burnish.artifacts import DatasetArtifact, ReportArtifact
from burnish.data.clean import CleanConfig
from burnish.data.collect import CollectConfig, collect, source_names
from burnish.data.find_copies import FindCopiesConfig
from burnish.data.select import SelectConfig
from burnish.data.split import SplitConfig
from burnish.errors import RecipeError
from burnish.evaluate.score import ScoreConfig, score_model, score_tuned
from burnish.loop import curate as curation
from burnish.loop.curate import curate
from burnish.loop.gated import Gated, check_labels
from burnish.report.page import ReportConfig, write_report
from burnish.runtime import Run
from burnish.runtime.gates import Bound
from burnish.train.base import BaseConfig, take_base
from burnish.train.examples import ExamplesConfig, take_examples
from burnish.train.learning import Learning, stage_of
from burnish.train.merge import MergeConfig, merge
from burnish.train.methods import Lora
from burnish.train.multitask import MultitaskConfig


@dataclass(frozen=True)
class TrainRecipe:
    """All values of a training; a recipe in YAML fills them.

    Attributes:
        train: what is learnt and how: finetune (labels), pretrain (running text), converse (chats), prefer (pairs of
            answers, DPO), multitask (classes, one head a task).
        collect: records to curate; or else `examples` are given.
        examples: conversations, or pairs of answers, as files hold them.
        score: labels and bits a byte before and after; null leaves the losses that training logs.
        general: text outside the domain, for `score`: what does tuning make the model forget?
        is_merged: add a LoRA adapter to the base's weights at the end, for any tool to open.
        gates: label of a stage call -> name of a measurement -> bound.
        seed: a recipe's other seeds refer to this one (`${seed}`).
        track: trackers that follow the run beside events.jsonl.
    """

    train: Learning
    base: BaseConfig = field(default_factory=BaseConfig)
    collect: CollectConfig | None = None
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    examples: ExamplesConfig | None = None
    score: ScoreConfig | None = None
    general: CollectConfig | None = None
    is_merged: bool = True
    report: ReportConfig = field(default_factory=lambda: ReportConfig(title="The model, before and after training"))
    gates: dict[str, dict[str, Bound]] = field(default_factory=dict)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        if (self.collect is None) == (self.examples is None):
            raise RecipeError("give either collect, for records to curate, or examples, for chats and pairs of answers")
        if (self.score is None) != (self.general is None):
            raise RecipeError("score and general belong together: give both, or leave both out")
        if self.score is not None and isinstance(self.train, MultitaskConfig):
            raise RecipeError("multitask scores its own tasks; leave score and general out")
        if self.collect is not None and isinstance(self.train, MultitaskConfig):
            _check_sources(self.train, source_names(self.collect.sources))
        check_labels(self.gates, self.labels())

    def labels(self) -> tuple[str, ...]:
        """Name the stage calls that the recipe makes."""
        return (
            *(("examples",) if self.collect is None else curation.LABELS),
            "base",
            *(("general", "base_quality") if self.score is not None else ()),
            "tuned",
            *(("tuned_quality",) if self.score is not None else ()),
            *(("merged",) if self.makes_merged() else ()),
            "report",
        )

    def makes_merged(self) -> bool:
        """Tell whether there is an adapter to merge, and it is to be."""
        return self.is_merged and isinstance(self.train.method, Lora) and not isinstance(self.train, MultitaskConfig)


def train_chain(run: Run, recipe: TrainRecipe) -> ReportArtifact:
    """Take the data and the base, measure, tune, measure again, merge, report.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    made: list[Any] = list(take_data(gated, recipe))
    data = made[-1]
    base = gated("base", take_base, config=recipe.base)
    made.append(base)
    general = None
    if recipe.score is not None and recipe.general is not None:
        general = gated("general", collect, config=recipe.general)
        made += [general, gated("base_quality", score_model, base, data, general, config=recipe.score)]
    tuned = gated("tuned", stage_of(recipe.train), base, data, config=recipe.train)
    made.append(tuned)
    if recipe.score is not None and general is not None:
        made.append(gated("tuned_quality", score_tuned, base, tuned, data, general, config=recipe.score))
    if recipe.makes_merged():
        made.append(gated("merged", merge, base, tuned, config=MergeConfig()))
    return gated("report", write_report, *made, config=recipe.report)


def take_data(gated: Gated, recipe: TrainRecipe) -> tuple[DatasetArtifact, ...]:
    """Make the dataset, last of what is given."""
    if recipe.collect is None:
        return (gated("examples", take_examples, config=recipe.examples),)
    return curate(gated, recipe.collect, recipe)


def _check_sources(train: MultitaskConfig, names: list[str]) -> None:
    """Refuse a task whose labels stand in a source that is not collected, before anything is."""
    for task in train.tasks:
        if task.source and task.source not in names:
            raise RecipeError(
                f"train.tasks: task {task.name} has source {task.source!r}; collect.sources are, by kind: {', '.join(names)}"
            )
