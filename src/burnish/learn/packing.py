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
    """A packed row: equally long lists, padded by nothing.

    Attributes:
        labels: shifted already: `labels[t]` is what position t predicts, or `IGNORED`.
        weights: what its loss counts; 0 where ignored.
    """

    ids: list[int]
    positions: list[int]
    labels: list[int]
    weights: list[float]


def pack(samples: Sequence[Sample], *, row_tokens: int, seed: int) -> Iterator[Row]:
    """Pack endlessly: each epoch in a new order drawn from `seed`, first come, first placed.

    Every sample is used once an epoch; a row ends where the next sample would not fit.

    Raises:
        RecipeError: no samples, or one longer than a row.
    """
    longest = max((len(sample.ids) for sample in samples), default=0)
    if longest == 0:
        raise RecipeError("there are no training samples; check the data stages' drop reasons")
    if longest > row_tokens:
        raise RecipeError(
            f"the longest example has {longest} tokens; row_tokens is {row_tokens}, make it at least that"
        )
    epoch = 0
    waiting: list[Sample] = []
    length = 0
    while True:
        order = list(range(len(samples)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for index in order:
            sample = samples[index]
            if length + len(sample.ids) > row_tokens:
                yield _row(waiting)
                waiting, length = [], 0
            waiting.append(sample)
            length += len(sample.ids)
        epoch += 1


def pack_once(samples: Sequence[Sample], *, row_tokens: int) -> list[Row]:
    """Pack each sample once, in order, for validation."""
    rows: list[Row] = []
    waiting: list[Sample] = []
    length = 0
    for sample in samples:
        if waiting and length + len(sample.ids) > row_tokens:
            rows.append(_row(waiting))
            waiting, length = [], 0
        waiting.append(sample)
        length += len(sample.ids)
    return [*rows, _row(waiting)] if waiting else rows


def _row(samples: list[Sample]) -> Row:
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
    return Row(ids, positions, labels, weights)
