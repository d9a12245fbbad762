"""Resolve: of records that copy each other, choose the one that stays."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.shards import read_column


@dataclass(frozen=True)
class Removal:
    """Say which record stays in place of a copy, and how alike the two are."""

    partner: int
    similarity: float
    is_exact: bool


@dataclass(frozen=True)
class Copies:
    """Hold what `find_copies` found.

    Attributes:
        exact: (E, 2) of row and the first row with the same key.
        near: (P, 2) of rows, each the first of its key.
        similarities: (P,).
    """

    exact: NDArray[np.int64]
    near: NDArray[np.int64]
    similarities: NDArray[np.float64]

    @classmethod
    def read(cls, found: DatasetArtifact) -> "Copies":
        """Read what `find_copies` wrote."""
        exact, near = (found.payload / f"pairs/{name}.parquet" for name in ("exact", "near"))
        return cls(
            np.stack([read_column(exact, "row"), read_column(exact, "first")], axis=1),
            np.stack([read_column(near, "row"), read_column(near, "other")], axis=1),
            read_column(near, "similarity"),
        )

    def rows(self) -> NDArray[np.int64]:
        """List the rows that have a copy, sorted."""
        return np.unique(np.concatenate([self.exact.ravel(), self.near.ravel()]))


Rank = tuple[float, float, str]  # damage, minus length, id: the least is best


def resolve(copies: Copies, ranks: Mapping[int, Rank], min_similarity: float) -> dict[int, Removal]:
    """Give the rows to remove.

    Of exact copies the best stays. Near copies are taken from the best to the worst, and each stays unless it is
    like one that stayed: so a removed record is like its partner, that stays, and no two that stay are alike. A
    chain of likenesses, which union-find would drop whole, loses only what a kept record repeats. Best is the least
    damaged; then what is like the most others, since that is the version that the others were made from; then by rank.

    Args:
        ranks: of the rows of `copies` that are good enough to stay; others neither stay nor stand for a copy.
    """
    removed: dict[int, Removal] = {}
    stands_for = _best_of_each(copies.exact, ranks, removed)
    neighbours: dict[int, list[tuple[int, float]]] = defaultdict(list)
    close = copies.similarities >= min_similarity
    for (left, right), similarity in zip(copies.near[close].tolist(), copies.similarities[close].tolist(), strict=True):
        one, other = stands_for.get(left, left), stands_for.get(right, right)
        if one in ranks and other in ranks:
            neighbours[one].append((other, similarity))
            neighbours[other].append((one, similarity))
    kept: set[int] = set()
    for row in sorted(neighbours, key=lambda row: (ranks[row][0], -len(neighbours[row]), ranks[row])):
        like = [(similarity, other) for other, similarity in neighbours[row] if other in kept]
        if not like:
            kept.add(row)
            continue
        similarity, partner = min(like, key=lambda pair: (-pair[0], ranks[pair[1]]))
        removed[row] = Removal(partner, similarity, is_exact=False)
    # An exact copy of what went as a near copy is like the same record, and just as much.
    return {row: removed.get(removal.partner, removal) for row, removal in removed.items()}


def _best_of_each(exact: NDArray[np.int64], ranks: Mapping[int, Rank], removed: dict[int, Removal]) -> dict[int, int]:
    """Remove all but the best of each set of exact copies; map the set's first row to the best."""
    sets: dict[int, list[int]] = defaultdict(list)
    for row, first in exact.tolist():
        sets[first].append(row)
    stands_for = {}
    for first, rows in sets.items():
        good = sorted((row for row in (first, *rows) if row in ranks), key=lambda row: ranks[row])
        if good:
            stands_for[first] = good[0]
            removed |= {row: Removal(good[0], 1.0, is_exact=True) for row in good[1:]}
        else:
            stands_for[first] = first
    return stands_for
