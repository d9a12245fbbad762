"""Domain threshold: where a score parts a domain from the rest, and how well that parts labelled texts.

A score is the mean of the signals, each in standard deviations of the corpus. Where there are labels they weigh the
signals: picking Chinese manual pages out of other Chinese documents, the classifier alone had F1 0.62 and its mean with
likeness and a poor list of six terms 0.49; on another draw, 0.71 alone and 0.71 weighted.

Legend: N texts, K signals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import Measurement, counted
from burnish.data.scoring.examples import check_suffix
from burnish.data.scoring.logistic import fit_logistic
from burnish.data.scoring.scores import keys_of
from burnish.errors import RecipeError
from burnish.measure.bootstrap import DRAWS

_NUM_FOLDS = 5


@dataclass(frozen=True)
class MinScore:
    """Keep what scores so much: standard deviations above the corpus's mean, the mean of the signals."""

    score: float = 0.0


@dataclass(frozen=True)
class TopShare:
    """Keep the best of the records; where several score the same at the bound, all of them.

    Attributes:
        keep_frac: share, in (0, 1].
    """

    keep_frac: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.keep_frac <= 1:
            raise RecipeError(f"keep_frac is {self.keep_frac}; it must be above 0 and at most 1")


@dataclass(frozen=True)
class LabelledFile:
    """Take the weights and the score with the best F1 on labelled texts; those that are seeds as well are left out.

    Attributes:
        path: .jsonl, an object a line: `text`, and `is_domain` true or false.
    """

    path: Path

    def __post_init__(self) -> None:
        check_suffix("path", self.path)
        if self.path.suffix.lower() != ".jsonl":
            raise RecipeError(f"path is {self.path}; labelled texts are .jsonl, since a line of text has no label")


@dataclass(frozen=True)
class LabelledRecords:
    """Take the weights and the score with the best F1 on those records that have a label.

    Attributes:
        domain_labels: the labels that belong to the domain; every other label does not.
    """

    domain_labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.domain_labels:
            raise RecipeError("domain_labels is empty; name at least one label")


Threshold = MinScore | TopShare | LabelledFile | LabelledRecords


@dataclass(frozen=True)
class Cut:
    """Hold how signals make a score, and the score from which on a record is kept."""

    weights: tuple[float, ...]
    threshold: float

    def scores(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the weighted mean of the signals, (N,), which are (N, K) in standard deviations."""
        scores: NDArray[np.float64] = signals @ np.array(self.weights)
        return scores


def equal_weights(num_signals: int) -> tuple[float, ...]:
    """Weigh all signals the same, as where there are no labels."""
    return (1 / num_signals,) * num_signals


@dataclass(frozen=True)
class Counts:
    """Count a filter's hits and misses against labels."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def f1(self) -> float:
        """Give the harmonic mean of precision and recall; 0 where nothing is found."""
        return float(_f1(np.array([self.true_positive]), np.array([self.false_positive + self.false_negative]))[0])


def count(kept: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> Counts:
    """Compare what a filter keeps with what is wanted."""
    return Counts(
        int((kept & wanted).sum()),
        int((kept & ~wanted).sum()),
        int((~kept & wanted).sum()),
        int((~kept & ~wanted).sum()),
    )


def best_threshold(scores: NDArray[np.float64], wanted: NDArray[np.bool_]) -> float:
    """Find the score from which on keeping has the largest F1, the higher one of equals.

    It lies half-way to the next lower score, so that a text like the least one kept is kept as well.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(wanted[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + wanted.sum())
    is_last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    best = int(np.argmax(np.where(is_last_of_equals, f1, -1.0)))
    return float(ranked[best] if best == len(ranked) - 1 else (ranked[best] + ranked[best + 1]) / 2)


def fit_cut(signals: NDArray[np.float64], wanted: NDArray[np.bool_]) -> Cut:
    """Weigh the signals, (N, K) in standard deviations, by how they tell the labels; and find the best threshold.

    The weights are those of a logistic regression, none below 0: a signal that points the wrong way in a sample of
    labels is noise, not knowledge.
    """
    weights, _ = fit_logistic(signals[wanted], signals[~wanted])
    weights = np.maximum(weights, 0)
    weights = weights / weights.sum() if weights.any() else np.full(len(weights), 1 / len(weights))
    return Cut(tuple(weights.tolist()), best_threshold(signals @ weights, wanted))


def cross_fitted(signals: NDArray[np.float64], wanted: NDArray[np.bool_], names: Sequence[str]) -> Counts:
    """Count hits where each fifth, by a hash of `names`, is judged by the cut that the other four gave.

    Counted by the cut of all, the same labels would choose and praise.
    """
    fold = (keys_of(names) % np.uint64(_NUM_FOLDS)).astype(np.int64)
    kept = np.zeros(len(signals), np.bool_)
    for own in range(_NUM_FOLDS):
        rest = fold != own
        if wanted[rest].any() and not wanted[rest].all():
            cut = fit_cut(signals[rest], wanted[rest])
            kept[fold == own] = cut.scores(signals[fold == own]) >= cut.threshold
    return count(kept, wanted)


def measure_counts(counts: Counts, *, prefix: str, how: str, seed: int) -> tuple[Measurement, ...]:
    """Give precision, recall and F1 as evidence."""
    c = counts
    low, high = f1_interval(c, seed=seed)
    n = c.true_positive + c.false_positive + c.false_negative + c.true_negative
    evidence = [
        Measurement(f"{prefix}_f1_frac", c.f1, "1", n, low, high, f"{how}; bootstrap over texts, {DRAWS} draws, 95 %"),
        counted(f"{prefix}_recall_frac", c.true_positive, of=c.true_positive + c.false_negative, how=how),
    ]
    if kept := c.true_positive + c.false_positive:
        evidence.append(counted(f"{prefix}_precision_frac", c.true_positive, of=kept, how=how))
    return tuple(evidence)


def f1_interval(counts: Counts, *, seed: int) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of F1.

    To draw n texts anew is to draw the four counts from a multinomial, so no text is touched.
    """
    cells = np.array([counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative])
    drawn = np.random.default_rng(seed).multinomial(cells.sum(), cells / cells.sum(), size=DRAWS)
    low, high = np.quantile(_f1(drawn[:, 0], drawn[:, 1] + drawn[:, 2]), [0.025, 0.975])
    return float(low), float(high)


def _f1(hits: NDArray[np.int64], misses: NDArray[np.int64]) -> NDArray[np.float64]:
    f1: NDArray[np.float64] = 2 * hits / np.maximum(2 * hits + misses, 1)
    return f1
