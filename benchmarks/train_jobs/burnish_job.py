"""burnish's own training step, through the loop that `burnish train run` uses."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from step_reading import ALPHA, LEARNING_RATE, RANK, Clock, Reading, arguments, documents, quiet

from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import Row, Sample, pack
from burnish.learn.schedules import WarmupLinear
from burnish.learn.task import TokenTask
from burnish.nn.compiled import compile_layers
from burnish.nn.varlen import register_varlen
from burnish.nn.weights import open_model
from burnish.runtime.events import EventLog
from burnish.runtime.workdir import fresh
from burnish.train.methods import Full, Lora, prepare


def main() -> None:
    """Run the job."""
    quiet()
    given = arguments(__doc__ or "")
    import torch

    on_gpu = torch.cuda.is_available()
    row_tokens = given.sequence * given.rows
    attention = register_varlen() if on_gpu and given.precision == "bf16" else None
    model = open_model(given.model, precision=given.precision, attention=attention)
    method = Full() if given.mode == "full" else Lora(rank=RANK, alpha=ALPHA)
    model, _ = prepare(model, method, given.model)
    config = LoopConfig(
        num_steps=given.steps, row_tokens=row_tokens, learning_rate=LEARNING_RATE[given.mode],
        schedule=WarmupLinear(0.0, 1.0), snapshot_every_steps=10**6,
    )  # fmt: skip
    if config.should_compile:
        compile_layers(model)
    texts = documents(model.config.vocab_size, given.sequence, given.rows * given.steps)
    samples = [Sample(tuple(ids), (1.0,) * len(ids)) for ids in texts]
    reading = Reading("burnish", given.mode, row_tokens)
    with tempfile.TemporaryDirectory() as folder:
        out = fresh(Path(folder) / "stage", "train", EventLog(Path(folder) / "events.jsonl"))
        rows = pack(samples, row_tokens=row_tokens, seed=0, is_filled=config.should_compile)
        fitted = fit(model, _timed(rows, reading), (), TokenTask(), config, out)
    reading.step_s.append(reading.settings.pop("clock").lap_s())
    reading.losses = [row["loss_nats"] for row in fitted.log]
    reading.grad_norms = [row["grad_norm"] for row in fitted.log]
    reading.settings = {"attention": str(model.config._attn_implementation), "compiled": config.should_compile}
    reading.write(given.out, ("burnish", "torch", "transformers", "peft"))


def _timed(rows: Iterator[Row], reading: Reading) -> Iterator[Row]:
    """Note the time between steps: the loop asks for the next row when a step is done."""
    clock: Any = None
    for row in rows:
        if clock is None:
            clock = reading.settings["clock"] = Clock()
        else:
            reading.step_s.append(clock.lap_s())
        yield row


if __name__ == "__main__":
    main()
