"""Quantisation-aware training: a model learns to say on its grids what it said as floats."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.compress.bits import Bits, Uniform, grid_for, kind_of
from burnish.compress.clip import Clip, MseClip, clip_of, is_weighted
from burnish.compress.fake_quant import LoraQat, Watched, fake_quantize, matrices, range_names
from burnish.compress.grids import Grid, IntGrid, Placed, place
from burnish.compress.pair import (
    check_tokenizers,
    compared,
    open_reader,
    text_rows,
    trained,
)
from burnish.compress.placed import read_placed
from burnish.compress.quantize import BITS, bits_of
from burnish.compress.quantize_evidence import evidence_of
from burnish.compress.weights import refuse_unfit, shapes_of, write_weights
from burnish.errors import BurnishError, RecipeError
from burnish.learn.distillation import DistillTask
from burnish.learn.groups import Group
from burnish.learn.loop import LoopConfig, fit
from burnish.nn.compiled import compile_layers
from burnish.nn.divergence_loss import Matching
from burnish.nn.precision import Precision, resolve
from burnish.runtime import Workdir, need


def _loop() -> LoopConfig:
    # Liu et al. 2023 (LLM-QAT), arXiv 2305.17888, train 7B models at 2e-5; smaller ones bear more
    return LoopConfig(num_steps=200, row_tokens=1024, rows_per_step=4, learning_rate=5e-5)


@dataclass(frozen=True)
class QatConfig:
    """Say on which grids a model is trained, and how.

    Attributes:
        bits: grid of each matrix. A head of 8 bits is rounded at the start and stays so: its loss is within noise.
        clip: how the scales of the start are chosen.
        range_rate: scales are learnt at so many times the learning rate; 0 keeps those of the start.
        lora: train thin matrices instead of the weights; null trains the weights, norms and biases.
        activation_bits: round what the linear layers of the blocks are given too, with a scale a token; null does not.
            8 is what runtimes with dynamic activations do; 4 ruins most models without a rotation, so put a gate after.
        logits: how the float model's predictions are matched.
        precision: of all that is not on a grid, and of the products; "auto" measures.
        teacher_precision: of the float model.
        validation_records: held-out records that are watched.
    """

    bits: Bits = field(default_factory=Uniform)
    clip: Clip = field(default_factory=MseClip)
    range_rate: float = 10.0
    lora: LoraQat | None = None
    activation_bits: int | None = None
    logits: Matching = field(default_factory=lambda: Matching(temperature=1.0))
    loop: LoopConfig = field(default_factory=_loop)
    precision: Precision = "auto"
    teacher_precision: Precision = "auto"
    validation_records: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.range_rate < 0 or self.validation_records < 1:
            raise RecipeError(
                f"range_rate is {self.range_rate}, validation_records {self.validation_records}; the first must not be "
                "below 0, the second at least 1"
            )
        if self.activation_bits is not None and not 2 <= self.activation_bits <= 8:
            raise RecipeError(f"activation_bits is {self.activation_bits}; it must be 2 to 8, or null for floats")
        if self.precision == "fp16":
            raise RecipeError("precision fp16 holds a model that stays as it is; use bf16 or fp32")
        if is_weighted(self.clip):
            raise RecipeError("clip.is_weighted needs calibration, which training replaces; set it to false")
        if self.logits.ce_frac == 1:
            raise RecipeError("logits.ce_frac is 1, which learns nothing of the float model; take less")


def qat(
    out: Workdir, model: ModelArtifact, teacher: ModelArtifact, data: DatasetArtifact, *, config: QatConfig
) -> Draft[ModelArtifact]:
    """Train a model on its grids to say what the teacher says; write it on them, as `quantize` does.

    Args:
        model: floats, or what `quantize` made on the same grids, whose scales are then the start.
        teacher: the float model; what `model` was before it was made smaller, or itself.

    Raises:
        RecipeError: `bits` leaves no matrix to train, or does not fit the model's grids; the tokenizers differ.
        BurnishError: the architecture is not known, a split has no text, or the loss broke.
    """
    torch = need("torch", extra="compress")
    begun = read_placed(model.payload)
    if not begun:
        refuse_unfit(model.payload)
    check_tokenizers(teacher, model)
    options = {"validation_records": config.validation_records, "seed": config.seed}
    rows = text_rows(out, model.payload, data, config.loop, **options)
    torch.manual_seed(config.seed)
    precision = resolve(config.precision)
    above = open_reader(teacher.payload, resolve(config.teacher_precision)).requires_grad_(False)
    below = open_reader(model.payload, precision)
    watched, fixed = put_on_grids(below, config, begun)
    if config.loop.should_compile:
        compile_layers(below)
        compile_layers(above)
    start = compared(below, above, rows, seed=config.seed, prefix="start_")
    ranges = range_names(below)
    groups = (Group(ranges, config.range_rate),) if ranges else ()
    fitted = fit(below, rows.items, rows.held_out, DistillTask(above, config.logits), config.loop, out, groups)
    after = compared(below, above, rows, seed=config.seed)
    placed = fixed | {each.name: each.placed() for each in watched}
    errors = write_trained(below, model.payload, out.payload, placed)
    fitted.write_log(out.payload)
    bits = bits_of(out.payload)
    (out / BITS).write_text(json.dumps(bits, indent=1) + "\n", encoding="utf-8")
    evidence = (
        *after,
        *start,
        *_recovered(start, after),
        *trained(fitted, rows, precision),
        *evidence_of(shapes_of(model.payload), bits, errors),
    )
    return Draft(ModelArtifact, evidence, _summary(model, teacher, config, placed, precision))


def put_on_grids(
    model: Any, config: QatConfig, begun: dict[str, Placed] | None = None
) -> tuple[list[Watched], dict[str, Placed]]:
    """Let a model's matrices compute on their grids, and set what trains.

    Args:
        begun: scales to start from, by weight; the clip chooses others.

    Returns:
        The weights that train, and those that were rounded once and stay.

    Raises:
        RecipeError: `bits` leaves no matrix to train, or does not fit `begun`.
        BurnishError: a matrix does not fit its grid.
    """
    torch = need("torch", extra="compress")
    model.requires_grad_(False)
    watched: list[Watched] = []
    fixed: dict[str, Placed] = {}
    for name, modules in list(matrices(model)):
        grid = grid_for(name, config.bits)
        if grid is None:
            continue
        start = _start(name, modules[0].weight.detach(), grid, config.clip, begun or {})
        if kind_of(name) == "head" and not _is_coarse(grid):
            with torch.no_grad():
                modules[0].weight.copy_(start.dequantize())
            fixed[name] = start
            continue
        bits = None if kind_of(name) == "head" else config.activation_bits
        learns = config.range_rate > 0
        watched.append(fake_quantize(name, modules, start, learns_range=learns, lora=config.lora, input_bits=bits))
    if not watched:
        raise RecipeError("bits gives no matrix a grid to train on; take quantize where heads alone are rounded")
    model.get_input_embeddings().register_forward_hook(_with_gradient)
    if config.lora is None:
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.requires_grad_(True)
    return watched, fixed


def _with_gradient(_module: Any, _given: Any, embedded_1TD: Any) -> Any:
    """Let the first layer be given what the others are, a tensor with a gradient, or it would be a program of its own."""
    torch = need("torch", extra="compress")
    return embedded_1TD.requires_grad_(True) if torch.is_grad_enabled() else embedded_1TD


def write_trained(model: Any, source: Path, target: Path, placed: dict[str, Placed]) -> dict[str, float]:
    """Write what was trained, on its grids, with the weights of `source` that did not train; give the errors."""
    changed = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad and p.ndim == 1}
    return write_weights(source, target, placed, changed)


def _start(name: str, weight_OI: Any, grid: Grid, clip: Clip, begun: dict[str, Placed]) -> Placed:
    if not begun:
        try:
            return place(weight_OI, grid, clip=clip_of(weight_OI, grid, clip))
        except BurnishError as error:
            raise BurnishError(f"{name}: {error}") from error
    if name not in begun or begun[name].grid != grid:
        found = begun[name].grid if name in begun else "float"
        raise RecipeError(
            f"{name} of the model is {found}, and bits says {grid}; give the same bits, or the float model"
        )
    return begun[name]


def _is_coarse(grid: Grid) -> bool:
    return isinstance(grid, IntGrid) and grid.num_bits < 8


def _recovered(start: Sequence[Measurement], after: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Say how much of the loss by rounding training took back; nothing where rounding lost nothing."""
    before, now = (next(m for m in each if m.name.endswith("perplexity_ratio")) for each in (start, after))
    if before.value <= 1:
        return ()
    share = 1 - (now.value - 1) / (before.value - 1)
    return (Measurement("recovered_frac", share, "1", now.n, how="of what rounding added to the perplexity ratio"),)


def _summary(
    model: ModelArtifact, teacher: ModelArtifact, config: QatConfig, placed: dict[str, Placed], precision: str
) -> str:
    loop = config.loop
    grids = ", ".join(sorted({str(each.grid) for each in placed.values()}))
    inputs = "" if config.activation_bits is None else f", inputs of {config.activation_bits} bits a token"
    what = "weights" if config.lora is None else f"LoRA of rank {config.lora.rank} within the rounding"
    return (
        f"{model.digest[:12]} trained on its grids to say what {teacher.digest[:12]} says: {len(placed)} matrices "
        f"({grids}){inputs}; {what}, {loop.num_steps} steps of {loop.rows_per_step} × {loop.row_tokens} tokens, {precision}."
    )
