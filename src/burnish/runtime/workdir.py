"""The workdir: the only place that a stage writes."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from burnish.runtime.events import EventLog, Metrics, Progress, Warned


@dataclass(frozen=True)
class Workdir:
    """Hold a stage's output while it works.

    Attributes:
        root: the folder in the store; `root/payload` becomes the artifact's payload and starts empty.
        stage: short name of the stage, for its events.
    """

    root: Path
    stage: str
    events: EventLog

    def __truediv__(self, name: str) -> Path:
        """Give a path in the payload, its folder made: `out / "data/train.parquet"`."""
        path = self.root / "payload" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def payload(self) -> Path:
        """Give the payload folder."""
        return self.root / "payload"

    @property
    def snapshots(self) -> Path:
        """Give the folder that outlives a killed or failed run and is dropped once the artifact is sealed."""
        path = snapshots_of(self.root)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def progress(self, task: str, *, total: float | None, unit: str) -> Iterator["Task"]:
        """Report progress of one task; the reader draws a bar with an ETA."""
        running = Task(self.events, self.stage, task, total, unit)
        running.advance(0)
        yield running
        running.finish()

    def metrics(self, step: int, **values: float) -> None:
        """Record numbers at a step."""
        self.events.emit(Metrics(self.stage, step, values))

    def warn(self, message: str) -> None:
        """Tell the user something that needs no stop."""
        self.events.emit(Warned(message))


@dataclass
class Task:
    """A running task; `advance` is cheap enough for an inner loop."""

    events: EventLog
    stage: str
    name: str
    total: float | None
    unit: str
    done: float = 0.0
    _last_s: float = 0.0

    def advance(self, amount: float = 1.0, note: str = "") -> None:
        """Add `amount` units; `note` stands beside the bar."""
        self.done += amount
        now = time.monotonic()
        if now - self._last_s >= 0.1 or self.done == self.total:
            self._last_s = now
            self.events.emit(Progress(self.stage, self.name, self.done, self.total, self.unit, note))

    def finish(self) -> None:
        """Report the end of the task."""
        self.events.emit(Progress(self.stage, self.name, self.done, self.done, self.unit))


def snapshots_of(root: Path) -> Path:
    """Name the snapshots of the workdir `root`: beside it, so that a seal which fails does not cost them."""
    return root.with_name(f"{root.name}.snapshots")


def fresh(root: Path, stage: str, events: EventLog) -> Workdir:
    """Make the workdir ready: an empty payload, and the snapshots of an earlier attempt where there are any."""
    shutil.rmtree(root / "payload", ignore_errors=True)
    (root / "payload").mkdir(parents=True)
    return Workdir(root, stage, events)
