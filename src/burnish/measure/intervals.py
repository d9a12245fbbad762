"""Percentiles with intervals that assume no distribution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Percentile:
    """A percentile with its interval.

    Attributes:
        coverage_frac: probability that the interval holds the true percentile; below 0.95 where there are too few
            values for its ends, which are then the smallest or largest value.
    """

    value: float
    low: float
    high: float
    coverage_frac: float


def percentile(values: Sequence[float], share: float) -> Percentile:
    """Estimate a percentile of independent values, with the interval between two order statistics.

    The number of values below the true percentile is binomial, which gives the ranks.
    Source: Hahn and Meeker 1991, Statistical Intervals, section 5.2.

    Args:
        values: at least one, finite, in any order.
        share: 0.99 for P99; inside (0, 1).
    """
    import numpy as np

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    if n == 0 or not np.isfinite(ordered).all() or not 0 < share < 1:
        raise ValueError(f"need finite values and a share inside (0, 1); got {n} values and {share}")
    tail = (1 - CONFIDENCE) / 2
    below = _binomial_cdf(n, share)  # below[k]: at most k values lie below the true percentile
    first = max(int(np.searchsorted(below, tail, side="right")) - 1, 0)
    last = min(int(np.searchsorted(below, 1 - tail, side="left")), n - 1)
    value = float(np.quantile(ordered, share))
    return Percentile(value, float(ordered[first]), float(ordered[last]), float(below[last] - below[first]))


def _binomial_cdf(n: int, share: float) -> "np.ndarray":
    """Give P(B <= k) for k = 0 .. n - 1, B binomial with n draws of probability `share`."""
    import numpy as np

    log_factorial = np.array([math.lgamma(k + 1) for k in range(n + 1)])
    k = np.arange(n)
    ways = log_factorial[n] - log_factorial[k] - log_factorial[n - k]
    return np.cumsum(np.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share)))
