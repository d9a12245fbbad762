"""Held-out text: what is counted and drawn."""

from typing import Any

import pytest

from burnish.compress.held_out import HeldOut
from burnish.learn.packing import Row, Sample, lay


def test_tokens_are_counted_once_whatever_is_drawn_from_them() -> None:
    counted: list[int] = []

    class Counting(list[Row]):
        def __iter__(self) -> Any:
            counted.append(1)
            return super().__iter__()

    documents: list[list[Row]] = [Counting([lay([Sample(tuple(range(size)), (1.0,) * size)])]) for size in (5, 9, 3)]
    held_out = HeldOut(documents, [20, 30, 10], "validation")
    perplexity = held_out.perplexity("perplexity", [4.0, 8.0, 2.0])
    assert perplexity.value == pytest.approx(2.718281828)
    assert perplexity.n == 4 + 8 + 2
    assert len(counted) == 3
