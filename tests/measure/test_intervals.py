"""Percentiles against what is known of them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.measure.intervals import percentile


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_the_ends_are_values_around_the_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found.low in values
    assert found.high in values
    assert found.value == pytest.approx(np.quantile(values, share))
    assert found.low <= found.high
    assert 0 <= found.coverage_frac <= 1


@pytest.mark.parametrize(
    ("n", "low", "high"),
    # Hahn and Meeker 1991, table A.15a: ranks of 95 % intervals for a median
    [(10, 2, 9), (20, 6, 15), (50, 18, 33), (100, 40, 61)],
)
def test_the_ranks_of_a_median_are_those_of_the_tables(n: int, low: int, high: int) -> None:
    found = percentile(list(range(1, n + 1)), 0.5)
    assert (found.low, found.high) == (low, high)
    assert found.coverage_frac >= 0.95


def test_the_stated_coverage_is_the_true_one() -> None:
    rng = np.random.default_rng(0)
    for n, share in ((48, 0.5), (48, 0.99), (400, 0.99)):
        truth = -math.log(1 - share)  # of an exponential
        found = [percentile(rng.exponential(size=n).tolist(), share) for _ in range(2000)]
        held = sum(one.low <= truth <= one.high for one in found) / len(found)
        assert held == pytest.approx(found[0].coverage_frac, abs=0.03)
        assert (found[0].coverage_frac >= 0.95) == ((n, share) != (48, 0.99))


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0, math.nan], 0.5), ([1.0], 1.0), ([1.0], 0.0)])
def test_what_has_no_percentile_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="need finite values"):
        percentile(values, share)
