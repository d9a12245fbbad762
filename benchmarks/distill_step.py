"""Distillation step side by side: ours and the loop that one would write first, same models, rows and optimizer, in turn.

    python benchmarks/distill_step.py --model FOLDER --out benchmarks/results/distill_step_HARDWARE_YYYYMM.json

Teacher and student are the model in FOLDER (Hugging Face layout), the student moved a little by noise, or with fewer layers.
The naive loop is eager transformers with whole float32 logits, torch's AdamW and a loss read at every row. `qat` is our
loop with the student's linear layers on 4-bit grids. Rounds are interleaved; the median step of each is what counts, after
steps in which code is compiled. First losses of `ours` and `naive` must agree, or nothing was measured. Between its
rounds a mode's models wait in the host's memory, so that no other mode's peak holds them.
"""

import argparse
import datetime
import gc
import json
import shlex
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from burnish.compress.bits import Uniform
from burnish.compress.grids import IntGrid
from burnish.compress.pair import open_reader
from burnish.compress.qat import QatConfig, put_on_grids
from burnish.compress.student import StudentConfig, keep_layers
from burnish.learn.ahead import made_ahead
from burnish.learn.distillation import DistillTask
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import Row, Sample, pack
from burnish.learn.schedules import WarmupLinear
from burnish.nn.compiled import compile_layers
from burnish.nn.divergence_loss import Matching
from burnish.nn.weights import device, open_model
from burnish.runtime import Workdir
from burnish.runtime.events import EventLog, Metrics
from burnish.runtime.hardware import fingerprint

MODES = ("ours", "naive", "qat")
TEMPERATURE = 2.0


@dataclass
class Reading:
    """Steps of one mode."""

    mode: str
    step_s: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak_memory_bytes: int = 0
    error: str = ""


def main() -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--modes", default="ours,naive")
    parser.add_argument("--row-tokens", type=int, default=16384)
    parser.add_argument("--rows", type=int, default=4, help="rows of a step (default: 4)")
    parser.add_argument("--document-tokens", type=int, default=2048, help="several lie in a row")
    parser.add_argument("--layers", type=int, default=0, help="of the student; 0 keeps all (default)")
    parser.add_argument("--steps", type=int, default=8, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--eager", action="store_true", help="do not compile ours")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    readings = {mode: Reading(mode) for mode in given.modes.split(",")}
    players = {mode: player(mode, given) for mode in readings}
    for _ in range(given.rounds):
        for mode, reading in readings.items():
            if not reading.error:
                play(players[mode], reading)
                write(given, readings)
    print(given.out.with_suffix(".md").read_text(encoding="utf-8"))
    return 0


def player(mode: str, given: argparse.Namespace) -> Any:
    """Make the models of a mode, in the host's memory; give what plays a round."""
    import torch

    torch.manual_seed(0)
    ours = mode != "naive"
    opened = open_reader if ours else open_model
    teacher, student = (opened(given.model, precision=given.precision) for _ in range(2))
    teacher.requires_grad_(False)
    if given.layers:
        keep_layers(student, StudentConfig(given.layers))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in student.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter += 0.05 * parameter.std() * noise
    if mode == "qat":
        put_on_grids(student, QatConfig(bits=Uniform(IntGrid(4, 32))))
    if ours and not given.eager and torch.cuda.is_available():
        compile_layers(student)
        compile_layers(teacher)
    return (OurLoop if ours else NaiveLoop)(teacher.cpu(), student.cpu(), given)


def rows_of(given: argparse.Namespace, vocab: int) -> Any:
    """Pack documents of one length; the same for all."""
    import torch

    base = torch.randint(0, min(2000, vocab), (4000,), generator=torch.Generator().manual_seed(1))
    starts = torch.randint(0, 4000, (256,), generator=torch.Generator().manual_seed(2)).tolist()
    samples = [
        Sample(
            tuple(base[(torch.arange(given.document_tokens) * 7 + at * 13) % 4000].tolist()),
            (1.0,) * given.document_tokens,
        )
        for at in starts
    ]
    return made_ahead(pack(samples, row_tokens=given.row_tokens, seed=0, is_filled=True), 2 * given.rows)


class OurLoop:
    """Our loop, our task; a round is a training of its own."""

    def __init__(self, teacher: Any, student: Any, given: argparse.Namespace) -> None:
        self.teacher, self.student, self.given = teacher, student, given

    def play(self, reading: Reading) -> None:
        given, seen = self.given, []
        loop = LoopConfig(
            num_steps=given.steps, row_tokens=given.row_tokens, rows_per_step=given.rows, learning_rate=1e-5,
            schedule=WarmupLinear(0.0, 1.0), snapshot_every_steps=10**9, validate_every_steps=10**9,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "work"
            (root / "payload").mkdir(parents=True)
            out = Workdir(root, "step", EventLog(Path(folder) / "events.jsonl", (seen.append,)))
            items = rows_of(given, self.student.config.vocab_size)
            fit(self.student, items, [], DistillTask(self.teacher, Matching(temperature=TEMPERATURE)), loop, out)
        steps = [event.values for event in seen if isinstance(event, Metrics)]
        reading.step_s += [values["step_s"] for values in steps]
        reading.losses += [values["loss_nats"] for values in steps]


class NaiveLoop:
    """What one would write first."""

    def __init__(self, teacher: Any, student: Any, given: argparse.Namespace) -> None:
        self.teacher, self.student, self.given = teacher, student.train(), given

    def play(self, reading: Reading) -> None:
        import torch

        given = self.given
        optimizer = torch.optim.AdamW(self.student.parameters(), lr=1e-5, betas=(0.9, 0.999), weight_decay=0.0)
        items = rows_of(given, self.student.config.vocab_size)
        for _ in range(given.steps):
            start_s = time.perf_counter()
            total = 0.0
            for row in islice(items, given.rows):
                loss = self.loss(row) / given.rows
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            reading.step_s.append(time.perf_counter() - start_s)
            reading.losses.append(total)

    def loss(self, row: Row) -> Any:
        """One document a batch entry, as transformers wants it."""
        import torch

        place, size = self.student.device, self.given.document_tokens
        ids = torch.tensor(row.ids[: row.num_tokens], device=place).view(-1, size)
        with torch.no_grad():
            theirs = self.teacher(input_ids=ids).logits[:, :-1].float() / TEMPERATURE
        mine = self.student(input_ids=ids).logits[:, :-1].float() / TEMPERATURE
        functional = torch.nn.functional
        kl = functional.kl_div(mine.log_softmax(-1), theirs.softmax(-1), reduction="none").sum(-1)
        return kl.mean() * TEMPERATURE**2


def play(loop: Any, reading: Reading) -> None:
    """Play a round, its models alone on the device; what breaks is noted, and the others go on."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        for model in (loop.teacher, loop.student):
            model.to(device())
        loop.play(reading)
    except Exception as error:  # noqa: BLE001  # a mode that does not fit says so
        reading.error = f"{type(error).__name__}: {error}"
    if torch.cuda.is_available():
        reading.peak_memory_bytes = max(reading.peak_memory_bytes, torch.cuda.max_memory_allocated())
    loop.student.zero_grad()
    for model in (loop.teacher, loop.student):
        model.cpu()


def write(given: argparse.Namespace, readings: dict[str, Reading]) -> None:
    """Write JSON and a table of what is there so far."""
    tokens = given.rows * given.row_tokens
    rows = [row_of(reading, tokens, given.steps) for reading in readings.values() if reading.step_s or reading.error]
    body = {
        "benchmark": "distill_step",
        "command": shlex.join(["python", "benchmarks/distill_step.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "tokens_per_step": tokens,
        "rows": rows,
        "readings": [reading.__dict__ for reading in readings.values()],
        "fingerprint": fingerprint(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    lines = ["| mode | tokens/s | step ms, median | first loss | last loss | peak GiB |", "|---|---|---|---|---|---|"]
    lines += [line_of(row) for row in rows]
    given.out.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def line_of(row: dict[str, Any]) -> str:
    """Write a row of the table."""
    if row["error"]:
        return f"| {row['mode']} | {row['error'][:80]} | | | | |"
    return (
        f"| {row['mode']} | {row['tokens_per_s']:,.0f} | {1000 * row['step_s']:,.1f} | {row['first_loss']:.4f} | "
        f"{row['last_loss']:.4f} | {row['peak_memory_bytes'] / 2**30:.1f} |"
    )


def row_of(reading: Reading, tokens: int, steps: int) -> dict[str, Any]:
    """Sum up a mode: the median of all steps but the first round's, where there are more rounds."""
    counted = reading.step_s[steps:] or reading.step_s[-max(1, steps // 2) :] or [float("nan")]
    median_s = statistics.median(counted)
    losses = reading.losses or [float("nan")]
    return {
        "mode": reading.mode,
        "tokens_per_s": tokens / median_s,
        "step_s": median_s,
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "peak_memory_bytes": reading.peak_memory_bytes,
        "error": reading.error,
    }


if __name__ == "__main__":
    sys.exit(main())
