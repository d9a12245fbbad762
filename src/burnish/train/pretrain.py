"""Pretrain: go on with pre-training on plain text of a domain; every token of every document is learnt once an epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.packing import Row, pack, pack_once
from burnish.learn.running_text import Ends, Pieces, records_with_text
from burnish.learn.task import Measures, TokenTask
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir
from burnish.train.tuning import TuneConfig, evidence_of, summary_of, tune


@dataclass(frozen=True)
class PretrainConfig(TuneConfig):
    """Say how to go on with pre-training.

    Attributes:
        end_of_text: the token between documents; null takes `<|endoftext|>` or `<|end_of_text|>` where the tokenizer
            has one, else the token that it ends sequences with.
    """

    end_of_text: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loop.row_tokens < 2:
            raise RecipeError(
                f"loop.row_tokens is {self.loop.row_tokens}; a token is learnt after another, so it must be at least 2"
            )


def pretrain(
    out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: PretrainConfig
) -> Draft[ModelArtifact]:
    """Train on the documents' text; resume from the last snapshot if the run was killed.

    Raises:
        RecipeError: the tokenizer has no token `end_of_text`.
        BurnishError: the dataset has no train or validation split, or the loss broke.
    """
    row_tokens = config.loop.row_tokens
    ends = Ends.of(open_tokenizer(base.payload), config.end_of_text)
    records = records_with_text(data, "train")
    held_out = records_with_text(data, "validation")[: config.validation_records]
    pieces = Pieces(ends.documents(out, "train", records), row_tokens=row_tokens)
    watched = Pieces(ends.documents(out, "validation", held_out), row_tokens=row_tokens)
    task = TextTask(num_bytes=sum(len(record.text.encode()) for record in held_out))
    items = pack(pieces, row_tokens=row_tokens, seed=config.seed, is_filled=config.is_compiled)
    validation = pack_once(watched, row_tokens=row_tokens, is_filled=config.is_compiled)
    tuned = tune(out, base, config, task, items, validation)
    evidence = evidence_of(tuned, num_records=len(records), num_held_out=len(held_out))
    evidence += (
        Measurement(
            "validation_bits_per_byte",
            tuned.fitted.last("validation_bits_per_byte"),
            "bits/byte",
            len(held_out),
            how="after the last step, all tokens of held-out documents and their end-of-text, over their UTF-8 bytes",
        ),
        Measurement("corpus_tokens", pieces.num_learnt, "tokens", len(records), how="learnt in an epoch"),
    )
    learnt = f"every token of {len(records):,} documents is learnt, in {len(pieces):,} pieces"
    return Draft(ModelArtifact, evidence, summary_of(config, tuned.precision, learnt))


@dataclass(frozen=True)
class TextTask(TokenTask):
    """Predict tokens, and measure held-out text in a unit that no tokenizer moves.

    Attributes:
        num_bytes: UTF-8 bytes of the held-out documents, at least 1.
    """

    num_bytes: int = field(kw_only=True)

    def validate(self, model: Any, items: Sequence[Row]) -> Measures:
        """Average the loss a token, and add it up a byte."""
        found = super().validate(model, items)
        nats = found["validation_loss_nats"] * sum(sum(row.weights) for row in items)
        return found | {"validation_bits_per_byte": nats / math.log(2) / self.num_bytes}
