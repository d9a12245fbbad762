"""Where packed attention is told its examples lie; the attention itself needs a GPU."""

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.nn.varlen import Sizes, packed

ROWS = st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=40), min_size=1, max_size=6)


@given(ROWS)
def test_borders_are_the_examples_and_sizes_never_fall(rows: list[list[int]]) -> None:
    sizes = Sizes()
    asked = [(16, 128)]
    for lengths in rows:
        told = packed([place for length in lengths for place in range(length)], "cpu", sizes)
        borders = told["cu_seq_lens_q"].tolist()
        ends = [sum(lengths[:n]) for n in range(len(lengths) + 1)]
        assert borders[: len(ends)] == ends
        assert set(borders[len(ends) :]) <= {ends[-1]}
        assert told["cu_seq_lens_q"].dtype == torch.int32
        assert told["max_length_q"] >= max(lengths)
        asked.append((len(borders), told["max_length_q"]))
    assert all(before[i] <= after[i] for before, after in pairwise(asked) for i in (0, 1))
    assert all(size.bit_count() == 1 for both in asked for size in both)


def test_a_short_row_after_a_long_one_has_its_sizes() -> None:
    sizes = Sizes()
    long = packed([*range(200), *[0] * 20], "cpu", sizes)
    short = packed(range(5), "cpu", sizes)
    assert len(short["cu_seq_lens_q"]) == len(long["cu_seq_lens_q"]) == 32
    assert short["max_length_q"] == long["max_length_q"] == 256
