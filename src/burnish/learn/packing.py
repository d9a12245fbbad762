"""Packing: examples laid end to end in rows of a fixed length, with no attention across their borders.

Positions restart at each example; transformers builds the block-diagonal causal mask from that, so a packed
example sees what it would see alone. Nothing is cut: an example longer than a row is refused beforehand.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burnish.errors import RecipeError

IGNORED = -100  # the label that torch's cross-entropy leaves out


@dataclass(frozen=True)
class Sample:
    """One training example.

    Attributes:
        weights: what the loss of predicting each token counts, 0 leaves it out; the first is never predicted.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """A packed row: equally long lists.

    Attributes:
        labels: shifted already: `labels[t]` is what position t predicts, or `IGNORED`.
        weights: what its loss counts; 0 where ignored.
        num_filler: tokens at the end that belong to no example.
    """

    ids: list[int]
    positions: list[int]
    labels: list[int]
    weights: list[float]
    num_filler: int = 0

    @property
    def num_tokens(self) -> int:
        """Count the tokens of examples."""
        return len(self.ids) - self.num_filler


def pack(samples: Sequence[Sample], *, row_tokens: int, seed: int, is_filled: bool = False) -> Iterator[Row]:
    """Pack endlessly: each epoch in a new order drawn from `seed`, first come, first placed.

    Every sample is used once an epoch; a row ends where the next sample would not fit.

    Args:
        is_filled: bring every row to `row_tokens`, for compiled code, which is made for one shape.

    Raises:
        RecipeError: no samples, or one longer than a row.
    """
    for places in place([len(sample.ids) for sample in samples], row_tokens=row_tokens, seed=seed):
        yield lay([samples[index] for index in places], fill_to=row_tokens if is_filled else 0)


def pack_once(samples: Sequence[Sample], *, row_tokens: int, is_filled: bool = False) -> list[Row]:
    """Pack each sample once, in order, for validation."""
    rows = place_once([len(sample.ids) for sample in samples], row_tokens=row_tokens)
    return [lay([samples[index] for index in places], fill_to=row_tokens if is_filled else 0) for places in rows]


def place(lengths: Sequence[int], *, row_tokens: int, seed: int) -> Iterator[list[int]]:
    """Say endlessly which examples of these lengths share a row, as `pack` does and with its errors."""
    longest = max(lengths, default=0)
    if longest == 0:
        raise RecipeError("there are no training samples; check the data stages' drop reasons")
    if longest > row_tokens:
        raise RecipeError(
            f"the longest example has {longest} tokens; row_tokens is {row_tokens}, make it at least that"
        )
    epoch = 0
    waiting: list[int] = []
    length = 0
    while True:
        order = list(range(len(lengths)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for index in order:
            if length + lengths[index] > row_tokens:
                yield waiting
                waiting, length = [], 0
            waiting.append(index)
            length += lengths[index]
        epoch += 1


def place_once(lengths: Sequence[int], *, row_tokens: int) -> list[list[int]]:
    """Say which examples of these lengths share a row, each once, in order."""
    rows: list[list[int]] = []
    waiting: list[int] = []
    length = 0
    for index, tokens in enumerate(lengths):
        if waiting and length + tokens > row_tokens:
            rows.append(waiting)
            waiting, length = [], 0
        waiting.append(index)
        length += tokens
    return [*rows, waiting] if waiting else rows


def lay(samples: Sequence[Sample], *, fill_to: int = 0) -> Row:
    """Lay samples end to end in one row, and bring it to `fill_to` tokens by a last example that counts nothing."""
    ids: list[int] = []
    positions: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    for sample in samples:
        ids += sample.ids
        positions += range(len(sample.ids))
        weights += [*sample.weights[1:], 0.0]
        labels += [
            token if weight else IGNORED for token, weight in zip(sample.ids[1:], sample.weights[1:], strict=True)
        ]
        labels.append(IGNORED)
    missing = max(0, fill_to - len(ids))
    return Row(
        ids + [0] * missing,
        positions + list(range(missing)),
        labels + [IGNORED] * missing,
        weights + [0.0] * missing,
        missing,
    )
