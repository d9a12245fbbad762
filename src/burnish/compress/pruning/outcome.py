"""What pruning leaves behind: the model, its log, and the evidence."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import Measurement, ModelArtifact
from burnish.compress.held_out import HeldOut
from burnish.compress.pruning.layout import Shape
from burnish.compress.pruning.steps import Step
from burnish.compress.pruning.tuning import BROKEN
from burnish.compress.sizes import size_evidence
from burnish.learn.fitted import LOG
from burnish.nn.weights import copy_tokenizer
from burnish.runtime import Workdir

_MODEL_FILES = (
    "config.json",
    "generation_config.json",
    "*.safetensors",
    "*.safetensors.index.json",
    LOG,
)


@dataclass(frozen=True)
class Whole:
    """The model before pruning.

    Attributes:
        config: of transformers.
        plan: the sizes after each step.
        num_tokens: of calibration text.
        loss_nats: a token of it.
        held_out_losses: of each held-out document.
    """

    config: Any
    plan: list[Shape]
    num_parameters: int
    num_tokens: int
    loss_nats: float
    held_out_losses: list[float]


def write_pruned(out: Workdir, model: ModelArtifact, folder: Path) -> None:
    """Write the pruned model of a step's folder, with the tokenizer of the whole one, and all batches left out."""
    for pattern in _MODEL_FILES:
        for path in sorted(folder.glob(pattern)):
            shutil.copyfile(path, out / path.name)
    copy_tokenizer(model.payload, out.payload)
    if (out.snapshots / BROKEN).exists():
        shutil.copytree(out.snapshots / BROKEN, out.payload / BROKEN)


def log_of(whole: Whole, steps: Sequence[Step], held_out: HeldOut) -> dict[str, Any]:
    """Give all steps, those that were undone among them, as plain values; held-out losses a token."""
    rows = []
    for step in steps:
        row = {name: value for name, value in asdict(step).items() if name != "held_out_losses"}
        rows.append({**row, "held_out_loss_nats": held_out.mean(step.held_out_losses or [])})
    return {
        "before": {
            "shape": asdict(Shape.of(whole.config)),
            "num_parameters": whole.num_parameters,
            "loss_nats": whole.loss_nats,
            "held_out_loss_nats": held_out.mean(whole.held_out_losses),
        },
        "asked": asdict(whole.plan[-1]),
        "steps": rows,
    }


def evidence_of(out: Workdir, whole: Whole, steps: Sequence[Step], held_out: HeldOut) -> tuple[Measurement, ...]:
    """Say what went and what it cost; the last good step is what is sealed."""
    good = [step for step in steps if step.is_good]
    last, was = good[-1], Shape.of(whole.config)
    losses = last.held_out_losses or []
    text = "calibration text, a token"
    sizes = (
        ("ffn_channels", was.ffn_channels, last.shape.ffn_channels),
        ("kv_groups", was.kv_groups, last.shape.kv_groups),
        ("layers", was.layers, last.shape.layers),
    )
    return (
        Measurement("num_parameters_before", whole.num_parameters, "1", 1, how="distinct weights"),
        Measurement("removed_frac", 1 - last.num_parameters / whole.num_parameters, "1", 1, how="of all parameters"),
        *(Measurement(name, now, "1", 1, how=f"{before} before") for name, before, now in sizes),
        Measurement("good_steps_count", len(good), "steps", len(steps), how="kept, of all that were tried"),
        *_skipped(steps),
        Measurement("calibration_loss_nats_before", whole.loss_nats, "nats", whole.num_tokens, how=text),
        Measurement("calibration_loss_nats", last.loss_nats, "nats", whole.num_tokens, how=text),
        held_out.perplexity("perplexity_before", whole.held_out_losses),
        held_out.perplexity("perplexity", losses),
        held_out.ratio("perplexity_ratio", whole.held_out_losses, losses),
        *size_evidence(last.num_parameters, out.payload),
    )


def _skipped(steps: Sequence[Step]) -> tuple[Measurement, ...]:
    """Count the steps of tuning that were left out, in steps of pruning that were undone too; nothing without tuning."""
    counts = [step.num_skipped for step in steps if step.num_skipped is not None]
    if not counts:
        return ()
    how = f"left out in {len(counts)} tunings, since loss or gradient was not finite; their batches are in {BROKEN}/"
    return (Measurement("skipped_steps_count", sum(counts), "steps", len(counts), how=how),)
