"""Preference tuning (DPO): of two answers to the same turns, make the better one likelier than the worse."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, counted
from burnish.learn.loop import LoopConfig
from burnish.learn.preference import Pair, PreferenceTask, answer_logprobs, pack_pairs, pack_pairs_once
from burnish.learn.preference_loss import PreferenceLoss, Sigmoid, strength
from burnish.nn.chat import ChatFormat
from burnish.nn.precision import resolve
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir, need
from burnish.runtime.recipes import choice_name
from burnish.train.left_out import write_left_out
from burnish.train.methods import is_adapter
from burnish.train.pairs import FromLabels, FromPreferences, OnUnusable, PairDesk, PairSource, read_pairs
from burnish.train.tuning import TuneConfig, Tuned, evidence_of, open_base, summary_of, tune


@dataclass(frozen=True, kw_only=True)
class PreferConfig(TuneConfig):
    """Say which pairs are learnt, and how.

    Attributes:
        loop: the rate is far below that of fine-tuning: 5e-6 is the Alignment Handbook's for LoRA of rank 16
            (zephyr-7b-dpo-qlora); 5e-7 is Zephyr's for all parameters (Tunstall et al. 2023, arXiv 2310.16944).
        loss: of a pair.
        sft_weight: of the chosen answer's own cross-entropy, added to each pair's loss; 0 leaves it out.
        on_unusable: a pair that does not fit a row, or has nothing to prefer: leave it out, counted and listed, or
            stop.
    """

    pairs: PairSource = field(default_factory=FromPreferences)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(learning_rate=5e-6))
    loss: PreferenceLoss = field(default_factory=Sigmoid)
    sft_weight: float = 0.0
    on_unusable: OnUnusable = "leave_out"

    def __post_init__(self) -> None:
        super().__post_init__()
        _task(self)  # refuses what lies outside


def prefer(out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: PreferConfig) -> Draft[ModelArtifact]:
    """Train on pairs of answers against the base as it is; resume from the last snapshot if the run was killed.

    Raises:
        BurnishError: the data holds no pairs, or the loss broke.
        RecipeError: pairs cannot be learnt and the recipe says stop, or none can.
    """
    desk = PairDesk(ChatFormat(open_tokenizer(base.payload)), config.loop.row_tokens, config.on_unusable)
    given = read_pairs(data, "train", config.pairs, seed=config.seed)
    watched = read_pairs(data, "validation", config.pairs, seed=config.seed, at_most=config.validation_records)
    pairs, held_out = desk.prepare(out, "train", given), desk.prepare(out, "validation", watched)
    if not is_adapter(config.method):
        known = _reference(out, base, config, [*pairs, *held_out])
        pairs, held_out = ([replace(p, reference=known[p.key]) for p in some] for some in (pairs, held_out))
    shape: dict[str, Any] = {"row_tokens": config.loop.row_tokens, "is_filled": config.is_compiled}
    items = pack_pairs(pairs, seed=config.seed, **shape)
    tuned = tune(out, base, config, _task(config), items, pack_pairs_once(held_out, **shape))
    write_left_out(out, desk.left_out)
    evidence = _evidence(tuned, len(pairs), len(held_out)) + desk.evidence()
    return Draft(ModelArtifact, evidence, summary_of(config, tuned.precision, _learnt(config, len(pairs))))


def _task(config: PreferConfig) -> PreferenceTask:
    return PreferenceTask(config.loss, config.sft_weight)


def _reference(
    out: Workdir, base: ModelArtifact, config: PreferConfig, pairs: Sequence[Pair]
) -> dict[str, tuple[float, float]]:
    """Ask the base once for the log-probabilities of all answers; a resumed run finds them beside its snapshots."""
    path = out.snapshots / "reference_logprobs.json"
    known = _read_reference(path)
    if not all(pair.key in known for pair in pairs):
        known = _ask_reference(out, base, config, pairs)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(known), encoding="utf-8")
        partial.replace(path)
    return known


def _read_reference(path: Path) -> dict[str, tuple[float, float]]:
    try:
        return {key: (chosen, rejected) for key, (chosen, rejected) in json.loads(path.read_text("utf-8")).items()}
    except (OSError, ValueError):  # none yet, or torn by a crash: asked again
        return {}


def _ask_reference(
    out: Workdir, base: ModelArtifact, config: PreferConfig, pairs: Sequence[Pair]
) -> dict[str, tuple[float, float]]:
    torch = need("torch", extra="train")
    model = open_base(base, config, resolve(config.precision))
    rows = pack_pairs_once(pairs, row_tokens=config.loop.row_tokens)
    found: list[float] = []
    with torch.inference_mode(), out.progress("reference", total=len(rows), unit="rows") as bar:
        for row in rows:
            found += answer_logprobs(model, row).tolist()
            bar.advance()
    return {pair.key: (found[2 * n], found[2 * n + 1]) for n, pair in enumerate(pairs)}


def _evidence(tuned: Tuned, num_pairs: int, num_held_out: int) -> tuple[Measurement, ...]:
    how = {
        "train_loss_nats": "last step, mean over its pairs",
        "validation_loss_nats": "after the last step, mean over held-out pairs",
        "train_records": "pairs of the train split",
    }
    right_frac = tuned.fitted.last("validation_preference_accuracy_frac")
    shared = evidence_of(tuned, num_records=num_pairs, num_held_out=num_held_out)
    return (
        *(replace(measured, how=how.get(measured.name, measured.how)) for measured in shared),
        counted(
            "preference_accuracy_frac",
            round(right_frac * num_held_out),
            of=num_held_out,
            how="held-out pairs whose chosen answer has gained more on the base than the rejected one, after the last step",
        ),
        Measurement(
            "validation_reward_margin_nats",
            tuned.fitted.last("validation_reward_margin_nats"),
            "nats",
            num_held_out,
            how="reward of the chosen answer less that of the rejected one, mean over held-out pairs, after the last step",
        ),
    )


def _learnt(config: PreferConfig, num_pairs: int) -> str:
    loss = f"{choice_name(type(config.loss))} loss at {strength(config.loss):g}"
    made = "pairs made of labels" if isinstance(config.pairs, FromLabels) else "pairs of answers"
    kept = f", weight {config.sft_weight:g} on the chosen answers' own likelihood" if config.sft_weight else ""
    return f"{num_pairs} {made} against the base, {loss}{kept}"
