"""T7: does computing activations again, or keeping them in the CPU's memory, save 35 % of a training step's memory?"""

import math
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from burnish.artifacts import Draft, Measurement, ModelArtifact, ReportArtifact
from burnish.claims.claim import Claim, Figure, write_reading
from burnish.errors import BurnishError, RecipeError
from burnish.learn.memory import Memory
from burnish.learn.optimizer import AdamW
from burnish.learn.packing import Sample, pack_once
from burnish.learn.task import TokenTask
from burnish.nn.weights import device, open_model
from burnish.runtime import Run, Workdir, need
from burnish.runtime.hardware import PeakMemory
from burnish.train.base import AssetModel, BaseConfig, take_base

NONE = "none"


@dataclass(frozen=True)
class Way:
    """One way to save memory."""

    name: str
    what: str
    memory: Memory


WAYS = (
    Way(NONE, "nothing", Memory()),
    Way("every_layer", "each layer computed again", Memory(recompute_every=1)),
    Way("every_2nd_layer", "every 2nd layer computed again", Memory(recompute_every=2)),
    Way("offloaded", "activations kept in the CPU's memory", Memory(is_offloaded=True)),
)


@dataclass(frozen=True)
class MemoryConfig:
    """Say how large a step is measured.

    Attributes:
        row_tokens: tokens of a step; 1024 is the loop's default.
        num_steps: optimizer steps a process; the first is not timed. At least 2.
        seed: draws the tokens, which decide no memory.
    """

    row_tokens: int = 1024
    num_steps: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_steps < 2 or self.row_tokens < 2:
            raise RecipeError(f"num_steps is {self.num_steps}, row_tokens {self.row_tokens}; both must be at least 2")


@dataclass(frozen=True)
class Reading:
    """What one way took.

    Attributes:
        peak_bytes: of the process on a CPU, of torch's tensors on a GPU.
        step_s: median of the timed steps: wall time on a GPU, else one core's own time, which other work here leaves
            alone.
        losses: of all steps, in nats.
    """

    peak_bytes: int
    step_s: float
    losses: tuple[float, ...]


def measure_memory(out: Workdir, base: ModelArtifact, *, config: MemoryConfig) -> Draft[ReportArtifact]:
    """Train a few steps in a new process for each way, all parameters with AdamW, and read its peak memory.

    Raises:
        BurnishError: a way changed a loss, so that its memory says nothing.
    """
    place = device()
    ways = [way for way in WAYS if place == "cuda" or not way.memory.is_offloaded]
    readings = {}
    with out.progress("training", total=len(ways), unit="ways") as bar:
        for way in ways:
            readings[way.name] = _read_alone(base.payload, way, config)
            bar.advance(1, way.what)
    _check_losses(readings, place)
    evidence = tuple(measurement for way in ways for measurement in _measured(way, readings, config, place))
    num_parameters = base.measurement("num_parameters").value
    setting = (
        f"{num_parameters / 1e6:.0f} M parameters, all trained with AdamW in {'bf16' if place == 'cuda' else 'fp32'}, one "
        f"row of {config.row_tokens} tokens a step; each way in a process of its own on "
        f"{'one GPU' if place == 'cuda' else 'the CPU'}; seed {config.seed}."
    )
    write_reading(out, CLAIM.id, setting, _notes(readings, place))
    saved = ", ".join(f"{100 * _saved(readings, way):.0f} % with {way.what}" for way in ways if way.name != NONE)
    return Draft(ReportArtifact, evidence, f"Memory of a training step that is saved: {saved}.")


def _read_alone(folder: Path, way: Way, config: MemoryConfig) -> Reading:
    """Read a way in a new process: what one has freed would lower the next one's peak, and what it keeps raise it."""
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            return process.submit(read_way, folder, way.memory, config).result()
    except BrokenProcessPool as error:
        raise BurnishError(
            f"the process that trained with {way.what} was ended from outside, most likely for lack of memory; a step of "
            "SmolLM2-135M takes about 5 GiB here, so free some and give the same command again"
        ) from error


def read_way(folder: Path, memory: Memory, config: MemoryConfig) -> Reading:
    """Train a few steps in this process."""
    torch = need("torch", extra="train")
    is_gpu = device() == "cuda"
    clock = time.perf_counter if is_gpu else time.process_time
    rng = random.Random(config.seed)
    with PeakMemory() as peak, _one_thread():
        model = open_model(folder, precision="bf16" if is_gpu else "fp32").train()
        ids = tuple(rng.randrange(model.config.vocab_size) for _ in range(config.row_tokens))
        rows = pack_once([Sample(ids, (0.0,) + (1.0,) * (len(ids) - 1))], row_tokens=len(ids))
        optimizer = AdamW(dict(model.named_parameters()), weight_decay=0.0)
        losses, times = [], []
        with memory.saving(model):
            for _ in range(config.num_steps):
                start_s = clock()
                losses.append(TokenTask().backward(model, rows, 1.0)["loss_nats"])
                optimizer.step(1e-5)
                if is_gpu:
                    torch.cuda.synchronize()
                times.append(clock() - start_s)
        peak_bytes = torch.cuda.max_memory_allocated() if is_gpu else peak.peak_bytes
    return Reading(peak_bytes, statistics.median(times[1:]), tuple(losses))


@contextmanager
def _one_thread() -> Iterator[None]:
    torch = need("torch", extra="train")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_losses(readings: dict[str, Reading], place: str) -> None:
    """Refuse a way whose losses are others: bit for bit on a CPU; a GPU adds up in an order of its own."""
    tolerance = 1e-2 if place == "cuda" else 0.0
    for name, reading in readings.items():
        for ours, theirs in zip(reading.losses, readings[NONE].losses, strict=True):
            if not math.isclose(ours, theirs, rel_tol=tolerance):
                raise BurnishError(
                    f"{name} gives the loss {ours!r} where {theirs!r} is right; its memory cannot be compared"
                )


def _saved(readings: dict[str, Reading], way: Way) -> float:
    return 1 - readings[way.name].peak_bytes / readings[NONE].peak_bytes


def _measured(way: Way, readings: dict[str, Reading], config: MemoryConfig, place: str) -> tuple[Measurement, ...]:
    reading, count = readings[way.name], config.num_steps
    what = "torch's peak of tensors on the GPU" if place == "cuda" else "peak resident memory of the process"
    clock = "wall time" if place == "cuda" else "time of one core"
    timed = f"{clock}, median over {count - 1} after the first"
    own = (
        Measurement(f"peak_{way.name}_bytes", reading.peak_bytes, "bytes", count, how=what),
        Measurement(f"step_{way.name}_s", reading.step_s, "s", count - 1, how=timed),
    )
    if way.name == NONE:
        return own
    slower = reading.step_s / readings[NONE].step_s
    return (
        Measurement(_name(way), _saved(readings, way), "1", 1, how=f"1 - peak over the peak with none; {what}"),
        *own,
        Measurement(
            f"time_{way.name}_ratio", slower, "1", count - 1, how=f"seconds a step over those with none; {timed}"
        ),
    )


def _notes(readings: dict[str, Reading], place: str) -> tuple[str, ...]:
    cost = ", ".join(
        f"{reading.step_s / readings[NONE].step_s:.2f}× with {name.replace('_', ' ')}"
        for name, reading in readings.items()
        if name != NONE
    )
    peaks = ", ".join(f"{name.replace('_', ' ')} {r.peak_bytes / 2**30:.2f} GiB" for name, r in readings.items())
    elsewhere = () if place == "cuda" else ("Keeping activations in the CPU's memory can be measured on a GPU alone.",)
    return (
        "The guides name no model, batch or baseline. Weights, gradients and moments stay, so the share saved grows with "
        "the tokens of a step and falls with the parameters.",
        f"Peaks: {peaks}.",
        f"The price in time of a step: {cost}. Losses are the same.",
        *elsewhere,
    )


def _name(way: Way) -> str:
    return f"memory_saved_{way.name}_frac"


def _measure(run: Run, seed: int) -> ReportArtifact:
    base = run(take_base, config=BaseConfig(AssetModel()), label="T7 base")
    return run(measure_memory, base, config=MemoryConfig(seed=seed), label="T7")


CLAIM = Claim(
    id="T7",
    feature="Activation checkpointing and offload to CPU",
    published="−35 % memory",
    method="Peak memory of training steps of SmolLM2-135M, all parameters, with and without computing layers again and "
    "offloading, in a process each; losses must be the same.",
    figures=tuple(Figure(_name(way), f"peak memory, {way.what}", 0.35, "drop") for way in WAYS if way.name != NONE),
    stage=measure_memory,
    measure=_measure,
)
