"""Resample: choose the rows that stay, or make new ones between those of a rare class, in a space of features."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.data.weighing.features import FeatureTable, Matrix
from burnish.errors import RecipeError
from burnish.runtime import need

_CLUSTER_BATCH = 1024


@dataclass(frozen=True)
class Synthetic:
    """Hold rows that no record is.

    Attributes:
        values: (M, D).
        labels: of each.
        nearest: number of the real row of that label which each lies nearest to.
    """

    values: Matrix
    labels: list[str]
    nearest: NDArray[np.int64]


def smote(table: FeatureTable, targets: Mapping[str, int], *, num_neighbours: int, seed: int) -> Synthetic:
    """Make rows of rare classes, each on the line from a row to one of its nearest of the same class.

    Source: Chawla et al. 2002, arXiv:1106.1813; imbalanced-learn's implementation.

    Args:
        targets: rows that each class shall have, real and made.

    Raises:
        RecipeError: a class has no more rows than neighbours are asked for.
    """
    over_sampling = need("imblearn.over_sampling", extra="data")
    sizes = Counter(table.labels)
    wanted = {label: target for label, target in targets.items() if target > sizes[label]}
    for label in wanted:
        if sizes[label] <= num_neighbours:
            raise RecipeError(
                f"label {label!r} has {sizes[label]} records; smote with {num_neighbours} neighbours needs at least "
                f"{num_neighbours + 1}: lower num_neighbours, or repeat its records with oversample"
            )
    sampler = over_sampling.SMOTE(sampling_strategy=wanted, k_neighbors=num_neighbours, random_state=seed)
    values, labels = sampler.fit_resample(table.values, table.labels)
    made: Matrix = np.asarray(values[len(table.labels) :], np.float32)
    made_labels = list(map(str, labels[len(table.labels) :]))
    return Synthetic(made, made_labels, _nearest_of_label(table, made, made_labels))


def near_miss(table: FeatureTable, targets: Mapping[str, int], *, version: int) -> NDArray[np.bool_]:
    """Keep the rows of common classes that lie nearest to the rare one; True where a row stays.

    Source: Zhang and Mani 2003, ICML workshop on learning from imbalanced datasets; imbalanced-learn's implementation.

    Args:
        targets: rows that each class shall have, at most as many as it has; the smallest class stays whole.
        version: 1, 2 or 3, as in the paper.
    """
    under_sampling = need("imblearn.under_sampling", extra="data")
    sizes = Counter(table.labels)
    fewer = {label: target for label, target in targets.items() if target < sizes[label]}
    stays = np.ones(len(table.labels), np.bool_)
    if fewer:
        sampler = under_sampling.NearMiss(sampling_strategy=fewer, version=version)
        with warnings.catch_warnings():  # version 3 may find fewer than asked, and says so; the evidence has the number
            warnings.simplefilter("ignore", UserWarning)
            sampler.fit_resample(table.values, table.labels)
        stays[:] = False
        stays[sampler.sample_indices_] = True
    return stays


def representatives(table: FeatureTable, targets: Mapping[str, int], *, seed: int) -> NDArray[np.bool_]:
    """Keep of each common class the rows nearest to the centres of as many clusters; True where a row stays.

    Source: Yen and Lee 2009, doi:10.1016/j.eswa.2008.06.108 (undersampling by clusters), with real rows for centres.
    Clusters whose nearest row is the same keep one row, so that a class may have a few less than its target.
    """
    cluster, metrics = need("sklearn.cluster", extra="data"), need("sklearn.metrics", extra="data")
    labels = np.array(table.labels)
    stays = np.ones(len(labels), np.bool_)
    for label, target in targets.items():
        mine = np.flatnonzero(labels == label)
        if target >= len(mine):
            continue
        means = cluster.MiniBatchKMeans(
            n_clusters=target, random_state=seed, n_init=1, batch_size=max(_CLUSTER_BATCH, target)
        ).fit(table.values[mine])
        stays[mine] = False
        stays[mine[metrics.pairwise_distances_argmin(means.cluster_centers_, table.values[mine])]] = True
    return stays


def _nearest_of_label(table: FeatureTable, made: Matrix, made_labels: list[str]) -> NDArray[np.int64]:
    metrics: Any = need("sklearn.metrics", extra="data")
    labels, of = np.array(table.labels), np.array(made_labels, object)
    nearest = np.zeros(len(made), np.int64)
    for label in set(made_labels):
        mine = np.flatnonzero(labels == label)
        nearest[of == label] = mine[metrics.pairwise_distances_argmin(made[of == label], table.values[mine])]
    return nearest
