"""The data chain: sources in, a gated dataset out, with a ledger of every decision and a report drawn from it.

Cleaning and selection always run. The other stages run where the recipe names them: what is costlier judges what is
cheaper's rest, and what adds or weighs records comes last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Concatenate, Literal, TypeVar

from burnish.artifacts import DatasetArtifact, Draft, ReportArtifact
from burnish.data.adversarial import AdversarialConfig, gate_adversarial
from burnish.data.augment import AugmentConfig, augment
from burnish.data.balance import BalanceConfig, balance
from burnish.data.clean import CleanConfig, clean
from burnish.data.collect import CollectConfig, collect
from burnish.data.domain import DomainConfig, gate_domain
from burnish.data.engine import Engine
from burnish.data.find_copies import FindCopiesConfig, find_copies
from burnish.data.grammar import GrammarConfig, gate_grammar
from burnish.data.knowledge import KnowledgeConfig, inject_knowledge
from burnish.data.mixture import MixtureConfig, mix
from burnish.data.model_quality import ModelQualityConfig, gate_model_quality
from burnish.data.select import SelectConfig, select
from burnish.data.semantic import SemanticConfig, deduplicate_semantic
from burnish.data.split import SplitConfig, split
from burnish.errors import RecipeError
from burnish.loop.gated import Gated
from burnish.report.data_page import DataReportConfig, write_data_report
from burnish.runtime import Run, Workdir
from burnish.runtime.gates import Bound

Stage = Callable[Concatenate[Workdir, DatasetArtifact, ...], Draft[DatasetArtifact]]

C = TypeVar("C")

LABELS = (
    "collect", "clean", "copies", "select", "semantic", "grammar", "domain", "adversarial", "model_quality", "split",
    "knowledge", "augment", "balance", "mixture", "report",
)  # fmt: skip
_ALWAYS = ("collect", "clean", "copies", "select", "report")


@dataclass(frozen=True)
class DataRecipe:
    """All values of the data chain; a recipe in YAML fills them. A stage that may be null runs where it is named.

    Attributes:
        semantic: copies in other words.
        grammar: the gate's first level.
        domain: the second: keep what belongs to a domain.
        adversarial: the third: what is made to mislead a model.
        model_quality: what a language model or a classifier finds improbable.
        split: before what adds records, so that a copy never stands beside its source in another split.
        knowledge: facts of a graph, added to the training text.
        augment: copies in other words that keep their label.
        balance: classes made more equal.
        mixture: sources or languages weighed.
        gates: label of a stage call -> name of a measurement -> bound.
        engine: where all stages work on shards; null leaves it to each.
        track: trackers that follow the run beside events.jsonl.
        seed: a recipe's other seeds refer to this one (`${seed}`).
    """

    collect: CollectConfig
    clean: CleanConfig = field(default_factory=CleanConfig)
    find_copies: FindCopiesConfig = field(default_factory=FindCopiesConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    semantic: SemanticConfig | None = None
    grammar: GrammarConfig | None = None
    domain: DomainConfig | None = None
    adversarial: AdversarialConfig | None = None
    model_quality: ModelQualityConfig | None = None
    split: SplitConfig | None = None
    knowledge: KnowledgeConfig | None = None
    augment: AugmentConfig | None = None
    balance: BalanceConfig | None = None
    mixture: MixtureConfig | None = None
    report: DataReportConfig = field(default_factory=DataReportConfig)
    engine: Engine | None = None
    gates: dict[str, dict[str, Bound]] = field(default_factory=dict)
    seed: int = 0
    track: tuple[Literal["mlflow", "wandb"], ...] = ()

    def __post_init__(self) -> None:
        called = {*_ALWAYS, *(label for label, *_ in self.then())}
        for label in self.gates:
            if label not in LABELS:
                raise RecipeError(f"gates names the stage call {label!r}; there are: {', '.join(LABELS)}")
            if label not in called:
                raise RecipeError(
                    f"gates bounds {label!r}, which this recipe does not run; name {label}, or leave it out"
                )

    def then(self) -> Iterator[tuple[str, Stage, Any]]:
        """Give the stages after selection that the recipe names, in order, each with its label and configuration."""
        stages: tuple[tuple[str, Stage, Any], ...] = (
            ("semantic", deduplicate_semantic, self.semantic),
            ("grammar", gate_grammar, self.grammar),
            ("domain", gate_domain, self.domain),
            ("adversarial", gate_adversarial, self.adversarial),
            ("model_quality", gate_model_quality, self.model_quality),
            ("split", split, self.split),
            ("knowledge", inject_knowledge, self.knowledge),
            ("augment", augment, self.augment),
            ("balance", balance, self.balance),
            ("mixture", mix, self.mixture),
        )
        return (stage for stage in stages if stage[2] is not None)


def data_chain(run: Run, recipe: DataRecipe) -> ReportArtifact:
    """Collect, clean, find copies, select, and what else the recipe names; report.

    Raises:
        GateFailed: a measurement is outside the recipe's bound; what was sealed stays.
    """
    gated = Gated(run, recipe.gates)
    raw = gated("collect", collect, config=recipe.collect)
    cleaned = gated("clean", clean, raw, config=_on(recipe.engine, recipe.clean))
    copies = gated("copies", find_copies, cleaned, config=recipe.find_copies)
    passed = [raw, cleaned, copies, gated("select", select, cleaned, copies, config=_on(recipe.engine, recipe.select))]
    for label, stage, config in recipe.then():
        passed.append(gated(label, stage, passed[-1], config=_on(recipe.engine, config)))
    return gated("report", write_data_report, *passed, config=recipe.report)


def _on(engine: Engine | None, config: C) -> C:
    """Put the recipe's engine into a stage's configuration, where that works on shards."""
    if engine is None or not hasattr(config, "engine"):
        return config
    return replace(config, engine=engine)  # type: ignore[type-var]  # every configuration is a dataclass
