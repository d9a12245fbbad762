"""Bloom: nothing is forgotten, and new keys are taken for seen as often as was asked for, and no oftener."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from burnish.data.duplicates.bloom import Bloom
from burnish.errors import RecipeError

_ERRORS = 5  # standard errors of a binomial count: one in two million
_NUM_PROBES = 40_000
words = st.integers(0, 2**64 - 1)


def random_keys(rng: np.random.Generator, count: int) -> NDArray[np.uint64]:
    return rng.integers(0, 2**64, (count, 2), np.uint64)


def filled(num_keys: int, rate: float, rng: np.random.Generator, frac: float = 1.0) -> Bloom:
    bloom = Bloom(num_keys, rate)
    bloom.add(random_keys(rng, round(num_keys * frac)))
    return bloom


def count_false(num_keys: int, rate: float, rng: np.random.Generator, frac: float = 1.0) -> int:
    """Probe several filters with keys that are new; each few probes get a copy, so that these do not fill it."""
    found = 0
    for _ in range(10):
        bloom = filled(num_keys, rate, rng, frac)
        for probes in np.array_split(
            random_keys(rng, _NUM_PROBES // 10), min(_NUM_PROBES // 10, max(1, 200_000 // num_keys))
        ):
            found += int(copy.deepcopy(bloom).add(probes).sum())
    return found


def highest(rate: float) -> float:
    return _NUM_PROBES * rate + _ERRORS * math.sqrt(_NUM_PROBES * rate * (1 - rate))


def lowest(rate: float) -> float:
    return 2 * _NUM_PROBES * rate - highest(rate)


@pytest.mark.parametrize("num_keys", [500, 5_000, 50_000])
@pytest.mark.parametrize("rate", [0.9, 0.36, 0.1, 0.01, 0.001])
def test_the_measured_rate_is_the_one_asked_for(num_keys: int, rate: float) -> None:
    found = count_false(num_keys, rate, np.random.default_rng(num_keys))
    least = 0.8 if num_keys < 5_000 else 1.0  # a small filter is rounded up to whole words
    assert lowest(rate * least) <= found <= highest(rate)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3_000), st.floats(0.002, 0.9), st.integers(0, 2**32))
def test_no_rate_and_no_capacity_is_worse_than_asked(num_keys: int, rate: float, seed: int) -> None:
    found = count_false(num_keys, rate, np.random.default_rng(seed))
    # In a small filter the share of bits that are set differs from one to the next: its rate does too.
    spread = 1 + 4 / math.sqrt(num_keys)
    assert found <= highest(min(1.0, rate * spread))


def test_a_filter_that_is_not_full_errs_less() -> None:
    found = [count_false(4_000, 0.05, np.random.default_rng(1), frac) for frac in (0.25, 0.5, 1.0)]
    assert found[0] < found[1] / 2 < found[2] / 4


@settings(deadline=None)
@given(st.lists(st.tuples(words, words), max_size=60), st.floats(1e-6, 0.999), st.integers(0, 100))
def test_no_key_is_forgotten_even_in_a_filter_that_is_too_full(
    drawn: list[tuple[int, int]], rate: float, num_keys: int
) -> None:
    keys = np.array([*drawn, *drawn], np.uint64).reshape(-1, 2)
    bloom = Bloom(num_keys, rate)
    assert bloom.add(keys)[len(drawn) :].all()
    assert bloom.add(keys[::-1]).all()
    assert bloom.add(np.asfortranarray(keys)).all()


def test_the_first_of_equal_keys_is_new() -> None:
    keys = np.array([[1, 2], [3, 4], [1, 2], [3, 4], [5, 6]], np.uint64)
    assert Bloom(1_000, 1e-6).add(keys).tolist() == [False, False, True, True, False]


def test_memory_is_what_theory_asks() -> None:
    # -log2(p) / ln 2 bits a key where the number of hashes is best, Bloom 1970
    for rate in (0.001, 0.01, 0.5):
        bits = 8 * Bloom(100_000, rate).num_bytes / 100_000
        assert bits == pytest.approx(-math.log2(rate) / math.log(2), rel=0.01)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_bounds(rate: float) -> None:
    with pytest.raises(RecipeError, match="false_positive_frac is"):
        Bloom(10, rate)
