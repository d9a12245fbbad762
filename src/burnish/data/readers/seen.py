"""Seen ids: tell repeated ids in a stream of any length, with eight bytes for each."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from burnish.runtime import need


class SeenIds:
    """Remember ids by a hash of 64 bits.

    Two different ids of n share a hash with a chance of n²/2⁶⁵: one in 3,700 for a hundred million. Such a row would be
    set aside as a repetition, with both ids in its reason.

    The hashes lie in sorted runs, each at least twice as long as the next, so that an id is looked up in few of them
    and merged few times. Merging needs eight bytes more for each id of the runs that are merged.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def are_repeated(self, ids: Any) -> NDArray[np.bool_]:
        """Tell which of these ids came before, here or in an earlier call; from now on all of them have.

        Args:
            ids: (N,) texts, a list or an Arrow array.
        """
        hashes = _hashes(ids)
        fresh, first = np.unique(hashes, return_index=True)
        repeated = np.ones(len(hashes), np.bool_)
        repeated[first] = self._are_known(fresh)
        self._add(fresh[~repeated[first]])
        return repeated

    def holds(self, name: str) -> bool:
        """Tell whether an id came before."""
        return bool(self._are_known(_hashes([name]))[0])

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def _are_known(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        known = np.zeros(len(hashes), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            known |= run[places] == hashes
        return known

    def _add(self, hashes: NDArray[np.uint64]) -> None:
        if not len(hashes):
            return
        self._runs.append(hashes)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            merged = np.concatenate([self._runs.pop(), self._runs.pop()])
            merged.sort(kind="stable")  # which merges sorted runs
            self._runs.append(merged)


def _hashes(ids: Sequence[str] | Any) -> NDArray[np.uint64]:
    polars = need("polars", extra="data")
    series = polars.Series(ids, dtype=polars.String) if isinstance(ids, list) else polars.from_arrow(ids)
    return np.asarray(series.hash().to_numpy(), np.uint64)
