"""Pretrain: go on with pre-training on plain text of a domain; every token of every document is learnt once an epoch."""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact
from burnish.errors import BurnishError, RecipeError
from burnish.learn.packing import Row, Sample, pack, pack_once
from burnish.learn.records import Record, read_records
from burnish.learn.task import Measures, TokenTask
from burnish.nn.weights import open_tokenizer
from burnish.runtime import Workdir
from burnish.train.tuning import TuneConfig, evidence_of, summary_of, tune

_BATCH_TEXTS = 64  # tokenised together, side by side on the machine's cores
_USUAL_ENDS = ("<|endoftext|>", "<|end_of_text|>")  # GPT-2, Qwen, SmolLM; Llama 3


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
    records = _with_text(data, "train")
    held_out = _with_text(data, "validation")[: config.validation_records]
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


def _with_text(data: DatasetArtifact, split: str) -> list[Record]:
    records = [record for record in read_records(data, split) if record.text]
    if not records:
        raise BurnishError(f"no record in split {split!r} of {data.label} has a text")
    return records


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


@dataclass(frozen=True)
class Ends:
    """A tokenizer for running text, with the tokens that stand before and after a document.

    Attributes:
        start: the tokenizer's own first token where it puts one, else the end of the document before.
        end: the end of text.
    """

    tokenizer: Any
    start: int
    end: int

    @staticmethod
    def of(tokenizer: Any, named: str | None) -> "Ends":
        """Find the tokens.

        Raises:
            RecipeError: the tokenizer has no token of that name.
        """
        vocabulary = tokenizer.get_vocab()
        name = named or next((usual for usual in _USUAL_ENDS if usual in vocabulary), tokenizer.eos_token)
        if name not in vocabulary:
            raise RecipeError(
                f"end_of_text is {name!r}, which is no token of the base model; its control tokens are: "
                f"{', '.join(str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)}"
            )
        put_first = tokenizer("")["input_ids"][:1]
        start = tokenizer.bos_token_id if put_first == [tokenizer.bos_token_id] else vocabulary[name]
        tokenizer.split_special_tokens = True  # a document that spells out a control token means its letters
        return Ends(tokenizer, start, vocabulary[name])

    def documents(self, out: Workdir, split: str, records: Sequence[Record]) -> Iterator[Sequence[int]]:
        """Give each document's tokens between its start and its end."""
        with out.progress(f"tokenising {split}", total=len(records), unit="documents") as bar:
            for low in range(0, len(records), _BATCH_TEXTS):
                texts = [record.text for record in records[low : low + _BATCH_TEXTS]]
                for ids in self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]:
                    yield [self.start, *ids, self.end]
                bar.advance(len(texts))


class Pieces(Sequence[Sample]):
    """Documents cut into pieces that fit a row; four bytes a token.

    A document's tokens after its first are each learnt once. A piece begins with the token before those it
    teaches: the document's start, or the last token of the piece before, which is read again and not learnt again.

    Args:
        documents: at least two tokens each, the first of which is given.
        row_tokens: at least 2.
    """

    def __init__(self, documents: Iterable[Sequence[int]], *, row_tokens: int) -> None:
        self._ids = array("I")
        self._bounds: list[tuple[int, int]] = []
        self._weights: dict[int, tuple[float, ...]] = {}  # one tuple a length
        self.num_learnt = 0
        for document in documents:
            offset = len(self._ids)
            self._ids.extend(document)
            self.num_learnt += len(document) - 1
            for low in range(0, len(document) - 1, row_tokens - 1):
                self._bounds.append((offset + low, offset + min(low + row_tokens, len(document))))

    def __len__(self) -> int:
        return len(self._bounds)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        low, high = self._bounds[index]
        weights = self._weights.setdefault(high - low, (1.0,) * (high - low))
        return Sample(tuple(self._ids[low:high]), weights)
