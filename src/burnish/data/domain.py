"""Domain: keep the records that belong to a domain, told by its terms and by documents like those wanted.

Three signals, those that the recipe gives: the share of the domain's terms, the likeness to seed documents, and a
classifier that tells seeds from the corpus. Each is measured in standard deviations of the corpus; the score is
their mean, so that none needs a scale of its own. Labels, where there are some, weigh them and choose the bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import HOW, DatasetArtifact, Draft, Measurement
from burnish.data.engine import Engine, Local
from burnish.data.flow import carry_planted
from burnish.data.ledger import Verdict, at_least
from burnish.data.scoring.domain_model import (
    DomainModel,
    SeedClassifier,
    SeedSimilarity,
    Signal,
    fit_domain,
    load_domain,
)
from burnish.data.scoring.domain_threshold import (
    Cut,
    LabelledFile,
    LabelledRecords,
    MinScore,
    Threshold,
    TopShare,
    cross_fitted,
    equal_weights,
    fit_cut,
    measure_counts,
)
from burnish.data.scoring.examples import read_examples
from burnish.data.scoring.sample import sample_records
from burnish.data.scoring.scores import Scores, ScoreTable, score_records
from burnish.data.sift import sift
from burnish.errors import RecipeError
from burnish.runtime import Workdir
from burnish.runtime.recipes import choice_name

RULES = ("off_domain",)
_OTHER, _UNLABELLED = 0.0, -1.0


@dataclass(frozen=True)
class DomainConfig:
    """Say what the domain is, and how much of it a record must have.

    Attributes:
        signals: the domain's terms, likeness to seeds, a classifier of seeds; at least one.
        threshold: a score, a share of the records to keep, or the best F1 on labels.
        sample_records: how many records stand for the corpus when its mean is taken and the classifier learns.
        seed: draws the sample.
        engine: where records are scored.
    """

    signals: tuple[Signal, ...]
    threshold: Threshold = field(default_factory=TopShare)
    sample_records: int = 5000
    seed: int = 0
    engine: Engine = field(default_factory=Local, metadata=HOW)

    def __post_init__(self) -> None:
        kinds = [choice_name(type(signal)) for signal in self.signals]
        if not kinds or len(set(kinds)) < len(kinds):
            raise RecipeError(
                f"signals is {kinds}; give each of keywords, seed_similarity, seed_classifier at most once"
            )
        if self.sample_records < 2:
            raise RecipeError(f"sample_records is {self.sample_records}; it must be at least 2")


def gate_domain(out: Workdir, records: DatasetArtifact, *, config: DomainConfig) -> Draft[DatasetArtifact]:
    """Set aside the records whose score is below the threshold.

    Raises:
        RecipeError: seeds or labels cannot be used, or no record is left.
    """
    sample = sample_records(records, config.sample_records, seed=config.seed, purpose="domain")
    model, _ = fit_domain(config.signals, sample)
    path = out.snapshots / "domain.npz"
    model.save(path)
    labels = config.threshold.domain_labels if isinstance(config.threshold, LabelledRecords) else ()
    scorer = _DomainScorer(config.signals, path, labels)
    table = score_records(out, records, scorer, step="score", engine=config.engine)
    cut, quality = _choose(config, table.all(), model)
    judge = _DomainJudge(config.signals, table, cut, tuple(model.mean.tolist()), tuple(model.scale.tolist()))
    flow = sift(out, records, judge, rules=RULES, step="domain", engine=config.engine)
    weights = (
        Measurement(f"domain_{choice_name(type(signal))}_weight", weight, "1", len(table.all()), how="in the score")
        for signal, weight in zip(config.signals, cut.weights, strict=True)
    )
    threshold = Measurement("domain_threshold", cut.threshold, "1", len(table.all()), how=_HOW)
    evidence = (*flow, threshold, *weights, *quality, *carry_planted(records))
    kept = next(m for m in flow if m.name == "kept_frac")
    return Draft(DatasetArtifact, evidence, f"{kept.value:.1%} of {kept.n:,} records belong to the domain.")


_HOW = "weighted mean of the signals, in standard deviations above the corpus's mean"


@dataclass(frozen=True)
class _DomainScorer:
    """Gives the signals, and where labels are asked for 1, 0 or -1 (none)."""

    signals: tuple[Signal, ...]
    path: Path
    domain_labels: tuple[str, ...]

    def __call__(self, rows: Any) -> Scores:
        model = load_domain(self.signals, self.path)
        measured = model.measure(rows.column("text").to_pylist(), rows.column("id").to_pylist())
        labels = [self._truth(label) for label in rows.column("label").to_pylist()]
        return np.column_stack([measured, labels]).astype(np.float32)

    def _truth(self, label: str | None) -> float:
        if label is None or not self.domain_labels:
            return _UNLABELLED
        return float(label in self.domain_labels)


@dataclass(frozen=True)
class _DomainJudge:
    signals: tuple[Signal, ...]
    table: ScoreTable
    cut: Cut
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, rows: Any) -> Sequence[Verdict]:
        measured = self.table.of(rows.column("id").to_pylist())[:, :-1].astype(np.float64)
        passes = np.zeros(len(measured), np.bool_)
        parts = [
            Verdict(choice_name(type(signal)), measured[:, k], np.nan, passes)  # for the ledger's measures alone
            for k, signal in enumerate(self.signals)
        ]
        scores = self.cut.scores((measured - np.array(self.mean)) / np.array(self.scale))
        return [at_least("off_domain", scores, self.cut.threshold), *parts]


def _choose(config: DomainConfig, scores: Scores, model: DomainModel) -> tuple[Cut, tuple[Measurement, ...]]:
    """Choose weights and threshold, and measure them where there are labels."""
    equal = equal_weights(len(config.signals))
    match config.threshold:
        case MinScore(score=score):
            return Cut(equal, score), ()
        case TopShare(keep_frac=keep_frac):
            all_scores = Cut(equal, 0.0).scores(model.standardise(scores[:, :-1].astype(np.float64)))
            place = len(scores) - max(1, round(keep_frac * len(scores)))
            return Cut(equal, float(np.partition(all_scores, place)[place])), ()
        case LabelledRecords(domain_labels=labels):
            labelled = np.flatnonzero(scores[:, -1] != _UNLABELLED)
            # Rows are in the order of a hash of the id, so a record's place is as good a name as the id.
            names = [str(row) for row in labelled]
            signals = model.standardise(scores[labelled, :-1].astype(np.float64))
            return _by_labels(signals, scores[labelled, -1] != _OTHER, names, f"labels {', '.join(labels)}", config)
        case LabelledFile(path=path):
            seeds = {text for signal in config.signals for text in _seed_texts(signal)}
            examples = [e for e in read_examples(path) if e.is_wanted is not None and e.text not in seeds]
            texts = [example.text for example in examples]
            wanted = np.array([example.is_wanted for example in examples], np.bool_)
            signals = model.standardise(model.measure(texts, None)) if texts else np.zeros((0, len(equal)))
            return _by_labels(signals, wanted, texts, path.name, config)
        case _:
            assert_never(config.threshold)


def _by_labels(
    signals: NDArray[np.float64], wanted: NDArray[np.bool_], names: Sequence[str], where: str, config: DomainConfig
) -> tuple[Cut, tuple[Measurement, ...]]:
    num_wanted = int(wanted.sum())
    if not 0 < num_wanted < len(wanted):
        raise RecipeError(
            f"{where}: {num_wanted} of {len(wanted)} labelled texts that are no seeds belong to the domain; "
            "a threshold needs some that do and some that do not"
        )
    how = f"{where}; each fifth judged by weights and a threshold from the other four"
    counts = cross_fitted(signals, wanted, names)
    return fit_cut(signals, wanted), measure_counts(counts, prefix="domain", how=how, seed=config.seed)


def _seed_texts(signal: Signal) -> list[str]:
    if isinstance(signal, SeedSimilarity | SeedClassifier):
        return [example.text for example in read_examples(signal.path) if example.is_wanted is not False]
    return []
