"""Histograms: what a rule measured over all records, and what became of them; the bound always lies between two bins."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUM_BINS = 36
_LOG_FROM = 30.0  # from this ratio of the range to the bound, equal bins would hide the bound at the edge


@dataclass(frozen=True)
class Histogram:
    """Hold counts between `edges`.

    Attributes:
        edges: one more than bins.
        bound: place of the threshold among the edges; None where there is none.
        kept: of each bin, what the stage kept.
        other: what another rule of the stage removed.
        removed: what this rule removed.
        noun: what is counted.
    """

    edges: tuple[float, ...]
    bound: int | None
    kept: tuple[int, ...]
    other: tuple[int, ...]
    removed: tuple[int, ...]
    noun: str = "records"

    @property
    def totals(self) -> tuple[int, ...]:
        """Add up each bin."""
        return tuple(sum(each) for each in zip(self.kept, self.other, self.removed, strict=True))


@dataclass
class Bins:
    """Count values as they come, table by table.

    Args:
        low: the least value there is.
        high: the greatest.
        threshold: of the rule; an edge.
        is_above: whether a value that equals it lies above it: it passes a lower bound, and an upper one where that
            is inclusive removes it.
        is_whole: whether all values are whole numbers.
    """

    low: float
    high: float
    threshold: float | None
    is_above: bool
    is_whole: bool = False

    def __post_init__(self) -> None:
        self.edges, self.bound = _edges(self)
        self.counts = np.zeros((3, len(self.edges) - 1), np.int64)

    def add(self, values: NDArray[np.float64], fate: NDArray[np.int64]) -> None:
        """Count values; `fate` is 0 for kept, 1 for removed by another rule, 2 for removed by this one."""
        finite = np.isfinite(values)
        for each in range(3):
            self.counts[each] += np.histogram(values[finite & (fate == each)], self.edges)[0]

    def done(self, noun: str = "records") -> Histogram:
        """Give the histogram."""
        kept, other, removed = (tuple(row) for row in self.counts.tolist())
        edges = self.edges.copy()  # shown as they were before they were moved by the least step that a number has
        if self.bound is not None and self.threshold is not None:
            edges[: self.bound + 1] = np.minimum(edges[: self.bound + 1], self.threshold)
        edges[-1] = max(self.high, edges[-2])
        if self.bound == len(edges) - 1 and self.threshold is not None:
            edges[-1] = self.threshold
        return Histogram(tuple(edges.tolist()), self.bound, kept, other, removed, noun)


def _edges(bins: Bins) -> tuple[NDArray[np.float64], int | None]:
    """Choose the edges, and say which is the bound; the last bin holds its right end too."""
    if bins.threshold is None:
        return _between(bins.low, _above(bins.low, bins.high), _NUM_BINS, bins, is_log=_is_log(bins, bins.low)), None
    # Measures are of single precision.
    bound = bins.threshold if bins.is_above else _above(bins.threshold)
    is_log = _is_log(bins, bins.threshold)
    low, high = min(bins.low, bins.threshold), max(bins.high, bound)
    ends = [float(np.log1p(end)) if is_log else end for end in (low, bound, high)]
    share = (ends[1] - ends[0]) / (ends[2] - ends[0]) if ends[2] > ends[0] else 1.0
    num_below = min(max(round(_NUM_BINS * share), 1), _NUM_BINS - 1)
    parts = []
    if low < bound:
        num = num_below if low < bins.threshold else 1
        parts.append(_between(low, bound, num, bins, is_log=is_log))
    if bins.high >= bound:
        parts.append(_between(bound, _above(bound, bins.high), _NUM_BINS - num_below, bins, is_log=is_log))
    edges = np.unique(np.concatenate(parts))
    return edges, int(np.searchsorted(edges, bound))


def _above(value: float, other: float = -np.inf) -> float:
    """Give `other`, but at least the next number of single precision above a value."""
    return max(other, float(np.nextafter(np.float32(value), np.float32(np.inf))))


def _is_log(bins: Bins, threshold: float) -> bool:
    return bins.low >= 0 <= threshold and bins.high > _LOG_FROM * max(threshold, 1.0)


def _between(low: float, high: float, number: int, bins: Bins, *, is_log: bool) -> NDArray[np.float64]:
    """Divide a range; between whole numbers no bin is narrower than one of them."""
    edges = np.linspace(low, high, number + 1)
    if is_log:
        edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), number + 1))
    inner = np.ceil(edges[1:-1]) if bins.is_whole else edges[1:-1]
    return np.unique(np.concatenate([[low], inner[(inner > low) & (inner < high)], [high]]))
