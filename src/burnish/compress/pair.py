"""Teacher and student: opened for training, checked to be a pair, and compared on held-out text."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.artifacts import DatasetArtifact, Measurement, ModelArtifact
from burnish.errors import RecipeError
from burnish.learn.ahead import made_ahead
from burnish.learn.distillation import measure_rows
from burnish.learn.fitted import Fitted
from burnish.learn.loop import LoopConfig
from burnish.learn.packing import Row, pack, pack_once, place_once
from burnish.learn.running_text import Ends, Pieces, records_with_text
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.nn import varlen
from burnish.nn.attention import LocalGlobal, SlidingWindow, attention_of
from burnish.nn.same_tokens import token_difference
from burnish.nn.weights import device, open_model, open_tokenizer
from burnish.runtime import Workdir, need


@dataclass(frozen=True)
class TextRows:
    """Running text as packed rows.

    Attributes:
        items: endless.
        end: the token that ends a text.
        held_out: of the validation split.
        starts: numbers of the held-out rows into which no document reaches from the row before.
    """

    items: Any
    end: int
    held_out: list[Row]
    starts: list[int]
    num_records: int
    num_held_out: int


def text_rows(
    out: Workdir, folder: Path, data: DatasetArtifact, loop: LoopConfig, *, validation_records: int, seed: int
) -> TextRows:
    """Cut the train and validation split's text into packed rows by the tokenizer in `folder`.

    Raises:
        RecipeError: rows of one token.
        BurnishError: a split has no text.
    """
    size = loop.row_tokens
    if size < 2:
        raise RecipeError(f"loop.row_tokens is {size}; a token is learnt after another, so it must be at least 2")
    ends = Ends.of(open_tokenizer(folder), None)
    records = records_with_text(data, "train")
    watched = records_with_text(data, "validation")[:validation_records]
    pieces = Pieces(ends.documents(out, "train", records), row_tokens=size)
    held_out = Pieces(ends.documents(out, "validation", watched), row_tokens=size)
    places = place_once([len(piece.ids) for piece in held_out], row_tokens=size)
    return TextRows(
        made_ahead(pack(pieces, row_tokens=size, seed=seed, is_filled=loop.should_compile), 2 * loop.rows_per_step),
        ends.end,
        pack_once(held_out, row_tokens=size, is_filled=loop.should_compile),
        [at for at, pieces_of_row in enumerate(places) if held_out.begins(pieces_of_row[0])],
        len(records),
        len(watched),
    )


def open_reader(folder: Path, precision: str) -> Any:
    """Open a model that reads packed rows: with the packed kernel on a GPU in 16 bits, else as transformers would."""
    sees = attention_of(folder)
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    is_latent = shape.get("kv_lora_rank") is not None  # keys wider than values, which the packed kernel cannot take
    name = None
    if device() == "cuda" and precision != "fp32" and not is_latent and not isinstance(sees, LocalGlobal):
        name = varlen.register_varlen(sees.window_tokens if isinstance(sees, SlidingWindow) else None)
    return open_model(folder, precision=precision, attention=name, sees=sees)


def check_tokenizers(teacher: ModelArtifact, student: ModelArtifact) -> None:
    """Make sure that both models mean the same by a token.

    Raises:
        RecipeError: they do not.
    """
    found = token_difference(teacher.payload, student.payload)
    if found is not None:
        raise RecipeError(
            f"teacher {teacher.digest[:12]} and student {student.digest[:12]} have different tokenizers ({found}): a student "
            "learns what its teacher says token by token, so take one of the same family, or make it by make_student"
        )


def compared(student: Any, teacher: Any, rows: TextRows, *, seed: int, prefix: str = "") -> tuple[Measurement, ...]:
    """Compare two models on held-out rows; `prefix` begins the measurements' names, and leaves out the teacher's own.

    What is drawn for intervals are rows between which no document is shared: those of one document hang together.

    Raises:
        ArtifactError: a model's logits are not finite.
    """
    numpy, starts = need("numpy", extra="train"), rows.starts
    sums = numpy.add.reduceat(numpy.array(measure_rows(student, teacher, rows.held_out).tolist()), starts)
    how = f"{int(sums[:, 4].sum()):,} tokens of {rows.num_held_out:,} held-out documents, temperature 1"

    def measured(name: str, unit: str, column: int, *, is_nats: bool = False, minus: int | None = None) -> Measurement:
        def statistic(groups: Sequence[int]) -> float:
            chosen = sums[list(groups)]
            total = chosen[:, column].sum() - (0.0 if minus is None else chosen[:, minus].sum())
            mean = float(total / chosen[:, 4].sum())
            return math.exp(mean) if is_nats else mean

        n = len(starts)
        value = statistic(range(n))
        if n < 2:
            return Measurement(prefix + name, value, unit, n, how=f"{how}; they hang together, which gives no interval")
        low, high = bootstrap(statistic, n, seed=seed)
        drawn = f"bootstrap over {n} groups of rows that share no document, {DRAWS:,} draws"
        return Measurement(prefix + name, value, unit, n, low, high, f"{how}; {drawn}")

    return (
        measured("validation_kl_nats", "nats", 0),
        measured("validation_top1_agreement_frac", "1", 3),
        measured("validation_perplexity", "1", 1, is_nats=True),
        measured("validation_perplexity_ratio", "1", 1, is_nats=True, minus=2),
        *(() if prefix else (measured("teacher_validation_perplexity", "1", 2, is_nats=True),)),
    )


def trained(fitted: Fitted, rows: TextRows, precision: str) -> tuple[Measurement, ...]:
    """Say how much was learnt and how fast."""
    steps = sum("lr" in row for row in fitted.log)
    return (
        Measurement("train_records", rows.num_records, "records", rows.num_records, how="of the train split"),
        Measurement("train_tokens", fitted.log[-1]["tokens"], "tokens", steps, how="read by the student, none padding"),
        Measurement(
            "train_tokens_per_s",
            fitted.num_tokens / max(fitted.seconds, 1e-9),
            "tokens/s",
            steps,
            how=f"student in {precision}; steps of the last process, compilation included, validation left out",
        ),
        Measurement(
            "skipped_steps_count",
            fitted.num_skipped,
            "steps",
            steps,
            how="left out, since loss or gradient was not finite; their batches are in broken/",
        ),
    )
