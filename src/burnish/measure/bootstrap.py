"""Bootstrap intervals: resample documents, never tokens, since tokens of one document hang together."""

from collections.abc import Callable, Sequence

DRAWS = 1000


def bootstrap(
    statistic: Callable[[Sequence[int]], float], n: int, *, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """Give the 95 % percentile interval of a statistic.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.

    Args:
        statistic: of the documents at the given indices.
        n: number of documents, at least 1.
        draws: resamples; 1,000 is the book's minimum for percentile intervals.

    Returns:
        low, high: the 2.5 % and 97.5 % quantiles.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    values = [statistic(random.integers(0, n, n).tolist()) for _ in range(draws)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
