"""Metrics against hand-made and library-made truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.measure.bootstrap import bootstrap
from burnish.measure.divergence import kl_divergence, log_softmax, top1_agrees
from burnish.measure.metrics import bits_per_byte, macro_f1


def test_macro_f1_by_hand() -> None:
    # a: precision 1/2, recall 1 -> 2/3; b: precision 1, recall 1/2 -> 2/3
    assert macro_f1(["a", "b", "b"], ["a", "a", "b"], ["a", "b"]) == pytest.approx(2 / 3)


def test_macro_f1_counts_a_label_that_is_never_right_as_zero() -> None:
    assert macro_f1(["a", "a"], ["a", "a"], ["a", "b"]) == pytest.approx(0.5)


def test_bits_per_byte_weighs_documents_by_their_bytes() -> None:
    assert bits_per_byte([math.log(2) * 8, math.log(2) * 1], [8, 2]) == pytest.approx(0.9)


@given(st.lists(st.lists(st.floats(-30, 30), min_size=5, max_size=5), min_size=2, max_size=2))
def test_kl_is_zero_of_itself_and_never_negative(logits: list[list[float]]) -> None:
    p, q = (log_softmax(np.array([row])) for row in logits)
    assert kl_divergence(p, p)[0] == 0
    assert kl_divergence(p, q)[0] >= 0
    assert np.exp(p).sum() == pytest.approx(1)


def test_kl_by_hand() -> None:
    p, q = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    expected = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert kl_divergence(p, q)[0] == pytest.approx(expected)
    assert top1_agrees(np.array([[1.0, 0], [0, 1.0]]), np.array([[2.0, 1], [1, 0]])).tolist() == [True, False]


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for seed in range(100):
        sample = random.normal(1.0, 1.0, 60)
        low, high = bootstrap(lambda at, x=sample: float(x[at].mean()), 60, seed=seed, draws=200)  # type: ignore[misc]
        covered += low <= 1.0 <= high
    assert 85 <= covered <= 100
