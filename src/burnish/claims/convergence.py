"""Convergence: how many steps a small language model needs on a dataset to read held-out text as well as on another.

The model reads bytes. It is trained on general text once, and tuned on either dataset from there, at a constant rate,
so that no schedule favours either side; every step reads the same number of bytes, no byte of a dataset twice.

Legend: T bytes of a row.
"""

import json
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from statistics import fmean
from typing import Any

from burnish.artifacts import DatasetArtifact, Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.gate_set import HELD_OUT
from burnish.data.records import read_kept
from burnish.errors import BurnishError, RecipeError
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import IGNORED, Row
from burnish.learn.schedules import WarmupCosine
from burnish.learn.task import TokenTask, mean_loss
from burnish.nn.weights import open_model, save_model
from burnish.runtime import Workdir, need

CURVE = "curve.json"
_NUM_LOSSES = 10  # at which steps are counted
_END = 256  # the sign between texts, after the 256 bytes
_START = LoopConfig(
    num_steps=400,
    row_tokens=256,
    rows_per_step=4,
    learning_rate=3e-3,
    schedule=WarmupCosine(warmup_frac=0.05, final_frac=0.1),
    validate_every_steps=400,
)
_TUNING = LoopConfig(
    num_steps=120,
    row_tokens=256,
    rows_per_step=4,
    learning_rate=5e-4,
    schedule=WarmupCosine(warmup_frac=0.05, final_frac=1.0),
    validate_every_steps=10,
)


@dataclass(frozen=True)
class ByteModelConfig:
    """Say what learns to read, and for how long.

    Attributes:
        d_model: width of a Llama whose other sizes follow.
        seed: draws the weights that it starts from and the order of the texts.
    """

    d_model: int = 128
    num_layers: int = 2
    num_heads: int = 4
    loop: LoopConfig = field(default_factory=lambda: _START)
    seed: int = 0


@dataclass(frozen=True)
class CurveConfig:
    """Say how long to tune.

    Attributes:
        validation_rows: of held-out text, the same for every curve.
        seed: draws the order of the texts.
    """

    loop: LoopConfig = field(default_factory=lambda: _TUNING)
    validation_rows: int = 40
    seed: int = 0


def train_byte_model(out: Workdir, data: DatasetArtifact, *, config: ByteModelConfig) -> Draft[ModelArtifact]:
    """Train a byte model from chance on general text.

    Raises:
        RecipeError: the dataset has too few bytes for so many steps.
    """
    model = _model(config)
    with one_core():
        fitted = fit(model, _rows_for(data, config.loop, config.seed), (), TokenTask(), config.loop, out)
    save_model(model, out.payload)
    loss = Measurement(
        "train_loss_nats", fitted.last("loss_nats"), "nats", config.loop.num_steps, how="a byte, at the last step"
    )
    return Draft(ModelArtifact, (loss,), f"A byte model after {config.loop.num_steps} steps of general text.")


def train_curve(
    out: Workdir, start: ModelArtifact, data: DatasetArtifact, held_out: DatasetArtifact, *, config: CurveConfig
) -> Draft[ReportArtifact]:
    """Tune the byte model on `data` and write the loss on held-out documents, step by step, to curve.json.

    Raises:
        RecipeError: the dataset has too few bytes for so many steps.
    """
    rows = _rows_for(data, config.loop, config.seed)
    validation = list(rows_of(read_held_out(held_out), config.loop.row_tokens, 0))[: config.validation_rows]
    model = open_model(start.payload, precision="fp32")
    with one_core():
        first = mean_loss(model, validation)
        fitted = fit(model, rows, validation, TokenTask(), config.loop, out)
    curve = [[0, first]]
    curve += [[row["step"], row["validation_loss_nats"]] for row in fitted.log if "validation_loss_nats" in row]
    (out / CURVE).write_text(json.dumps(curve) + "\n", encoding="ascii")
    loss = Measurement(
        "validation_loss_nats", curve[-1][1], "nats", len(validation), how=f"a byte, after {curve[-1][0]:.0f} steps"
    )
    return Draft(ReportArtifact, (loss,), f"A byte model's loss over {config.loop.num_steps} steps.")


def read_held_out(planted: DatasetArtifact) -> list[str]:
    """Read the documents on which the loss is measured."""
    lines = (planted.payload / HELD_OUT).read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def rows_of(texts: Sequence[str], length: int, seed: int) -> Iterator[Row]:
    """Lay the texts end to end in an order by chance, and cut that into rows of equal length; what is left is dropped."""
    order = random.Random(f"{seed}/order").sample(range(len(texts)), len(texts))
    stream = chain.from_iterable((*texts[place].encode(), _END) for place in order)
    ids: list[int] = []
    for token in stream:
        ids.append(token)
        if len(ids) == length:
            yield Row(ids, list(range(length)), [*ids[1:], IGNORED], [1.0] * (length - 1) + [0.0])
            ids = []


def steps_to(curve: Sequence[tuple[float, float]], loss: float) -> float | None:
    """Find the step at which a curve first comes down to a loss, by straight lines between its points."""
    if curve[0][1] <= loss:
        return float(curve[0][0])
    for (step, above), (later, below) in pairwise(curve):
        if below <= loss:
            return step + (later - step) * (above - loss) / (above - below)
    return None


def speed_up(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> float:
    """Say how many times fewer steps `after` needs than `before` to the same loss.

    Both are smoothed, and the ratio is a geometric mean over the lowest third of the losses that both reach: a ratio at
    one loss alone hangs on the noise of a single reading.

    Raises:
        BurnishError: a model learnt nothing, so that there is no loss that both reach.
    """
    before, after = smoothed(before), smoothed(after)
    lowest = max(min(loss for _, loss in each) for each in (before, after))
    highest = min(before[0][1], after[0][1])
    logs = []
    for number in range(_NUM_LOSSES if lowest < highest else 0):
        target = lowest + (highest - lowest) * number / (3 * _NUM_LOSSES)
        slow, fast = steps_to(before, target), steps_to(after, target)
        if slow and fast:
            logs.append(math.log(slow / fast))
    if not logs:
        raise BurnishError("one of the curves does not fall below the other's start; give num_steps more")
    return math.exp(fmean(logs))


def smoothed(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Put the mean of each reading and its two neighbours in its place; the ends have one neighbour."""
    return [
        (step, fmean(loss for _, loss in curve[max(0, place - 1) : place + 2])) for place, (step, _) in enumerate(curve)
    ]


def _rows_for(data: DatasetArtifact, loop: LoopConfig, seed: int) -> Iterator[Row]:
    rows = list(rows_of([record.text for record in read_kept(data)], loop.row_tokens, seed))
    needed = loop.num_steps * loop.rows_per_step
    if len(rows) < needed:
        raise RecipeError(f"{data.label} fills {len(rows)} rows of {loop.row_tokens} bytes; {needed} are needed")
    return iter(rows)


@contextmanager
def one_core() -> Iterator[None]:
    """Train on one core: so small a model is faster there than on several that wait for each other."""
    torch = need("torch", extra="train")
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _model(config: ByteModelConfig) -> Any:
    torch, transformers = need("torch", extra="train"), need("transformers", extra="train")
    torch.manual_seed(config.seed)
    shape = transformers.LlamaConfig(
        vocab_size=_END + 1,
        hidden_size=config.d_model,
        intermediate_size=config.d_model * 8 // 3,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_heads,
        max_position_embeddings=config.loop.row_tokens,
        tie_word_embeddings=True,
        bos_token_id=_END,
        eos_token_id=_END,
    )
    return transformers.LlamaForCausalLM(shape)
