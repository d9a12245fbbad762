"""Held-out text: what a model loses on documents that compression never saw."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Measurement
from burnish.learn.packing import Row, pack_once
from burnish.learn.running_text import Ends, Pieces, records_with_text
from burnish.learn.task import loss_sum
from burnish.measure.bootstrap import bootstrap
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir, need

ROW_TOKENS = 512  # as the calibration text's rows


@dataclass(frozen=True)
class HeldOut:
    """Documents as rows of tokens, all of a document's rows together.

    Attributes:
        documents: at least one.
        num_bytes: of each document's text in UTF-8.
        split: they are from.
    """

    documents: list[list[Row]]
    num_bytes: list[int]
    split: str

    @staticmethod
    def of(
        out: Workdir, folder: Path, data: DatasetArtifact, *, split: str, at_most: int, row_tokens: int = ROW_TOKENS
    ) -> "HeldOut":
        """Read the first documents of a split.

        Args:
            folder: the model's, for its tokenizer.

        Raises:
            BurnishError: the split holds no text.
        """
        records = records_with_text(data, split)[:at_most]
        documents = Ends.of(open_tokenizer(folder), None).documents(out, split, records)
        rows = [pack_once(Pieces([each], row_tokens=row_tokens), row_tokens=row_tokens) for each in documents]
        return HeldOut(rows, [len(record.text.encode()) for record in records], split)

    @cached_property
    def tokens(self) -> list[int]:
        """Count the tokens of each document that are predicted."""
        return [int(sum(sum(row.weights) for row in rows)) for rows in self.documents]

    def losses(self, model: Any) -> list[float]:
        """Sum the loss of each document, in nats."""
        torch = need("torch", extra="compress")
        with torch.inference_mode():
            return [sum(float(loss_sum(model, row)) for row in rows) for rows in self.documents]

    def mean(self, losses: Sequence[float]) -> float:
        """Give the loss a token."""
        return sum(losses) / sum(self.tokens)

    def perplexity(self, name: str, losses: Sequence[float]) -> Measurement:
        """Give the perplexity a token, with its interval over documents."""
        return self._measured(name, "1", "a token", lambda part: math.exp(_share(losses, self.tokens, part)))

    def bits_per_byte(self, name: str, losses: Sequence[float]) -> Measurement:
        """Give the loss in a unit that no tokenizer moves, with its interval over documents."""
        how = "all tokens and their end-of-text, over UTF-8 bytes"
        return self._measured(name, "bits/byte", how, lambda part: _share(losses, self.num_bytes, part) / math.log(2))

    def ratio(self, name: str, before: Sequence[float], after: Sequence[float]) -> Measurement:
        """Give the perplexity over the one before, document by document."""
        return self.perplexity(name, [new - old for old, new in zip(before, after, strict=True)])

    def _measured(self, name: str, unit: str, what: str, statistic: Callable[[Sequence[int]], float]) -> Measurement:
        count, tokens = len(self.documents), sum(self.tokens)
        how = f"{what}; {tokens:,} tokens of {count:,} documents of split {self.split}"
        value = statistic(range(count))
        if count < 2:
            return Measurement(name, value, unit, tokens, how=f"{how}; one document gives no interval")
        low, high = bootstrap(statistic, count, seed=0)
        return Measurement(
            name, value, unit, tokens, low, high, f"{how}; bootstrap over documents, 1,000 draws, seed 0"
        )


def _share(losses: Sequence[float], sizes: Sequence[int], part: Sequence[int]) -> float:
    return sum(losses[index] for index in part) / sum(sizes[index] for index in part)
