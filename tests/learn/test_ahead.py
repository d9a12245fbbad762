"""Items made ahead: the same ones in the same order, errors included."""

from collections.abc import Iterator
from itertools import count, islice

import pytest

from burnish.errors import RecipeError
from burnish.learn.ahead import made_ahead


def test_items_come_in_order_and_some_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            made.append(number)
            yield number

    stream = made_ahead(items(), 3)
    assert list(islice(stream, 5)) == [0, 1, 2, 3, 4]
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    assert 7 <= len(made) <= 8
    assert made == list(range(len(made)))


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RecipeError("there are no training samples")

    stream = made_ahead(items(), 2)
    assert next(stream) == 1
    with pytest.raises(RecipeError, match="no training samples"):
        next(stream)
