"""Quality classifier: log odds that a text is like those that the user calls good; a linear model of n-grams.

Source: Brown et al. 2020, arXiv:2005.14165, appendix A (a linear classifier of good text against raw text, for
filtering); theirs keeps by chance as well, ours by a bound.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.data.scoring.examples import check_suffix, read_examples
from burnish.data.scoring.logistic import fit_halves, odds_of
from burnish.data.scoring.sample import Sampled
from burnish.data.text import IDEOGRAPH
from burnish.errors import RecipeError

_NUM_DIMS = 1 << 16
_MIN_EXAMPLES = 20
_UNIT = re.compile(rf"[{IDEOGRAPH}]|[^\W_]+")
_IS_HANZI = re.compile(f"[{IDEOGRAPH}]")
_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~ "


@dataclass(frozen=True)
class Corrupted:
    """Learn from the good texts made bad: characters by chance, words by chance, letters in another order."""


@dataclass(frozen=True)
class CorpusSample:
    """Learn from the corpus as it is, which is right where most of it is worse than the good texts."""


@dataclass(frozen=True)
class Classifier:
    """Score texts by the log odds of a linear classifier.

    Attributes:
        path: good texts, .txt (a text a line) or .jsonl (`text`); some hundreds and more, of each language wanted.
        against: what they are told from.
        sample_records: so many of the corpus, for `corpus_sample`.
    """

    path: Path
    against: Corrupted | CorpusSample = field(default_factory=Corrupted)
    sample_records: int = 5000

    def __post_init__(self) -> None:
        check_suffix("path", self.path)
        if self.sample_records < 2:
            raise RecipeError(f"sample_records is {self.sample_records}; it must be at least 2")


@dataclass(frozen=True)
class QualityModel:
    """Hold the weights (D, 2) and biases (2,) of the two halves' models."""

    weights: NDArray[np.float64]
    biases: NDArray[np.float64]

    def score(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Give log odds, (N,); `ids` where the texts are records of the corpus."""
        from burnish.data.scoring.ngrams import hashed_ngrams

        return odds_of(hashed_ngrams(texts, num_dims=_NUM_DIMS), self.weights, self.biases, ids)

    def save(self, path: Path) -> None:
        """Write the model to one .npz file; it holds numbers alone."""
        np.savez(path, weights=self.weights, biases=self.biases, allow_pickle=False)


@lru_cache(maxsize=2)
def load_classifier(path: Path) -> QualityModel:
    """Read what `save` wrote, once a process."""
    with np.load(path, allow_pickle=False) as file:
        return QualityModel(file["weights"], file["biases"])


def fit_classifier(config: Classifier, sample: Sequence[Sampled], *, seed: int) -> QualityModel:
    """Learn good from bad.

    Args:
        sample: of the corpus.
        seed: draws the corruption.

    Raises:
        RecipeError: the good texts cannot be read, or are too few.
    """
    from burnish.data.scoring.ngrams import hashed_ngrams

    good = [example.text for example in read_examples(config.path)]
    if len(good) < _MIN_EXAMPLES:
        raise RecipeError(f"{config.path} holds {len(good)} good texts; give at least {_MIN_EXAMPLES}")
    match config.against:
        case Corrupted():
            others = corrupt(good, seed=seed)
            ids = [f"corrupted:{row}" for row in range(len(others))]
        case CorpusSample():
            others = [row.text for row in sample]
            ids = [row.id for row in sample]
        case _:
            assert_never(config.against)
    wanted, rest = hashed_ngrams(good, num_dims=_NUM_DIMS), hashed_ngrams(others, num_dims=_NUM_DIMS)
    return QualityModel(*fit_halves(wanted, rest, ids))


def corrupt(texts: Sequence[str], *, seed: int) -> list[str]:
    """Make each text bad in three ways, at its own length.

    Characters by chance; words of all the texts, each as likely as another, so that those which join a sentence are
    missing; and the letters of its words (of Chinese, its characters) in another order.
    """
    vocabulary = sorted({unit for text in texts for unit in _UNIT.findall(text)})
    bad: list[str] = []
    for row, text in enumerate(texts):
        rng = random.Random(f"{seed}/{row}")
        bad.append("".join(rng.choices(_CHARACTERS, k=max(1, len(text)))))
        units = _UNIT.findall(text)
        if not units:
            continue
        if 2 * sum(_IS_HANZI.match(unit) is not None for unit in units) > len(units):
            bad += ["".join(rng.choices(vocabulary, k=len(units))), "".join(rng.sample(units, len(units)))]
        else:
            mixed = ("".join(rng.sample(unit, len(unit))) for unit in units)
            bad += [" ".join(rng.choices(vocabulary, k=len(units))), " ".join(mixed)]
    return bad
