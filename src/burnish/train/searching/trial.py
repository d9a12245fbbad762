"""A trial: a short training whose validation losses are told as they come, ended early where it promises nothing."""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from burnish.errors import Diverged
from burnish.runtime import Workdir, need
from burnish.runtime.events import Event, EventLog, Metrics, Progress
from burnish.runtime.workdir import fresh, snapshots_of
from burnish.train.learning import Learning, stage_of
from burnish.train.searching.job import Job, Running
from burnish.train.searching.space import with_point

LOSS = "validation_loss_nats"
Say = Callable[[str], None]


class _Ended(Exception):  # the end of a trial is no error
    """Leave a training from within: its last validation loss is known, and nobody needs the weights."""

    def __init__(self, loss_nats: float) -> None:
        super().__init__()
        self.loss_nats = loss_nats


def attempt(job: Job, running: Running, study: Any, trial: Any, say: Say) -> None:
    """Train with a trial's values and tell the journal how it went.

    Raises:
        BurnishError: something other than the values is wrong, such as a label that the task does not have.
    """
    optuna = need("optuna", extra="search")
    torch = need("torch", extra="train")
    state = optuna.trial.TrialState
    begun_s = time.monotonic()
    try:
        loss_nats = _train(job, running, trial, say)
    except optuna.TrialPruned as pruned:
        result: dict[str, Any] = {"state": state.PRUNED}
        reason = str(pruned)
    except (Diverged, torch.OutOfMemoryError) as error:
        result, reason = {"state": state.FAIL}, str(error).split(";")[0].splitlines()[0]
    else:
        result, reason = {"values": loss_nats}, ""
    trial.set_user_attr("reason", reason)
    trial.set_user_attr("seconds", time.monotonic() - begun_s)
    study.tell(trial, **result)


def trial_config(job: Job, running: Running, params: dict[str, Any]) -> Learning:
    """Give the configuration of a trial: equal rows for all, so that a larger batch has fewer steps."""
    train = with_point(job.train, {**running.fixed, **params})
    num_steps = max(1, job.trial_rows // train.loop.rows_per_step)
    loop = replace(
        train.loop,
        num_steps=num_steps,
        validate_every_steps=math.ceil(num_steps / job.num_validations),
        snapshot_every_steps=num_steps + 1,  # a trial that is cut off begins anew
        on_broken_step="stop",
    )
    return replace(train, loop=loop)


def _train(job: Job, running: Running, trial: Any, say: Say) -> float:
    config = trial_config(job, running, trial.params)
    root = job.folder / f"{running.stage.name}_{trial.number}"
    root.mkdir(parents=True, exist_ok=True)
    watch = _Watch(trial, config.loop.num_steps, running, say)
    out: Workdir = fresh(root, "trial", EventLog(root / "events.jsonl", (watch,)))
    try:
        stage_of(config)(out, job.base, job.data, config=config)
    except _Ended as end:
        return end.loss_nats
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(snapshots_of(root), ignore_errors=True)
    raise AssertionError("a training ends with a validation")


@dataclass
class _Watch:
    """Read a training's events and end it where that is due."""

    trial: Any
    num_steps: int
    running: Running
    say: Say

    def __call__(self, event: Event) -> None:
        match event:
            case Metrics(step=step, values=values) if LOSS in values:
                self._judge(step, values[LOSS])
            case Metrics() if self.running.is_over:
                self._prune("the time for the stage was up")
            case Progress(task="training", done=done, note=note):
                self.say(f"trial {self.trial.number}, step {done:.0f} of {self.num_steps}, {note}")

    def _judge(self, step: int, loss_nats: float) -> None:
        if not math.isfinite(loss_nats):
            raise Diverged(f"the validation loss at step {step} is {loss_nats}")
        self.trial.report(loss_nats, round(100 * step / self.num_steps))
        if step == self.num_steps:
            raise _Ended(loss_nats)
        if self.trial.should_prune():
            self._prune(f"worse than others at {100 * step / self.num_steps:.0f} % of its rows")

    def _prune(self, reason: str) -> None:
        raise need("optuna", extra="search").TrialPruned(reason)
