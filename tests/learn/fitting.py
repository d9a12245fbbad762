"""A small model trained by the loop alone, for tests that break it: no store, no records."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from burnish.learn.fitted import Fitted
from burnish.learn.loop import LoopConfig, fit
from burnish.learn.packing import Row, Sample, pack, pack_once
from burnish.learn.task import Measures, TokenTask
from burnish.nn.weights import open_model
from burnish.runtime import Workdir
from burnish.runtime.events import Event, EventLog, Warned
from burnish.runtime.workdir import fresh
from burnish.train.methods import Lora, Method, prepare


class Killed(BaseException):
    """What a killed process is to the code it was in."""


@dataclass
class Fitting:
    """One training run in a folder; `go` again resumes."""

    root: Path
    model_folder: Path
    method: Method = field(default_factory=lambda: Lora(rank=4, alpha=8, dropout=0.2))
    precision: str = "fp32"
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            num_steps=6, row_tokens=64, learning_rate=0.01, snapshot_every_steps=2, validate_every_steps=3
        )
    )
    events: list[Event] = field(default_factory=list)

    @property
    def out(self) -> Workdir:
        return Workdir(self.root / "work", "fit", EventLog(self.root / "events.jsonl", (self.events.append,)))

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    def go(self, task: Any = None, rows: list[Row] | None = None) -> tuple[Fitted, dict[str, Any]]:
        """Train; give the log and all weights."""
        with one_thread():
            return self._go(task or TokenTask(), rows)

    def _go(self, task: Any, rows: list[Row] | None) -> tuple[Fitted, dict[str, Any]]:
        self.root.mkdir(exist_ok=True)
        fresh(self.root / "work", "fit", self.out.events)
        torch.manual_seed(0)
        model = open_model(self.model_folder, precision=self.precision)
        model, groups = prepare(model, self.method, self.model_folder)
        items = pack(samples(), row_tokens=64, seed=0) if rows is None else iter(rows)
        validation = pack_once(samples()[:3], row_tokens=64)
        fitted = fit(model, items, validation, task, self.loop, self.out, groups)
        return fitted, {name: p.detach().clone() for name, p in model.named_parameters()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: a step of the tiny model takes longer to share out than to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def samples() -> list[Sample]:
    rng = random.Random(0)
    lengths = [rng.randint(10, 40) for _ in range(9)]
    return [Sample(tuple(rng.randrange(320) for _ in range(n)), (0.0,) + (1.0,) * (n - 1)) for n in lengths]


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class DiesAt:
    """Learn tokens, and be killed in the n-th backward pass, the gradients made and no step taken."""

    def __init__(self, number: int) -> None:
        self.task, self.left = TokenTask(), number

    def num_tokens(self, item: Row) -> int:
        return self.task.num_tokens(item)

    def backward(self, model: Any, batch: Sequence[Row], scale: float) -> Measures:
        measured = self.task.backward(model, batch, scale)
        self.left -= 1
        if self.left == 0:
            raise Killed
        return measured

    def validate(self, model: Any, items: Sequence[Row]) -> Measures:
        return self.task.validate(model, items)

    def state(self) -> dict[str, Any]:
        return self.task.state()

    def restore(self, state: dict[str, Any]) -> None:
        self.task.restore(state)
