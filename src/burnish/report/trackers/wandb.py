"""Weights & Biases as a reader of events: offline, unless the user has set WANDB_MODE."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from burnish.errors import BurnishError
from burnish.runtime import need
from burnish.runtime.events import Event, GateChecked, Metrics, RunFinished, RunStarted, StageCached, StageSealed

PROJECT = "burnish"


class WandbReader:
    """Write a run's recipe as config, its metrics as history, its evidence and digests as summary.

    Args:
        folder: where `wandb/offline-run-*` is written; `wandb sync` sends it, when the user says so.

    Raises:
        MissingExtra: wandb is not installed.
    """

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self.place = str(folder / "wandb")
        self._folder = folder
        self._mode = os.environ.get("WANDB_MODE", "offline")
        self._wandb: Any = need("wandb", extra="wandb")
        self._run: Any = None

    def __call__(self, event: Event, time_unix_s: float | None = None) -> None:
        """Read one event; W&B keeps the time of reading, so `time_unix_s` is recorded with the metrics.

        Raises:
            BurnishError: W&B cannot write, or cannot be reached in the mode that was set.
        """
        with self._reachable():
            self._read(event, time_unix_s)

    def close(self) -> None:
        """End a run whose events end without saying how it ended: it was killed."""
        if self._run is not None:
            with self._reachable():
                self._finish(137)

    def _read(self, event: Event, time_unix_s: float | None) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case Metrics(stage=stage, step=step, values=values):
                when = {} if time_unix_s is None else {"time_unix_s": time_unix_s}
                named = {f"{stage}/{name}": value for name, value in values.items()}
                self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
                self._run.log({**named, f"{stage}/step": step, **when})
            case StageSealed(label=label, digest=digest, evidence=evidence):
                made = {"made_s": event.seconds, "made_peak_memory_bytes": event.peak_memory_bytes}
                self._run.summary.update({f"evidence/{label}/{k}": v for k, v in {**evidence, **made}.items()})
                self._run.summary[f"digest/{label}"] = digest
            case StageCached(label=label, digest=digest):
                self._run.summary[f"digest/{label}"] = digest
            case GateChecked(name=name, value=value, bound=bound, is_passed=is_passed):
                outcome = f"{'passed' if is_passed else 'failed'}: {value:.6g}, required {bound}"
                self._run.summary[f"gate/{name}"] = outcome
            case RunFinished(status=status):
                self._run.summary["status"] = status
                self._finish(0 if status == "ok" else 1)

    def _finish(self, exit_code: int) -> None:
        self._run.finish(exit_code=exit_code)
        self._wandb.teardown(exit_code)  # `finish` comes back before its helper process has written the file
        self._run = None

    def _start(self, event: RunStarted) -> None:
        if self._mode == "offline":
            for earlier in (self._folder / "wandb").glob(f"offline-run-*-{event.run_id}"):
                shutil.rmtree(earlier)  # an earlier copy of the same run, which this one replaces
        quiet = {"console": "off", "silent": True, "x_disable_stats": True, "disable_git": True, "disable_code": True}
        self._run = self._wandb.init(
            mode=self._mode,
            project=PROJECT,
            id=event.run_id,
            name=event.run_id,
            dir=str(self._folder),
            config={**event.values, "recipe": event.recipe},
            settings=self._wandb.Settings(**quiet),
        )

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (self._wandb.Error, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BurnishError(f"Weights & Biases ({self._mode}) cannot be written ({reason}).") from error
