"""Domain model: three signals of how much a text belongs to a domain, fitted to seeds and a sample of the corpus.

Legend: N texts, D dimensions, K signals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from burnish.data.scoring.embed import Encoder, HashedNgrams, encode
from burnish.data.scoring.examples import check_suffix, read_examples
from burnish.data.scoring.keywords import Keywords, matcher_of
from burnish.data.scoring.logistic import Matrix, fit_halves, odds_of
from burnish.data.scoring.sample import Sampled
from burnish.errors import RecipeError

_WIDE = HashedNgrams(1 << 16)
_MIN_SEEDS = 5  # fewer say nothing of what seeds have in common


@dataclass(frozen=True)
class SeedSimilarity:
    """Ask how like the seeds a text is: its cosine to their mean, both taken from the corpus's mean.

    Without the corpus's mean, what all texts share (a language's letters, the style of a source) would count most:
    with MiniLM and Reuters' grain news F1 rose from 0.885 to 0.914, with hashed n-grams from 0.28 to 0.52.

    Attributes:
        path: seed documents, .txt (a text a line) or .jsonl (`text`; rows with `is_domain` false are left out).
        encoder: hashed_ngrams compares letters, the others meaning; they are slower and better.
    """

    path: Path
    encoder: Encoder = _WIDE

    def __post_init__(self) -> None:
        check_suffix("path", self.path)


@dataclass(frozen=True)
class SeedClassifier:
    """Ask how surely a text is one of the seeds and not one of the corpus: the log odds of a logistic regression.

    The corpus holds texts of the domain too. They pull the odds down, not the order of texts; and so that none is
    scored by a model that learnt to reject it, each half of the records, by a hash of the id, is scored by a model
    that saw the other half alone.

    Source: Elkan and Noto 2008, doi:10.1145/1401890.1401920 (learning from positive and unlabelled data).

    Attributes:
        path: seed documents, as for `seed_similarity`.
    """

    path: Path
    encoder: Encoder = _WIDE

    def __post_init__(self) -> None:
        check_suffix("path", self.path)


Signal = Keywords | SeedSimilarity | SeedClassifier


@dataclass(frozen=True)
class DomainModel:
    """Hold the fitted signals.

    Attributes:
        parts: of each signal, what it learnt: arrays by name.
        mean, scale: (K,) of each signal over the corpus's sample.
    """

    signals: tuple[Signal, ...]
    parts: tuple[dict[str, NDArray[np.float64]], ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def measure(self, texts: Sequence[str], ids: Sequence[str] | None) -> NDArray[np.float64]:
        """Measure each signal, (N, K), in its own unit.

        Args:
            ids: of records of the corpus; None for texts from elsewhere.
        """
        seen: dict[Encoder, Matrix] = {}
        columns = [_measure(s, part, texts, ids, seen) for s, part in zip(self.signals, self.parts, strict=True)]
        return np.column_stack(columns)

    def standardise(self, measured: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the signals, (N, K), in standard deviations from the corpus's mean."""
        standard: NDArray[np.float64] = (measured - self.mean) / self.scale
        return standard

    def save(self, path: Path) -> None:
        """Write what was learnt to one .npz file; it holds numbers alone."""
        arrays = {f"{k}.{name}": array for k, part in enumerate(self.parts) for name, array in part.items()}
        np.savez(path, mean=self.mean, scale=self.scale, allow_pickle=False, **arrays)


def fit_domain(signals: tuple[Signal, ...], sample: Sequence[Sampled]) -> tuple[DomainModel, NDArray[np.float64]]:
    """Learn every signal from its seeds and the corpus's sample; give the model and what it measures of the sample.

    Raises:
        RecipeError: seeds cannot be read, or are too few.
    """
    texts = [row.text for row in sample]
    ids = [row.id for row in sample]
    seen: dict[Encoder, Matrix] = {}
    parts = tuple(_fit(signal, texts, ids, seen) for signal in signals)
    measured = np.column_stack([_measure(s, part, texts, ids, seen) for s, part in zip(signals, parts, strict=True)])
    scale = measured.std(axis=0)
    scale[scale < 1e-12] = 1.0  # a signal that is the same everywhere says nothing, and must not divide by zero
    return DomainModel(signals, parts, measured.mean(axis=0), scale), measured


@lru_cache(maxsize=2)
def load_domain(signals: tuple[Signal, ...], path: Path) -> DomainModel:
    """Read what `DomainModel.save` wrote, once a process."""
    with np.load(path, allow_pickle=False) as file:
        parts = tuple(
            {name.partition(".")[2]: file[name] for name in file.files if name.startswith(f"{k}.")}
            for k in range(len(signals))
        )
        return DomainModel(signals, parts, file["mean"], file["scale"])


def _fit(
    signal: Signal, texts: Sequence[str], ids: Sequence[str], seen: dict[Encoder, Matrix]
) -> dict[str, NDArray[np.float64]]:
    match signal:
        case Keywords():
            matcher_of(signal)  # a list that cannot be read is told now, not in a worker
            return {}
        case SeedSimilarity(path=path, encoder=encoder):
            corpus, seeds = _vectors(encoder, texts, seen), _vectors(encoder, _seeds(path), {})
            mean = _mean(corpus)
            centre = _mean(seeds) - mean
            return {"mean": mean, "centre": centre / max(float(np.linalg.norm(centre)), 1e-12)}
        case SeedClassifier(path=path, encoder=encoder):
            corpus, seeds = _vectors(encoder, texts, seen), _vectors(encoder, _seeds(path), {})
            weights, biases = fit_halves(seeds, corpus, ids)
            return {"weights": weights, "biases": biases}
        case _:
            assert_never(signal)


def _measure(
    signal: Signal,
    part: dict[str, NDArray[np.float64]],
    texts: Sequence[str],
    ids: Sequence[str] | None,
    seen: dict[Encoder, Matrix],
) -> NDArray[np.float64]:
    match signal:
        case Keywords():
            # Terms come in bursts: the tenth in a text says less than the first.
            found: NDArray[np.float64] = np.log1p(matcher_of(signal).score(texts)[:, 0])
            return found
        case SeedSimilarity(encoder=encoder):
            return _centred_cosine(_vectors(encoder, texts, seen), part["mean"], part["centre"])
        case SeedClassifier(encoder=encoder):
            return odds_of(_vectors(encoder, texts, seen), part["weights"], part["biases"], ids)
        case _:
            assert_never(signal)


def _vectors(encoder: Encoder, texts: Sequence[str], seen: dict[Encoder, Matrix]) -> Matrix:
    """Encode the texts, once for all signals that ask; n-grams stay sparse, since they are many."""
    if encoder not in seen:
        if isinstance(encoder, HashedNgrams):
            from burnish.data.scoring.ngrams import hashed_ngrams

            seen[encoder] = hashed_ngrams(texts, num_dims=encoder.num_dims)
        else:
            seen[encoder] = encode(texts, encoder)
    return seen[encoder]


def _centred_cosine(rows: Matrix, mean: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the cosine of each row less `mean` with `centre`, of length 1, without making a sparse row dense."""
    squares = rows.multiply(rows) if hasattr(rows, "multiply") else rows * rows
    lengths = np.asarray(squares.sum(axis=1)).ravel() - 2 * np.asarray(rows @ mean).ravel() + mean @ mean
    along = np.asarray(rows @ centre).ravel() - mean @ centre
    cosine: NDArray[np.float64] = along / np.sqrt(np.maximum(lengths, 1e-12))
    return cosine


def _mean(rows: Matrix) -> NDArray[np.float64]:
    return np.asarray(rows.mean(axis=0), np.float64).ravel()


def _seeds(path: Path) -> list[str]:
    seeds = [example.text for example in read_examples(path) if example.is_wanted is not False]
    if len(seeds) < _MIN_SEEDS:
        raise RecipeError(f"{path} holds {len(seeds)} seed documents; give at least {_MIN_SEEDS}")
    return seeds
