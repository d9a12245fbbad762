"""A1: does attention to a window and four global tokens save 67 % of the memory at 16k tokens, at 1.2 points?"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from burnish.artifacts import Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.claim import Claim, Figure, seed_of, write_reading
from burnish.claims.long_documents import READINGS, AdaptConfig, adapt
from burnish.claims.step_cost import Cost, CostConfig, WrittenOut, measure_cost
from burnish.data.collect import CollectConfig, collect
from burnish.data.sources import Asset
from burnish.errors import RecipeError
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn.attention import Attention, FullAttention, LocalGlobal
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import device
from burnish.runtime import Run, Workdir, need
from burnish.runtime.hardware import hardware
from burnish.train.base import BaseConfig, take_base


@dataclass(frozen=True)
class StepMemoryConfig:
    """Say which training steps to compare.

    Attributes:
        num_layers: how many of the model's first layers are compared with scores written out, which all would not fit.
    """

    attention: LocalGlobal = field(default_factory=LocalGlobal)
    num_tokens: int = 16384
    num_layers: int = 2
    precision: Precision = "auto"


@dataclass(frozen=True)
class SparseClaimConfig:
    """Seed of the resamples."""

    seed: int = 0


def measure_step_memory(out: Workdir, base: ModelArtifact, *, config: StepMemoryConfig) -> Draft[ReportArtifact]:
    """Measure time and peak memory of training steps on one long row, the same but for the attention.

    Raises:
        RecipeError: the machine has too little memory for scores that are written out.
    """
    shape = json.loads((base.payload / "config.json").read_text(encoding="utf-8"))
    _check_memory(shape, config)
    precision: Literal["bf16", "fp32"] = "bf16" if resolve(config.precision) == "bf16" else "fp32"

    def cost(attention: Any, num_layers: int | None) -> Cost:
        given = CostConfig(base.payload, attention, config.num_tokens, num_layers=num_layers, precision=precision)
        return measure_cost(given)

    with out.progress("training steps", total=4, unit="kinds") as bar:
        costs = {}
        for name, attention, num_layers in (
            ("scores_first_layers", WrittenOut(), config.num_layers),
            ("sparse_first_layers", config.attention, config.num_layers),
            ("fused", FullAttention(), None),
            ("sparse", config.attention, None),
        ):
            costs[name] = cost(attention, num_layers)
            bar.advance(1)
    few, all_layers = f"first {config.num_layers} layers, {precision}", f"all layers, {precision}"
    evidence = (
        _saved("memory_saved_scores_frac", costs["scores_first_layers"], costs["sparse_first_layers"], few),
        _saved("memory_saved_fused_frac", costs["fused"], costs["sparse"], all_layers),
        _faster("step_speedup_scores", costs["scores_first_layers"], costs["sparse_first_layers"], few),
        _faster("step_speedup_fused", costs["fused"], costs["sparse"], all_layers),
        *(
            Measurement(f"{name}_peak_bytes", each.peak_bytes, "bytes", 1, how="model, optimizer and step")
            for name, each in costs.items()
        ),
        *(
            Measurement(f"{name}_step_s", each.seconds, "s", 2, how="median of the steps after the first")
            for name, each in costs.items()
        ),
    )
    words = f"Training steps on {config.num_tokens:,} tokens with full attention and with {config.attention}."
    return Draft(ReportArtifact, evidence, words)


def measure_sparse_attention(
    out: Workdir, memory: ReportArtifact, full: ReportArtifact, sparse: ReportArtifact, *, config: SparseClaimConfig
) -> Draft[ReportArtifact]:
    """Set what is saved beside what it costs in quality: the same documents, the same steps, two attentions."""
    before, after = (json.loads((each.payload / READINGS).read_text(encoding="ascii")) for each in (full, sparse))
    settings = memory.manifest.arguments["config"]
    num_tokens, length = settings["num_tokens"], full.manifest.arguments["config"]["loop"]["row_tokens"]
    shape = f"{settings['attention']['window_tokens']} tokens and {settings['attention']['num_global_tokens']} global"
    evidence = (
        *(m for m in memory.evidence),
        _change("next_token_accuracy_change_frac", "accuracy_frac", "1", before, after, config.seed),
        _change("bits_per_byte_change", "bits_per_byte", "bits/byte", before, after, config.seed),
    )
    setting = (
        f"SmolLM2-135M on Python's documentation: a whole training step on one row of {num_tokens:,} tokens, nothing "
        f"computed again; then {len(before)} held-out documents of {length:,} tokens after the same adaptation of all "
        f"numbers with full attention and with a window of {shape} tokens; seed {seed_of(full)}."
    )
    notes = (
        "The guides do not say which full attention they compare with. Fused attention (PyTorch's own) keeps no scores, so "
        "that against it a window saves time and hardly any memory; both comparisons are printed.",
        "Scores written out do not fit for all layers at this length, so the first layers are compared with the same "
        "first layers.",
        f"The guides' points are of an unnamed measure; ours are of next tokens named rightly, at {length:,} tokens, the "
        "longest that the base was made for.",
    )
    write_reading(out, CLAIM.id, setting, notes, documents=len(before))
    words = f"Memory and quality of {shape} tokens against full attention at {num_tokens:,} tokens."
    return Draft(ReportArtifact, evidence, words)


def _saved(name: str, full: Cost, sparse: Cost, what: str) -> Measurement:
    return Measurement(name, 1 - sparse.peak_bytes / full.peak_bytes, "1", 1, how=f"of the peak of a step; {what}")


def _faster(name: str, full: Cost, sparse: Cost, what: str) -> Measurement:
    return Measurement(name, full.seconds / sparse.seconds, "1", 2, how=f"seconds over seconds; {what}")


def _change(
    name: str, key: str, unit: str, before: Sequence[dict[str, float]], after: Sequence[dict[str, float]], seed: int
) -> Measurement:
    """Measure the mean change over the same documents, with its interval."""
    changes = [late[key] - early[key] for early, late in zip(before, after, strict=True)]
    low, high = bootstrap(lambda drawn: fmean(changes[place] for place in drawn), len(changes), seed=seed)
    how = f"window less full, mean over held-out documents; bootstrap over documents, {DRAWS} draws, 95 %"
    return Measurement(name, fmean(changes), unit, len(changes), low, high, how)


def _check_memory(shape: dict[str, Any], config: StepMemoryConfig) -> None:
    """Refuse before the machine is brought down: one layer's scores, their softmax and the gradients of both."""
    needed = 16 * int(shape["num_attention_heads"]) * config.num_tokens**2
    torch = need("torch", extra="train")
    held = torch.cuda.mem_get_info()[1] if device() == "cuda" else hardware()["memory_bytes"]
    if needed > held:
        raise RecipeError(
            f"scores written out at {config.num_tokens:,} tokens take about {needed / 1e9:.0f} GB, and there are "
            f"{held / 1e9:.0f} GB; measure on a GPU with 80 GB"
        )


def _measure(run: Run, seed: int) -> ReportArtifact:
    base = run(take_base, config=BaseConfig(), label="A1 base")
    memory = run(measure_step_memory, base, config=StepMemoryConfig(), label="A1 memory")
    data = run(collect, config=CollectConfig((Asset(name="python-docs"),), seed), label="A1 documents")
    kinds: tuple[Attention, ...] = (FullAttention(), StepMemoryConfig().attention)
    full, sparse = (
        run(adapt, base, data, config=AdaptConfig(attention=kind, seed=seed), label=f"A1 {type(kind).__name__}")
        for kind in kinds
    )
    return run(measure_sparse_attention, memory, full, sparse, config=SparseClaimConfig(seed), label="A1")


CLAIM = Claim(
    id="A1",
    feature="Sparse attention: local window + global tokens, cost O(n)",
    published="16k tokens: −67 % memory, −1.2 points",
    method="Peak memory of a training step on one row of 16k tokens with a window of 256 and 4 global tokens, against full "
    "attention; next-token accuracy on held-out long documents after the same adaptation.",
    figures=(
        Figure("memory_saved_scores_frac", "memory of a step, against scores written out", 0.67, "drop"),
        Figure("memory_saved_fused_frac", "memory of a step, against fused attention", 0.67, "drop"),
        Figure("next_token_accuracy_change_frac", "next tokens named rightly", -0.012, "gain"),
    ),
    stage=measure_sparse_attention,
    measure=_measure,
)
