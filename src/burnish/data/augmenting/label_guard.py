"""The label guard: a quick classifier of the dataset's own labels that tells when a made copy has lost its label.

It is trained on parts of the records and asked about the others, so that no source is judged by a classifier that
has learned its label by heart.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import Measurement, counted
from burnish.runtime import need

_NUM_FOLDS = 3
_NUM_DIMS = 1 << 16
_MAX_LABELS = 50  # a fold's weights take 4 bytes · 65,536 a label
_MAX_CHARACTERS = 2000  # of a text are read: the rest of a long document seldom decides
_INVERSE_REGULARISATION = 10.0  # rows have length 1; of 1, 10, 100 the best on headlines and on reviews

Sampled = tuple[str, str, str]  # id, text, label


class LabelSample:
    """Keep a sample of labelled records by a hash of their ids, and count labels, in bounded memory."""

    def __init__(self, num_records: int, seed: int) -> None:
        self.counts = Counter[str]()
        self._num_records, self._seed = num_records, seed
        self._heap: list[tuple[int, Sampled]] = []

    def add(self, identity: str, text: str, label: str) -> None:
        """See one labelled record."""
        self.counts[label] += 1
        entry = (-_draw(f"{self._seed}/guard/{identity}"), (identity, text[:_MAX_CHARACTERS], label))
        if len(self._heap) < self._num_records:
            heapq.heappush(self._heap, entry)
        elif self._num_records and entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    @property
    def records(self) -> list[Sampled]:
        """List the sample in an order that follows from it alone."""
        return sorted(sampled for _, sampled in self._heap)


@dataclass(frozen=True)
class LabelGuard:
    """Hold a linear classifier a fold.

    Attributes:
        weights: (folds, labels, dims); biases: (folds, labels).
        accuracy: out of fold.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    accuracy: Measurement

    def p_others(self, ids: Sequence[str], sources: Sequence[Any], copies: Sequence[Any]) -> list[float | None]:
        """Give the probability that each copy has another label than its source.

        Args:
            ids: of the sources; each is judged by the classifier that did not learn from it.
            sources: text and label of each; without a label nothing is said.
            copies: texts; None says nothing.

        Returns:
            The likeliest other label's probability; None where the source's own label is not what is read from it.
        """
        if not ids:
            return []
        scores = self._probabilities(ids, [text for text, _ in sources])
        after = self._probabilities(ids, [text or "" for text in copies])
        found: list[float | None] = []
        for row, (copy, (_, label)) in enumerate(zip(copies, sources, strict=True)):
            own = self.labels.index(label) if label in self.labels else -1
            if copy is None or own < 0 or int(scores[row].argmax()) != own:
                found.append(None)
            else:
                found.append(float(np.delete(after[row], own).max()))
        return found

    def _probabilities(self, ids: Sequence[str], texts: Sequence[str]) -> NDArray[np.float64]:
        rows = _vectors([text[:_MAX_CHARACTERS] for text in texts])
        folds = np.array([_fold(identity) for identity in ids])
        logits = np.zeros((len(ids), len(self.labels)))
        for fold in range(_NUM_FOLDS):
            mine = np.flatnonzero(folds == fold)
            logits[mine] = rows[mine] @ self.weights[fold].T + self.biases[fold]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def train_guard(sample: LabelSample) -> LabelGuard | str:
    """Train on a sample; give the reason where no guard can be had."""
    records = sample.records
    labels = tuple(sorted({label for *_, label in records}))
    if not 2 <= len(labels) <= _MAX_LABELS:
        return f"there are {len(labels)} labels among {len(records)} labelled records; it takes 2 to {_MAX_LABELS}"
    rows = _vectors([text for _, text, _ in records])
    truth = np.array([labels.index(label) for *_, label in records])
    folds = np.array([_fold(identity) for identity, *_ in records])
    fitted = []
    guesses = np.zeros_like(truth)
    for fold in range(_NUM_FOLDS):
        learned, asked = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(set(truth[learned])) < len(labels) or not len(asked):
            return f"{len(records)} labelled records are too few to hold some out of each label"
        weights, biases = _fit(rows[learned], truth[learned], len(labels))
        guesses[asked] = np.asarray(rows[asked] @ weights.T + biases).argmax(axis=1)
        fitted.append((weights, biases))
    right = int((guesses == truth).sum())
    accuracy = counted(
        "label_guard_accuracy_frac", right, of=len(truth), how=f"held-out labels guessed right, {_NUM_FOLDS} folds"
    )
    majority = Counter(truth.tolist()).most_common(1)[0][1] / len(truth)
    if accuracy.low is None or accuracy.low <= majority:
        return (
            f"it guesses {accuracy.value:.2f} of held-out labels, no better than always the commonest ({majority:.2f})"
        )
    return LabelGuard(labels, np.stack([w for w, _ in fitted]), np.stack([b for _, b in fitted]), accuracy)


def _fit(rows: Any, truth: Any, num_labels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    linear = need("sklearn.linear_model", extra="data")
    model = linear.LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=300, tol=1e-3)
    model.fit(rows, truth)
    weights, biases = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    if num_labels == 2:  # one row of weights stands for both
        weights, biases = np.concatenate([np.zeros_like(weights), weights]), np.concatenate([0 * biases, biases])
    return weights, biases


def _vectors(texts: Sequence[str]) -> Any:
    from burnish.data.scoring.ngrams import hashed_ngrams  # compiles on import

    return hashed_ngrams(texts, num_dims=_NUM_DIMS)


def _fold(identity: str) -> int:
    return _draw(f"fold/{identity}") % _NUM_FOLDS


def _draw(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
