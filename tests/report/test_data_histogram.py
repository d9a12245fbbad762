"""Histograms of what rules measured: nothing is lost, and the bound always lies between two bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.report.data_histogram import Bins

values = st.lists(
    st.one_of(
        st.floats(0, 1, width=32),
        st.floats(0, 1e5, width=32),
        st.integers(0, 40).map(float),
        st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 10.0]).map(lambda v: float(np.float32(v))),
        st.floats(-5, 5, width=32),
    ),
    min_size=1,
    max_size=60,
)
thresholds = st.one_of(st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0, 10.0]), st.floats(-2, 50))


@settings(max_examples=300, deadline=None)
@given(values, thresholds, st.booleans())
def test_every_value_is_counted_on_its_side_of_the_bound(found: list[float], threshold: float, is_floor: bool) -> None:
    measured = np.array(found, np.float64)
    fails = measured < threshold if is_floor else measured > np.float64(np.float32(threshold))
    whole = bool(np.array_equal(measured, np.floor(measured)))
    bins = Bins(measured.min(), measured.max(), threshold, is_floor, is_whole=whole and threshold == int(threshold))
    bins.add(measured, np.where(fails, 2, 0))
    histogram = bins.done()
    assert sum(histogram.totals) == len(found)
    assert histogram.bound is not None
    below, above = histogram.totals[: histogram.bound], histogram.totals[histogram.bound :]
    failing, passing = (below, above) if is_floor else (above, below)
    assert (sum(failing), sum(passing)) == (int(fails.sum()), int((~fails).sum()))
    assert sum(histogram.removed) == int(fails.sum())
    assert list(histogram.edges) == sorted(histogram.edges)


@given(values)
def test_without_a_bound_nothing_is_lost_either(found: list[float]) -> None:
    measured = np.array(found)
    bins = Bins(measured.min(), measured.max(), None, is_above=False)
    bins.add(measured, np.ones(len(found), np.int64))
    histogram = bins.done("pairs")
    assert sum(histogram.other) == len(found)
    assert (histogram.bound, histogram.noun) == (None, "pairs")


def test_what_was_not_measured_is_not_counted() -> None:
    bins = Bins(0.0, 1.0, 0.5, is_above=False)
    bins.add(np.array([0.2, np.nan, np.inf, 0.9]), np.array([0, 0, 2, 2]))
    assert sum(bins.done().totals) == 2


def test_a_long_tail_does_not_hide_the_bound() -> None:
    bins = Bins(0.0, 50_000.0, 10.0, is_above=True, is_whole=True)
    histogram = bins.done()
    assert histogram.bound is not None
    assert histogram.bound >= 4
    assert (histogram.edges[0], histogram.edges[histogram.bound], histogram.edges[-1]) == (0.0, 10.0, 50_000.0)


@pytest.mark.parametrize("is_floor", [True, False])
def test_the_shown_edges_are_the_bound_and_the_ends_themselves(is_floor: bool) -> None:
    histogram = Bins(0.0, 1.0, 0.3, is_floor).done()
    assert histogram.bound is not None
    assert (histogram.edges[0], histogram.edges[histogram.bound], histogram.edges[-1]) == (0.0, 0.3, 1.0)
