"""The training loop: items in, updated parameters out, resumable to the bit on one device."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from burnish.artifacts.digest import HOW
from burnish.errors import RecipeError
from burnish.learn.broken import BrokenSteps, OnBrokenStep
from burnish.learn.clipping import Clipper, Clipping, FixedNorm, open_clipper
from burnish.learn.fitted import Fitted
from burnish.learn.groups import Group, rates_of
from burnish.learn.live import Live
from burnish.learn.memory import Memory
from burnish.learn.optimizer import AdamW
from burnish.learn.precision import LossScale
from burnish.learn.schedules import Schedule, WarmupCosine
from burnish.learn.snapshots import SnapshotWriter, load_snapshot
from burnish.learn.task import Measures, Task
from burnish.nn.weights import device
from burnish.runtime import Workdir, need

T = TypeVar("T")

_CHANGED_BY_UPDATES = ("parameters", "optimizer")  # of a snapshot's entries


@dataclass(frozen=True)
class LoopConfig:
    """Say how long and how fast to train.

    Attributes:
        num_steps: optimizer steps.
        row_tokens: length of a packed row; one row is one micro batch.
        rows_per_step: rows whose gradients are summed before a step (gradient accumulation).
        learning_rate: peak; 2e-4 is the common choice for LoRA (Dettmers et al. 2023, arXiv 2305.14314, table 9).
        clipping: by how much gradients are scaled down.
        snapshot_every_steps: resume loses at most this many steps; a snapshot is written while training goes on.
        validate_every_steps: validation loss is measured so often, and at the end.
        on_broken_step: what to do when loss or gradient is not finite: stop, or leave the step out and go on; 20 such
            steps in a row stop either way. The batch is kept, and goes to the artifact's `broken/`. No part of the
            lineage: "stop" makes no artifact then, so that a run which stopped may go on with "skip".
        memory: what is computed again or kept elsewhere, so that less memory is needed.
        is_compiled: compile the decoder's layers (torch.compile); null compiles on a GPU.
    """

    num_steps: int = 60
    row_tokens: int = 1024
    rows_per_step: int = 1
    learning_rate: float = 2e-4
    weight_decay: float = 0.0
    clipping: Clipping = field(default_factory=FixedNorm)
    schedule: Schedule = field(default_factory=WarmupCosine)
    snapshot_every_steps: int = field(default=500, metadata=HOW)
    validate_every_steps: int = 20
    on_broken_step: OnBrokenStep = field(default="stop", metadata=HOW)
    memory: Memory = field(default_factory=Memory)
    is_compiled: bool | None = None

    def __post_init__(self) -> None:
        for name in ("num_steps", "row_tokens", "rows_per_step", "snapshot_every_steps", "validate_every_steps"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise RecipeError(
                f"learning_rate is {self.learning_rate}, weight_decay {self.weight_decay}; the first must be above 0, "
                "the second not below"
            )

    @property
    def should_compile(self) -> bool:
        """Tell whether the layers are compiled, on this machine."""
        return device() == "cuda" if self.is_compiled is None else self.is_compiled


def fit(
    model: Any,
    items: Iterator[T],
    validation: Sequence[T],
    task: Task[T],
    config: LoopConfig,
    out: Workdir,
    groups: Sequence[Group] = (),
) -> Fitted:
    """Train the parameters that require gradients.

    Args:
        model: in training precision. Chance in it and in the task comes from torch's generators, which snapshots keep.
        items: endless and the same at every call, so that a resumed run can skip what was used.
        out: snapshots go to `out.snapshots`; the newest good one there is resumed from.
        groups: of parameters that train later than others or at another rate; none: all alike.

    Raises:
        BurnishError: a loss or gradient is not finite and the recipe says stop, or it stays so; or a snapshot cannot
            be written. The last snapshot is kept.
    """
    run = _Fit(model, task, config, out, groups)
    first_step = run.resume()
    stream = islice(items, first_step * config.rows_per_step, None)
    model.train()
    progress = out.progress("training", total=config.num_steps, unit="steps")
    with progress as bar, config.memory.saving(model), run.writer:
        bar.advance(first_step)
        for step in range(first_step, config.num_steps):
            note = run.step(step, list(islice(stream, config.rows_per_step)))
            bar.advance(1, note)
            if run.should_validate(step + 1, validation):
                bar.advance(0, f"{note} · validating")
            run.between_steps(step + 1, validation)
    model.eval()
    run.broken.hand_over()
    return run.fitted


class _Fit(Generic[T]):
    """One run of the loop, from its parameters and state to the next step."""

    def __init__(self, model: Any, task: Task[T], config: LoopConfig, out: Workdir, groups: Sequence[Group]) -> None:
        torch = need("torch", extra="train")
        self.model, self.task, self.config, self.out, self.groups = model, task, config, out, groups
        self.trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.optimizer = AdamW(self.trainable, weight_decay=config.weight_decay, rates=rates_of(groups))
        self.clipper: Clipper = open_clipper(config.clipping)
        self.scale = LossScale(is_on=any(p.dtype == torch.float16 for p in model.parameters()))
        self.fitted = Fitted([], 0, 0.0)
        self.live = Live(model)
        self.writer = SnapshotWriter(out.snapshots, out.warn)
        self.broken = BrokenSteps(out, config.on_broken_step, config.num_steps)

    def step(self, step: int, batch: list[T]) -> str:
        """Take one optimizer step, or leave it out where the gradient is not finite; say how it went."""
        config, fitted = self.config, self.fitted
        start_s = time.perf_counter()
        self.writer.check()
        self._thaw(step)
        lr = config.learning_rate * config.schedule.factor(step, config.num_steps)
        measured = self.task.backward(self.model, batch, self.scale.value)
        norm = self._grad_norm() / self.scale.value
        is_finite = all(map(math.isfinite, (norm, *measured.values())))
        measured |= {"grad_norm": norm}
        if is_finite:
            self.writer.before_update()
            self.optimizer.step(lr, self.clipper.factor(norm) / self.scale.value)
        else:
            measured = self._leave_out(step + 1, batch, measured)
        self.scale.update(is_finite=is_finite)
        num_tokens = sum(self.task.num_tokens(item) for item in batch)
        fitted.num_tokens += num_tokens
        seconds = time.perf_counter() - start_s
        fitted.seconds += seconds
        total = num_tokens + (fitted.log[-1]["tokens"] if fitted.log else 0)
        fitted.log.append({"step": step + 1, **measured, "lr": lr, "tokens": total})
        phase = sum(step >= group.from_step for group in self.groups)
        shown = self.live.step(tokens=num_tokens, tokens_total=total, seconds=seconds, phase=phase)
        self.out.metrics(step + 1, **measured, lr=lr, **shown)
        return self.live.note(measured, lr, shown)

    def should_validate(self, step: int, validation: Sequence[T]) -> bool:
        """Tell whether validation is due after a step, counted from 1: at the end and so often in between."""
        is_due = step == self.config.num_steps or step % self.config.validate_every_steps == 0
        return bool(validation) and is_due

    def between_steps(self, step: int, validation: Sequence[T]) -> None:
        """Validate and take a snapshot where it is time."""
        config, fitted = self.config, self.fitted
        if self.should_validate(step, validation):
            found = self.task.validate(self.model, validation)
            fitted.log.append({"step": step, **found, "tokens": fitted.log[-1]["tokens"]})
            self.out.metrics(step, **found)
        if step < config.num_steps and step % config.snapshot_every_steps == 0:
            self.writer.save(self._state(step), until_update=_CHANGED_BY_UPDATES)
            self.live.snapshot_taken()

    def resume(self) -> int:
        """Take back the newest good snapshot; give the step to go on with."""
        torch = need("torch", extra="train")
        state = load_snapshot(self.out.snapshots, self.out.warn)
        if state is None:
            return 0
        with torch.no_grad():
            for name, parameter in self.trainable.items():
                parameter.copy_(state["parameters"][name])
            for name, buffer in _statistics_of(self.model).items():
                buffer.copy_(state["statistics"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.clipper.restore(state["clipper"])
        self.task.restore(state["task"])
        self.scale.value, self.scale.good_steps = state["scale"]
        torch.set_rng_state(state["rng"])
        if state["gpu_rng"] is not None:
            torch.cuda.set_rng_state(state["gpu_rng"])
        self.fitted.log = list(state["log"])
        self.broken.steps = list(state["broken"])
        step: int = state["step"]
        self.out.warn(f"resumed from the snapshot of step {step}")
        return step

    def _state(self, step: int) -> dict[str, Any]:
        torch = need("torch", extra="train")
        return {
            "step": step,
            "parameters": {name: parameter.detach() for name, parameter in self.trainable.items()},
            "statistics": _statistics_of(self.model),
            "optimizer": self.optimizer.state_dict(),
            "clipper": self.clipper.state(),
            "task": self.task.state(),
            "scale": (self.scale.value, self.scale.good_steps),
            "rng": torch.get_rng_state(),
            "gpu_rng": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "log": self.fitted.log,
            "broken": self.broken.steps,
        }

    def _thaw(self, step: int) -> None:
        for group in self.groups:
            for name in group.names:
                self.trainable[name].requires_grad_(step >= group.from_step)

    def _grad_norm(self) -> float:
        torch = need("torch", extra="train")
        gradients = [p.grad for p in self.trainable.values() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0

    def _leave_out(self, step: int, batch: list[T], measured: Measures) -> Measures:
        """Forget a gradient that is not finite; give what the log keeps of the step."""
        for parameter in self.trainable.values():
            parameter.grad = None
        finite = {name: value for name, value in measured.items() if math.isfinite(value)}
        if self.scale.is_on and "loss_nats" in finite and self.scale.value > 1:
            return finite  # float16 overflowed, as it does now and then; the scale goes down and nothing is wrong
        self.broken.leave_out(step, batch, measured)
        return finite | {"skipped": 1.0}


def _statistics_of(model: Any) -> dict[str, Any]:
    """Give the running means and variances that training changes beside the parameters."""
    return {
        f"{name}.{key}": buffer
        for name, module in model.named_modules()
        if getattr(module, "track_running_stats", False)
        for key, buffer in module.named_buffers(recurse=False)
    }
