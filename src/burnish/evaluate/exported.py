"""Export parity: the same tokens through the model and through its exported form in that form's own runtime.

Legend: T tokens of a row, V vocabulary.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact, counted
from burnish.errors import RecipeError
from burnish.evaluate.logits import Logits, model_logits
from burnish.evaluate.runtimes import Runtime, open_exported
from burnish.learn.running_text import Ends, records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.divergence import kl_divergence, log_softmax
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir

if TYPE_CHECKING:
    import numpy as np

ROWS = "prompts.jsonl"
_LEAST_LOGPROB = -80.0  # below, float32 probabilities vanish, and llama.cpp tells logarithms of those


@dataclass(frozen=True)
class ExportParityConfig:
    """Say how much is compared.

    Attributes:
        split: of the dataset; its first `num_prompts` records that have a text.
        max_tokens: of each, counted by the model's tokenizer.
        tolerance: largest relative difference of a prompt's logits that counts as equal. Float arithmetic in another
            order stays below 1e-3; engines that round activations to 8 bits (llama.cpp with quantised weights) do not.
    """

    split: str = "test"
    num_prompts: int = 16
    max_tokens: int = 32
    tolerance: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_prompts < 1 or self.max_tokens < 1:
            raise RecipeError(
                f"num_prompts is {self.num_prompts}, max_tokens {self.max_tokens}; both must be at least 1"
            )
        if not 0 < self.tolerance < 1:
            raise RecipeError(f"tolerance is {self.tolerance}; it is relative, inside (0, 1)")


@dataclass(frozen=True)
class Row:
    """What both sides made of a prompt.

    Attributes:
        difference: largest difference of a logit over the largest logit of the model, each position's mean taken off.
        kl_nats: mean over positions of KL(model || exported). Both are among the tokens that the runtime tells
            (llama.cpp: its 4,096 most probable).
        num_agreed: positions where both put the same token first.
        is_cut_equally: both tokenizers cut the text into the same tokens.
    """

    id: str
    num_tokens: int
    difference: float
    kl_nats: float
    num_agreed: int
    is_cut_equally: bool


def check_export(
    out: Workdir,
    model: ModelArtifact,
    exported: ModelArtifact,
    data: DatasetArtifact,
    *,
    config: ExportParityConfig,
) -> Draft[ReportArtifact]:
    """Compare an export with the model that it was made from, whose numbers are read in float32.

    Raises:
        BurnishError: the export is of no known form, or no record has a text.
        MissingExtra: its runtime is not installed.
    """
    records = records_with_text(data, config.split)[: config.num_prompts]
    ends = Ends.of(open_tokenizer(model.payload), None)
    ours = model_logits(model.payload)
    theirs = open_exported(exported.payload, max_tokens=config.max_tokens)
    rows = []
    with out.progress(f"comparing with {theirs.name}", total=len(records), unit="prompts") as bar:
        for record in records:
            ids = list(ends.tokenizer(record.text, add_special_tokens=False, verbose=False)["input_ids"])
            is_equal = theirs.tokenize(record.text) == ids
            rows.append(_compare(record.id, [ends.start, *ids][: config.max_tokens], ours, theirs, is_equal=is_equal))
            bar.advance()
    lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    (out / ROWS).write_text(lines, encoding="utf-8")
    num_tokens = sum(row.num_tokens for row in rows)
    summary = f"{exported.label} in {theirs.name} beside {model.label}: {len(rows)} prompts, {num_tokens} positions."
    return Draft(ReportArtifact, _evidence(rows, theirs.name, config), summary)


def _compare(name: str, ids: Sequence[int], ours: Logits, theirs: Runtime, *, is_equal: bool) -> Row:
    import numpy as np

    expected, found = log_softmax(ours(ids)), theirs.logits(ids)
    agreed = expected.argmax(axis=-1) == np.nanargmax(found, axis=-1)
    is_told = np.isfinite(found)  # of the same number of tokens at each position
    expected = log_softmax(expected[is_told].reshape(len(ids), -1))
    found = log_softmax(found[is_told].reshape(len(ids), -1))
    levels, reached = _centred(expected), _centred(found)
    difference = float(abs(levels - reached).max() / abs(levels).max())
    kl = float(kl_divergence(expected, found).mean())
    return Row(name, len(ids), difference, kl, int(agreed.sum()), is_equal)


def _centred(logprobs_TV: "np.ndarray") -> "np.ndarray":
    """Take off what log-probabilities and logits differ in."""
    floored = logprobs_TV.clip(_LEAST_LOGPROB)
    centred: np.ndarray = floored - floored.mean(axis=-1, keepdims=True)
    return centred


def _evidence(rows: Sequence[Row], runtime: str, config: ExportParityConfig) -> tuple[Measurement, ...]:
    total = sum(row.num_tokens for row in rows)

    def mean_difference(at: Sequence[int]) -> float:
        return sum(rows[i].difference for i in at) / len(at)

    def mean_kl(at: Sequence[int]) -> float:
        return sum(rows[i].kl_nats * rows[i].num_tokens for i in at) / sum(rows[i].num_tokens for i in at)

    everything = range(len(rows))
    spread = f"{runtime}; bootstrap over prompts, {DRAWS} draws, 95 %"
    relative = "largest logit difference of a prompt over its largest logit, means of positions taken off"
    within = sum(row.difference <= config.tolerance for row in rows)
    return (
        Measurement(
            "logit_difference", mean_difference(everything), "1", len(rows),
            *bootstrap(mean_difference, len(rows), seed=config.seed), how=f"{relative}; mean over prompts, {spread}",
        ),
        Measurement(
            "logit_difference_max", max(row.difference for row in rows), "1", len(rows),
            how=f"{relative}; worst prompt, {runtime}",
        ),
        counted(
            "within_tolerance_frac", within, of=len(rows),
            how=f"prompts whose relative logit difference is at most {config.tolerance:g}, {runtime}",
        ),
        Measurement(
            "kl_nats", mean_kl(everything), "nats", total, *bootstrap(mean_kl, len(rows), seed=config.seed),
            how=f"KL of next-token distributions, mean over positions; {spread}",
        ),
        counted("top1_agreement_frac", sum(r.num_agreed for r in rows), of=total, how=f"same first token, {runtime}"),
        counted(
            "tokens_equal_frac", sum(row.is_cut_equally for row in rows), of=len(rows),
            how=f"texts that {runtime} cuts into the model's tokens",
        ),
    )  # fmt: skip
