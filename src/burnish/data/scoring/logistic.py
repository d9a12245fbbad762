"""Logistic regression on hashed n-grams or embeddings, and how to keep it from judging what it learnt from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.scoring.scores import keys_of
from burnish.runtime import need

Matrix = Any  # (N, D): dense, or a scipy.sparse.csr_matrix


def fit_logistic(wanted: Matrix, others: Matrix) -> tuple[NDArray[np.float64], float]:
    """Fit weights (D,) and a bias for the log odds of being wanted; both sides weigh the same, few texts or many."""
    linear = need("sklearn.linear_model", extra="data")
    stack = need("scipy.sparse", extra="data").vstack if hasattr(wanted, "multiply") else np.vstack
    labels = np.r_[np.ones(wanted.shape[0]), np.zeros(others.shape[0])]
    model = linear.LogisticRegression(class_weight="balanced", max_iter=1000).fit(stack([wanted, others]), labels)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])


def fit_halves(wanted: Matrix, others: Matrix, ids: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit two models, each on the `others` of one half, by a hash of the id: weights (D, 2), biases (2,).

    Model k is for scoring half k, which it has not seen, so that no record is judged by a model that learnt to
    reject it. Where a half is empty, its model sees all.
    """
    half = halves_of(ids)
    rest = [np.flatnonzero(half != own) for own in (0, 1)]
    models = [fit_logistic(wanted, others[rows] if len(rows) else others) for rows in rest]
    return np.stack([weights for weights, _ in models], axis=1), np.array([bias for _, bias in models])


def odds_of(
    rows: Matrix, weights: NDArray[np.float64], biases: NDArray[np.float64], ids: Sequence[str] | None
) -> NDArray[np.float64]:
    """Give log odds (N,): of each record by the model of its half, of texts from elsewhere (`ids` None) their mean."""
    odds: NDArray[np.float64] = np.asarray(rows @ weights) + biases
    return odds.mean(axis=1) if ids is None else odds[np.arange(len(odds)), halves_of(ids)]


def halves_of(ids: Sequence[str]) -> NDArray[np.int64]:
    """Give each id's half, 0 or 1."""
    return (keys_of(ids) & np.uint64(1)).astype(np.int64)
