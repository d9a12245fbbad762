"""Prune: a smaller dense model of the same family, with fewer FFN channels, groups of heads or layers."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from burnish.artifacts import DatasetArtifact, Draft, ModelArtifact
from burnish.compress.calibration import CalibrationConfig, calibration_rows, warn_if_unreadable
from burnish.compress.held_out import HeldOut
from burnish.compress.pruning.depth import BlockInfluence, LayerCriterion, loss_without
from burnish.compress.pruning.layout import Shape, check_prunable
from burnish.compress.pruning.outcome import Whole, evidence_of, log_of, write_pruned
from burnish.compress.pruning.plan import next_shape, steps_to, target_of
from burnish.compress.pruning.refit import LeastSquares
from burnish.compress.pruning.steps import Step, Steps, Way
from burnish.compress.pruning.tuning import Tuner
from burnish.compress.sensitivity import Criterion, Fisher
from burnish.errors import GateFailed, RecipeError
from burnish.learn.loop import LoopConfig
from burnish.nn.frozen import num_weights
from burnish.nn.weights import open_model
from burnish.runtime import Workdir

FILE = "pruning.json"


@dataclass(frozen=True)
class PruneConfig:
    """Say how much goes, and how it is chosen.

    Two recipes of note. The published one: `criterion: gradient_norm`, `step_frac: 0.05`, `reconstruction: null`, and
    `tuning` after each step. The default: Fisher with least squares, in one step or in many; the refit makes good what
    a cut alone loses, whatever the criterion.

    Attributes:
        ffn_frac: share of each layer's FFN channels that goes, in [0, 1).
        kv_groups_frac: share of each layer's key/value heads that goes, each with the query heads that read it.
        num_kv_groups: how many of them stay, instead of a share.
        num_layers_dropped: layers that go.
        criterion: what a channel or a group is worth.
        layer_criterion: which layers go.
        step_frac: share of each size that goes at most in a step; scores are measured anew for each. null is one step.
        reconstruction: refits what reads a pruned matrix; null leaves the weights as they are.
        multiple_of: FFN channels stay in multiples of this. 32 is what 4-bit blocks need; 256 what llama.cpp's
            K-quants need, and GPUs like.
        tuning: trains the whole model on the calibration split after each step; its num_steps are those after each.
        max_loss_increase_frac: the held-out loss a token may grow by this share over the whole model's. A step that
            costs more is undone, steps half as large are tried, and the last good one is sealed.
        held_out_split: the documents that the losses are measured on.
        held_out_records: how many of them.
    """

    ffn_frac: float = 0.2
    kv_groups_frac: float = 0.0
    num_kv_groups: int | None = None
    num_layers_dropped: int = 0
    criterion: Criterion = field(default_factory=Fisher)
    layer_criterion: LayerCriterion = field(default_factory=BlockInfluence)
    step_frac: float | None = 0.05
    reconstruction: LeastSquares | None = field(default_factory=LeastSquares)
    multiple_of: int = 32
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    tuning: LoopConfig | None = None
    max_loss_increase_frac: float | None = None
    held_out_split: str = "validation"
    held_out_records: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("ffn_frac", "kv_groups_frac"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must lie in [0, 1), 0.2 removes a fifth")
        if self.kv_groups_frac and self.num_kv_groups is not None:
            raise RecipeError("kv_groups_frac and num_kv_groups say the same thing; give one of them")
        if self.num_layers_dropped < 0:
            raise RecipeError(f"num_layers_dropped is {self.num_layers_dropped}; it must be at least 0")
        if self.step_frac is not None and not 0 < self.step_frac <= 1:
            raise RecipeError(f"step_frac is {self.step_frac}; it must lie in (0, 1], or be null for one step")
        if self.multiple_of < 32 or self.multiple_of & (self.multiple_of - 1):
            raise RecipeError(f"multiple_of is {self.multiple_of}; it must be a power of two of at least 32")
        if self.max_loss_increase_frac is not None and self.max_loss_increase_frac < 0:
            raise RecipeError(f"max_loss_increase_frac is {self.max_loss_increase_frac}; it must be at least 0")
        if self.held_out_records < 1:
            raise RecipeError(f"held_out_records is {self.held_out_records}; it must be at least 1")


def prune(out: Workdir, model: ModelArtifact, data: DatasetArtifact, *, config: PruneConfig) -> Draft[ModelArtifact]:
    """Cut a model down, step by step; a killed run goes on after its last step, or within that step's tuning.

    Raises:
        RecipeError: nothing would go, or nothing would be left, of a layer or of the model.
        BurnishError: no dense decoder of a known family, or the data has no such split.
        GateFailed: even the smallest step costs more than the loss budget.
    """
    check_prunable(model.payload)
    rows = calibration_rows(out, model.payload, data, config.calibration)
    split, row_tokens = config.held_out_split, config.calibration.row_tokens
    held_out = HeldOut.of(out, model.payload, data, split=split, at_most=config.held_out_records, row_tokens=row_tokens)
    whole = _measure(out, model, rows, held_out, config)
    steps = Steps(out, model.payload, _way(out, model, data, rows, held_out, whole, config))
    while shape := next_shape(whole.config, whole.plan, [(s.shape, s.is_good) for s in steps.done], config.multiple_of):
        _tell(out, steps.take(shape), len(steps.done), config)
    good = [step for step in steps.done if step.is_good]
    if not good:
        raise GateFailed(_too_dear(steps.done[0], whole, held_out, config))
    write_pruned(out, model, steps.folder)
    (out / FILE).write_text(json.dumps(log_of(whole, steps.done, held_out), indent=1) + "\n", encoding="utf-8")
    evidence = evidence_of(out, whole, steps.done, held_out)
    return Draft(ModelArtifact, evidence, _summary(model, whole, good[-1], config))


def _measure(
    out: Workdir, model: ModelArtifact, rows: Sequence[Sequence[int]], held_out: HeldOut, config: PruneConfig
) -> Whole:
    """Open the whole model, plan its way, and measure where it starts."""
    opened = open_model(model.payload, precision="fp32")
    target = target_of(
        opened.config,
        ffn_frac=config.ffn_frac,
        kv_groups_frac=config.kv_groups_frac,
        num_kv_groups=config.num_kv_groups,
        num_layers_dropped=config.num_layers_dropped,
        multiple_of=config.multiple_of,
    )
    plan = steps_to(opened.config, target, config.step_frac, config.multiple_of)
    warn_if_unreadable(out, opened, rows)
    with out.progress("measuring the whole model", total=None, unit="rows"):
        loss_nats, losses = loss_without(opened, rows, []), held_out.losses(opened)
    return Whole(opened.config, plan, num_weights(opened), sum(map(len, rows)), loss_nats, losses)


def _way(
    out: Workdir,
    model: ModelArtifact,
    data: DatasetArtifact,
    rows: Sequence[Sequence[int]],
    held_out: HeldOut,
    whole: Whole,
    config: PruneConfig,
) -> Way:
    tune = None
    if config.tuning is not None:
        split = config.calibration.split
        tune = Tuner(out, model.payload, data, split=split, config=config.tuning, seed=config.seed)
    most = math.inf
    if config.max_loss_increase_frac is not None:
        most = sum(whole.held_out_losses) * (1 + config.max_loss_increase_frac)
    return Way(
        criterion=config.criterion,
        layer_criterion=config.layer_criterion,
        reconstruction=config.reconstruction,
        rows=rows,
        held_out=held_out,
        tune=tune,
        is_good=lambda losses: sum(losses) <= most,
    )


def _tell(out: Workdir, step: Step, number: int, config: PruneConfig) -> None:
    out.metrics(number, pruned_loss_nats=step.loss_nats, pruned_num_parameters=float(step.num_parameters))
    if not step.is_good:
        out.warn(f"step {number} ({step.shape}) raised the held-out loss by more than {config.max_loss_increase_frac}; it is undone")  # fmt: skip


def _too_dear(first: Step, whole: Whole, held_out: HeldOut, config: PruneConfig) -> str:
    before, after = held_out.mean(whole.held_out_losses), held_out.mean(first.held_out_losses or [])
    return (
        f"no step keeps the loss budget: {first.shape} brings the held-out loss from {before:.3f} to {after:.3f} nats a "
        f"token, max_loss_increase_frac is {config.max_loss_increase_frac}; allow more, ask for less, or tune after "
        "each step"
    )


def _summary(model: ModelArtifact, whole: Whole, last: Step, config: PruneConfig) -> str:
    was, target = Shape.of(whole.config), whole.plan[-1]
    ways = [type(config.criterion).__name__]
    ways += ["least squares on what stays"] if config.reconstruction else []
    ways += [f"{config.tuning.num_steps} steps of tuning after each"] if config.tuning else []
    short = "" if last.shape == target else f"; {target} were asked for, which the loss budget forbids"
    return (
        f"{model.digest[:12]} pruned from {was} to {last.shape}: {whole.num_parameters / 1e6:.1f} M to "
        f"{last.num_parameters / 1e6:.1f} M parameters, chosen by {', '.join(ways)}{short}."
    )
