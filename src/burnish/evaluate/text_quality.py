"""Text quality: how well one form of a model predicts held-out text beside another form, document by document.

Legend: T tokens of a document, V vocabulary.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.errors import RecipeError
from burnish.learn.records import Record
from burnish.learn.running_text import Ends, records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.metrics import bits_per_byte
from burnish.nn.forward import logits_at
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import open_model, open_tokenizer
from burnish.runtime import Workdir, need

READINGS = "documents.jsonl"
_HOW = f"bootstrap over documents, {DRAWS} draws, 95 %"


@dataclass(frozen=True)
class TextQualityConfig:
    """Say which text is read, and how much of it.

    Attributes:
        split: of the dataset; its first `num_documents` that have a text.
        max_tokens: of each document, counted by the reference's tokenizer.
        precision: of both models in memory.
    """

    split: str = "test"
    num_documents: int = 40
    max_tokens: int = 512
    precision: Precision = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_documents < 2 or self.max_tokens < 2:
            raise RecipeError(
                f"num_documents is {self.num_documents}, max_tokens {self.max_tokens}; both must be at least 2"
            )


@dataclass(frozen=True)
class Reading:
    """What both models made of a document.

    Attributes:
        num_bytes: UTF-8 bytes of the tokens that are predicted.
        num_tokens: of them, as the reference counts.
        reference_nats, candidate_nats: summed over the same text.
        kl_nats: summed KL(reference || candidate); None where the tokenizers differ.
        num_agreed: positions where both put the same token first; None likewise.
    """

    id: str
    num_bytes: int
    num_tokens: int
    reference_nats: float
    candidate_nats: float
    kl_nats: float | None
    num_agreed: int | None


def compare_on_text(
    out: Workdir,
    reference: ModelArtifact,
    candidate: ModelArtifact,
    data: DatasetArtifact,
    *,
    config: TextQualityConfig,
) -> Draft[ReportArtifact]:
    """Read the same held-out documents with both models, in memory, and set them side by side.

    A candidate with another tokenizer (a trimmed vocabulary) is compared in bits a byte, which no tokenizer moves;
    next-token distributions are compared where both have the same tokens.
    """
    precision = resolve(config.precision)
    records = records_with_text(data, config.split)[: config.num_documents]
    before, after = _Side.of(reference, precision), _Side.of(candidate, precision)
    with out.progress("reading", total=len(records), unit="documents") as bar:
        readings = []
        for record in records:
            readings.append(_read(record, before, after, config.max_tokens))
            bar.advance(1)
    lines = "".join(json.dumps(reading.__dict__, ensure_ascii=False) + "\n" for reading in readings)
    (out / READINGS).write_text(lines, encoding="utf-8")
    summary = f"{candidate.label} beside {reference.label} on {len(readings)} held-out documents, {precision}."
    return Draft(ReportArtifact, _evidence(readings, config, precision), summary)


@dataclass(frozen=True)
class _Side:
    model: Any
    ends: Ends

    @staticmethod
    def of(artifact: ModelArtifact, precision: str) -> "_Side":
        return _Side(open_model(artifact.payload, precision=precision), Ends.of(open_tokenizer(artifact.payload), None))

    def logprobs(self, ids: Sequence[int]) -> Any:
        """Give log-probabilities of all tokens at all positions, (T, V) float32."""
        torch = need("torch", extra="train")
        with torch.inference_mode():
            chosen = torch.ones(len(ids), dtype=torch.bool)
            logits = logits_at(self.model, ids, range(len(ids)), chosen).float()
            return logits - logits.logsumexp(1, keepdim=True)


def _read(record: Record, reference: _Side, candidate: _Side, max_tokens: int) -> Reading:
    text = reference.ends.cut(record.text, max_tokens)
    ids, other = reference.ends.ids(text), candidate.ends.ids(text)
    ours, theirs = reference.logprobs(ids), candidate.logprobs(other)
    is_same = other == ids and ours.shape == theirs.shape
    kl = (ours[:-1].exp() * (ours[:-1] - theirs[:-1])).sum(1).clamp_min(0) if is_same else None
    agreed = (ours[:-1].argmax(1) == theirs[:-1].argmax(1)).sum() if is_same else None
    return Reading(
        record.id,
        len(text.encode()),
        len(ids) - 1,
        _nats(ours, ids),
        _nats(theirs, other),
        None if kl is None else float(kl.sum()),
        None if agreed is None else int(agreed),
    )


def _nats(logprobs_TV: Any, ids: Sequence[int]) -> float:
    torch = need("torch", extra="train")
    following = torch.tensor(ids[1:], device=logprobs_TV.device)[:, None]
    return -float(logprobs_TV[:-1].gather(1, following).double().sum())


def _evidence(readings: Sequence[Reading], config: TextQualityConfig, precision: str) -> tuple[Measurement, ...]:
    setting = f"first {config.max_tokens} tokens of documents of split {config.split}, transformers, {precision}"
    tokens = sum(reading.num_tokens for reading in readings)

    def bits(key: str, at: Sequence[int]) -> float:
        return bits_per_byte([getattr(readings[i], key) for i in at], [readings[i].num_bytes for i in at])

    def ratio(at: Sequence[int]) -> float:
        more = sum(readings[i].candidate_nats - readings[i].reference_nats for i in at)
        return math.exp(more / sum(readings[i].num_tokens for i in at))

    rows: list[tuple[str, str, Callable[[Sequence[int]], float], str]] = [
        ("reference_bits_per_byte", "bits/byte", lambda at: bits("reference_nats", at), setting),
        ("bits_per_byte", "bits/byte", lambda at: bits("candidate_nats", at), setting),
        ("perplexity_ratio", "1", ratio, f"perplexity over the reference's, by the reference's tokens; {setting}"),
    ]
    alike = [reading for reading in readings if reading.kl_nats is not None]
    if alike:
        rows += [
            ("kl_nats", "nats", lambda at: _mean(alike, "kl_nats", at), f"KL(reference || candidate); {setting}"),
            ("top1_agreement_frac", "1", lambda at: _mean(alike, "num_agreed", at), f"same first token; {setting}"),
        ]
    measured = []
    for name, unit, statistic, how in rows:
        n = len(alike) if name in ("kl_nats", "top1_agreement_frac") else len(readings)
        low, high = bootstrap(statistic, n, seed=config.seed)
        measured.append(Measurement(name, statistic(range(n)), unit, n, low, high, f"{how}; {_HOW}"))
    return (*measured, Measurement("text_tokens", tokens, "tokens", len(readings), how=setting))


def _mean(readings: Sequence[Reading], key: str, at: Sequence[int]) -> float:
    return float(sum(getattr(readings[i], key) for i in at) / sum(readings[i].num_tokens for i in at))
