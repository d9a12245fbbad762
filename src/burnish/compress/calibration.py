"""Calibration: rows of text that a model reads once, and what its linear layers are given while it does.

Legend: P positions, I inputs of a linear layer.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact
from burnish.errors import RecipeError
from burnish.learn.packing import Sample, lay
from burnish.learn.running_text import Ends, records_with_text
from burnish.learn.task import mean_loss
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir

UNREADABLE_NATS = 6.0  # a small model reads text of its languages at 2 to 4 nats a token
_READ_ROWS = 8


@dataclass(frozen=True)
class CalibrationConfig:
    """Say which text a model reads while it is measured.

    Attributes:
        num_rows: rows; Frantar et al. 2022 (arXiv 2210.17323, section 4) take 128 of 2,048 tokens.
        row_tokens: tokens of a row.
        split: of the dataset.
    """

    num_rows: int = 64
    row_tokens: int = 512
    split: str = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_rows < 1 or self.row_tokens < 2:
            raise RecipeError(
                f"calibration num_rows is {self.num_rows} and row_tokens {self.row_tokens}; "
                "at least 1 row of 2 tokens is needed, 64 of 512 are common"
            )


def calibration_rows(out: Workdir, folder: Path, data: DatasetArtifact, config: CalibrationConfig) -> list[list[int]]:
    """Take full rows of token ids from documents in an order drawn from the seed.

    A row begins where a document begins and goes on into the documents after it. Where there are too few documents for
    that, the rest comes from what rows left of long documents.

    Args:
        folder: the model's, for its tokenizer.

    Raises:
        RecipeError: the split holds too few tokens.
    """
    records = records_with_text(data, config.split)
    random.Random(f"calibration/{config.seed}").shuffle(records)
    ends = Ends.of(open_tokenizer(folder), None)
    wanted = config.num_rows * config.row_tokens
    rows: list[list[int]] = []
    rest: list[int] = []
    row: list[int] = []
    for document in ends.documents(out, config.split, records):
        missing = config.row_tokens - len(row)
        row += document[:missing]
        if len(row) == config.row_tokens:
            rows.append(row)
            row = []
            rest += document[missing : missing + max(0, wanted - len(rest))]
        if len(rows) == config.num_rows:
            return rows
    more = len(rest) // config.row_tokens
    rows += [rest[at * config.row_tokens : (at + 1) * config.row_tokens] for at in range(more)][
        : config.num_rows - len(rows)
    ]
    if len(rows) < config.num_rows:
        raise RecipeError(
            f"split {config.split!r} of {data.label} fills {len(rows)} rows of {config.row_tokens} tokens; calibration "
            f"wants num_rows {config.num_rows}. Lower num_rows or row_tokens, or give more text"
        )
    return rows


def warn_if_unreadable(out: Workdir, model: Any, rows: Sequence[Sequence[int]]) -> None:
    """Warn where the model can hardly predict the text, as when that is in a language it never learnt."""
    read = [lay([Sample(tuple(row), (1.0,) * len(row))]) for row in rows[:_READ_ROWS]]
    loss_nats = mean_loss(model, read)
    if loss_nats > UNREADABLE_NATS:
        out.warn(
            f"the model predicts the calibration text at {loss_nats:.1f} nats a token, as text it cannot read; "
            "calibrate with text of the model's own languages"
        )


class Inputs:
    """Add up what is measured of the inputs of linear layers.

    Args:
        measure: of float32 inputs (P, I) -> a tensor summed over P.
    """

    def __init__(self, measure: Callable[[Any], Any]) -> None:
        self._measure = measure
        self._sums: dict[str, Any] = {}
        self._tokens: dict[str, int] = {}
        self._leader: dict[str, str] = {}  # of layers with the same inputs, the first
        self._last: tuple[str, Any] = ("", None)

    def add(self, name: str, given: Any) -> None:
        """Add one call's inputs."""
        if given is self._last[1]:
            self._leader[name] = self._last[0]
            return
        self._leader[name], self._last = name, (name, given)
        x_PI = given.detach().float().flatten(0, -2)
        found = self._measure(x_PI)
        self._sums[name] = self._sums[name].add_(found) if name in self._sums else found
        self._tokens[name] = self._tokens.get(name, 0) + len(x_PI)

    def means(self) -> dict[str, tuple[Any, int]]:
        """Give each layer's mean over its tokens, and their number."""
        done = {name: (total / self._tokens[name], self._tokens[name]) for name, total in self._sums.items()}
        return {name: done[leader] for name, leader in self._leader.items()}


@contextmanager
def watched(linears: Mapping[str, Any], measure: Callable[[Any], Any]) -> Iterator[Inputs]:
    """Measure the inputs of these layers while the block runs."""
    inputs = Inputs(measure)

    def hook(name: str) -> Callable[..., None]:
        return lambda _, given: inputs.add(name, given[0])

    hooks = [module.register_forward_pre_hook(hook(name)) for name, module in linears.items()]
    try:
        yield inputs
    finally:
        for each in hooks:
            each.remove()
