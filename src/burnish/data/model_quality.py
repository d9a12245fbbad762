"""Model quality: keep what a model takes for good text: a language model by its surprise, or a classifier.

The first asks how many bits a byte a causal language model needs for a text: few for what is said over and over, many
for what is no language. The second learns from texts that the user calls good; it is faster by a thousand times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

import numpy as np

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement, counted
from burnish.data.engine import Engine, Local
from burnish.data.flow import PLANTED_RANDOM, carry_planted
from burnish.data.ledger import Verdict, at_least, at_most
from burnish.data.scoring.quality_classifier import Classifier, fit_classifier, load_classifier
from burnish.data.scoring.quality_perplexity import Perplexity, bits_per_byte_of
from burnish.data.scoring.sample import sample_records
from burnish.data.scoring.scores import Scores, ScoreTable, score_records
from burnish.data.shards import read_tables, shard_paths
from burnish.data.sift import sift
from burnish.errors import RecipeError
from burnish.runtime import Workdir

RULES = ("too_predictable", "too_surprising", "unlike_good_text")


@dataclass(frozen=True)
class Bounds:
    """Keep what scores between two values, ends included.

    Attributes:
        low, high: bits a byte for perplexity, log odds for the classifier; null sets no bound.
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise RecipeError("bounds has neither low nor high; give at least one")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise RecipeError(f"low is {self.low} and high is {self.high}; low must be below high")


@dataclass(frozen=True)
class Percentiles:
    """Keep what scores between two percentiles of the corpus, ends included.

    Attributes:
        low_frac, high_frac: shares of the records, in [0, 1]; 0.02 and 0.98 take the 2 % at either end.
    """

    low_frac: float = 0.02
    high_frac: float = 0.98

    def __post_init__(self) -> None:
        if not 0 <= self.low_frac < self.high_frac <= 1:
            raise RecipeError(
                f"low_frac is {self.low_frac} and high_frac is {self.high_frac}; need 0 <= low < high <= 1"
            )


@dataclass(frozen=True)
class ModelQualityConfig:
    """Say which model judges, and what is good enough.

    Attributes:
        scorer: a language model, or a classifier of good text.
        keep: bounds or percentiles of its score. A classifier's score is good when high, so only `low` is asked.
        seed: draws the corpus's sample that a classifier learns from.
    """

    scorer: Perplexity | Classifier
    keep: Bounds | Percentiles = field(default_factory=Percentiles)
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)


def gate_model_quality(out: Workdir, records: DatasetArtifact, *, config: ModelQualityConfig) -> Draft[DatasetArtifact]:
    """Set aside the records that the model does not take for good text.

    Raises:
        RecipeError: the model or the good texts cannot be used, or no record is left.
    """
    scorer = _prepare(out, records, config)
    table = score_records(out, records, scorer, step="score", engine=config.engine)
    low, high = _bounds(config.keep, table.all()[:, 0])
    judge = _QualityJudge(table, low, high, is_perplexity=isinstance(config.scorer, Perplexity))
    flow = sift(out, records, judge, rules=RULES, step="model_quality", engine=config.engine)
    unit = "bits/byte" if judge.is_perplexity else "1"
    how = f"bound of {'bits a byte' if judge.is_perplexity else 'log odds'}"
    n = len(table.all())
    bounds = [
        Measurement(f"model_quality_{name}", bound, unit, n, how=how)
        for name, bound in (("low", low), ("high", high))
        if np.isfinite(bound)
    ]
    kept = next(m for m in flow if m.name == "records_kept")
    summary = f"{kept.value:,.0f} of {kept.n:,} records kept by the model's judgement."
    evidence = (*flow, *bounds, *_planted(records, table, low, high), *carry_planted(records))
    return Draft(DatasetArtifact, evidence, summary)


@dataclass(frozen=True)
class _PerplexityScorer:
    model: Perplexity

    def __call__(self, rows: Any) -> Scores:
        return bits_per_byte_of(rows.column("text").to_pylist(), self.model)[:, None]


@dataclass(frozen=True)
class _ClassifierScorer:
    path: Path

    def __call__(self, rows: Any) -> Scores:
        model = load_classifier(self.path)
        scores = model.score(rows.column("text").to_pylist(), rows.column("id").to_pylist())
        return scores[:, None].astype(np.float32)


@dataclass(frozen=True)
class _QualityJudge:
    table: ScoreTable
    low: float
    high: float
    is_perplexity: bool

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        scores = self.table.of(rows.column("id").to_pylist())[:, 0].astype(np.float64)
        if self.is_perplexity:
            return [at_least("too_predictable", scores, self.low), at_most("too_surprising", scores, self.high)]
        return [at_least("unlike_good_text", scores, self.low)]


def _prepare(
    out: Workdir, records: DatasetArtifact, config: ModelQualityConfig
) -> _PerplexityScorer | _ClassifierScorer:
    match config.scorer:
        case Perplexity():
            return _PerplexityScorer(config.scorer)
        case Classifier(sample_records=num_records):
            if isinstance(config.keep, Bounds) and config.keep.high is not None:
                raise RecipeError(f"high is {config.keep.high}; a classifier's score has no upper bound, leave it out")
            sample = sample_records(records, num_records, seed=config.seed, purpose="model_quality")
            path = out.snapshots / "classifier.npz"
            fit_classifier(config.scorer, sample, seed=config.seed).save(path)
            return _ClassifierScorer(path)
        case _:
            assert_never(config.scorer)


def _bounds(keep: Bounds | Percentiles, scores: Scores) -> tuple[float, float]:
    match keep:
        case Bounds(low=low, high=high):
            return -np.inf if low is None else low, np.inf if high is None else high
        case Percentiles(low_frac=low_frac, high_frac=high_frac):
            measured = scores[~np.isnan(scores)].astype(np.float64)
            if len(measured) == 0:
                return -np.inf, np.inf
            low = float(np.quantile(measured, low_frac, method="lower"))
            return low, float(np.quantile(measured, high_frac, method="higher"))
        case _:
            assert_never(keep)


def _planted(records: DatasetArtifact, table: ScoreTable, low: float, high: float) -> tuple[Measurement, ...]:
    """Count against known truth, where random rows were planted: those caught here, and rows not planted lost here."""
    num = {True: 0, False: 0}
    num_gone = {True: 0, False: 0}
    if not any(m.name == PLANTED_RANDOM and m.value for m in records.evidence):
        return ()
    for path in shard_paths(records):
        for rows in read_tables(path):
            scores = table.of(rows.column("id").to_pylist())[:, 0]
            for planted, score in zip(rows.column("planted").to_pylist(), scores.tolist(), strict=True):
                if planted in ("", "random"):
                    num[planted == "random"] += 1
                    num_gone[planted == "random"] += score < low or score > high
    found = (
        ("model_quality_random_caught_frac", True, "planted random rows that came to this gate and were set aside"),
        ("model_quality_clean_lost_frac", False, "rows not planted that this gate set aside"),
    )
    return tuple(counted(name, num_gone[kind], of=num[kind], how=how) for name, kind, how in found if num[kind])
