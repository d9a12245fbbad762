"""Long documents: a model adapted to them with some attention, and what it reads of those held out."""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.data.records import read_kept
from burnish.errors import RecipeError
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import IGNORED, Row
from burnish.learn.schedules import WarmupCosine
from burnish.learn.task import TokenTask
from burnish.nn.attention import Attention, FullAttention
from burnish.nn.forward import head_of, hidden_at
from burnish.nn.precision import Precision, resolve
from burnish.nn.weights import device, open_model, open_tokenizer
from burnish.runtime import Workdir, need

READINGS = "documents.json"
_CHUNK = 512  # positions whose logits are in memory together
_ADAPTATION = LoopConfig(
    num_steps=50,
    row_tokens=8192,  # the longest rows that the base was made for
    rows_per_step=2,
    learning_rate=5e-5,
    schedule=WarmupCosine(warmup_frac=0.1, final_frac=0.1),
    validate_every_steps=50,
)


@dataclass(frozen=True)
class AdaptConfig:
    """Say how to adapt, and on how much to measure.

    Attributes:
        num_held_out: documents that are not trained on.
        seed: draws the documents and the order of rows.
    """

    attention: Attention = field(default_factory=FullAttention)
    loop: LoopConfig = field(default_factory=lambda: _ADAPTATION)
    precision: Precision = "auto"
    num_held_out: int = 40
    seed: int = 0


def adapt(out: Workdir, base: ModelArtifact, data: DatasetArtifact, *, config: AdaptConfig) -> Draft[ReportArtifact]:
    """Train all numbers on long documents, then read held-out ones; their readings go to documents.json.

    Raises:
        RecipeError: there are too few documents of that length.
    """
    torch = need("torch", extra="train")
    held_out, rows = long_rows(base, data, config)
    torch.manual_seed(config.seed)
    precision = resolve(config.precision)
    model = open_model(base.payload, precision="fp32" if precision == "fp16" else precision, sees=config.attention)
    model.requires_grad_(True)
    fitted = fit(model, iter(rows), [held_out[0]], TokenTask(), config.loop, out)
    tokenizer = open_tokenizer(base.payload)
    readings = [read_row(model, tokenizer, row) for row in held_out]
    (out / READINGS).write_text(json.dumps(readings) + "\n", encoding="ascii")
    bits = fmean(reading["bits_per_byte"] for reading in readings)
    evidence = (
        Measurement("bits_per_byte", bits, "bits/byte", len(readings), how="mean over held-out documents"),
        Measurement("train_tokens", fitted.num_tokens, "tokens", 1),
    )
    return Draft(ReportArtifact, evidence, f"{config.loop.num_steps} steps of adaptation with {config.attention}.")


def long_rows(base: ModelArtifact, data: DatasetArtifact, config: AdaptConfig) -> tuple[list[Row], list[Row]]:
    """Cut documents into rows; give the first of each held-out document, and all of the others, by chance.

    Raises:
        RecipeError: there are too few.
    """
    tokenizer, length = open_tokenizer(base.payload), config.loop.row_tokens
    documents = []
    for record in read_kept(data):
        ids = tokenizer(record.text, add_special_tokens=False)["input_ids"]
        rows = [_row(ids[start : start + length]) for start in range(0, len(ids) - length + 1, length)]
        if rows:
            documents.append(rows)
    random.Random(f"{config.seed}/documents").shuffle(documents)
    held_out = [rows[0] for rows in documents[: config.num_held_out]]
    training = [row for rows in documents[config.num_held_out :] for row in rows]
    random.Random(f"{config.seed}/rows").shuffle(training)
    needed = config.loop.num_steps * config.loop.rows_per_step
    if len(held_out) < config.num_held_out or len(training) < needed:
        raise RecipeError(
            f"{data.label} gives {len(held_out)} held-out documents and {len(training)} rows of {length:,} tokens; "
            f"{config.num_held_out} and {needed} are needed. Lower num_held_out, num_steps or row_tokens"
        )
    return held_out, training


def read_row(model: Any, tokenizer: Any, row: Row) -> dict[str, float]:
    """Read one document: bits a byte, and the share of next tokens that the model names rightly."""
    torch = need("torch", extra="train")
    chosen = torch.tensor(row.labels) != IGNORED
    labels = torch.tensor(row.labels)[chosen].to(device())
    nats, right = 0.0, 0
    with torch.inference_mode():
        hidden = hidden_at(model, row.ids, row.positions, chosen)
        for part, wanted in zip(hidden.split(_CHUNK), labels.split(_CHUNK), strict=True):
            logits = head_of(model)(part).float()
            nats += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
            right += int((logits.argmax(-1) == wanted).sum())
    num_bytes = len(tokenizer.decode(row.ids[1:]).encode())
    return {"bits_per_byte": nats / math.log(2) / num_bytes, "accuracy_frac": right / len(labels)}


def _row(ids: Sequence[int]) -> Row:
    length = len(ids)
    return Row(list(ids), list(range(length)), [*ids[1:], IGNORED], [1.0] * (length - 1) + [0.0])
