"""Events: the facts of a run as typed values, one JSON line each; everything people see is a reader of them."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from burnish.artifacts.store import storage_error
from burnish.errors import BurnishError


@dataclass(frozen=True)
class RunStarted:
    """A run began: its id, the recipe's name and resolved values, the command as typed."""

    run_id: str
    recipe: str
    values: dict[str, Any]
    command: str


@dataclass(frozen=True)
class StageStarted:
    """A stage began to work, `attempt` counted from 1."""

    stage: str
    digest: str
    label: str


@dataclass(frozen=True)
class StageCached:
    """An equal call was found sealed."""

    stage: str
    digest: str
    label: str


@dataclass(frozen=True)
class StageWaiting:
    """Another process is making the same artifact; this one waits for it."""

    stage: str
    digest: str


@dataclass(frozen=True)
class StageSealed:
    """A stage's artifact was sealed."""

    stage: str
    digest: str
    label: str
    kind: str
    seconds: float
    peak_memory_bytes: int
    evidence: dict[str, float]


@dataclass(frozen=True)
class StageFailed:
    """A stage ended without an artifact."""

    stage: str
    digest: str
    error: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of a task inside a stage; `total` is None where it is not known."""

    stage: str
    task: str
    done: float
    total: float | None
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Metrics:
    """Numbers at a step of a stage: the loss curve and its like."""

    stage: str
    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class GateChecked:
    """A gate compared a measurement with its bound."""

    name: str
    value: float
    bound: str
    is_passed: bool


@dataclass(frozen=True)
class Warned:
    """Something the user should know and need not stop for."""

    message: str


@dataclass(frozen=True)
class Noted:
    """Something worth a line that is no warning, such as how a candidate of a search ended."""

    message: str


@dataclass(frozen=True)
class RunFinished:
    """A run ended: `ok`, `failed`, `gate`, or `interrupted`."""

    status: str
    seconds: float
    message: str = ""


Event = (
    RunStarted
    | StageStarted
    | StageCached
    | StageWaiting
    | StageSealed
    | StageFailed
    | Progress
    | Metrics
    | GateChecked
    | Warned
    | Noted
    | RunFinished
)
Reader = Callable[[Event], None]

_TYPES: dict[str, type[Any]] = {kind.__name__: kind for kind in Event.__args__}
_PROGRESS_EVERY_S = 1.0


@dataclass
class EventLog:
    """Write each event to `events.jsonl` and hand it to the readers.

    Progress reaches readers at once and the file at most once a second per task, so that a fast loop
    neither slows down nor fills the disk.
    """

    path: Path
    readers: tuple[Reader, ...] = ()
    _last_progress_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def emit(self, event: Event) -> None:
        """Record one event.

        Raises:
            BurnishError: the file cannot be written.
        """
        if self._is_due(event):
            row = {"time_unix_s": round(time.time(), 3), "event": type(event).__name__, **asdict(event)}
            try:
                # a file name that is not UTF-8 reaches messages as surrogates, which JSON can only escape
                with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            except OSError as error:
                raise storage_error(error, self.path.parent) from error
        for reader in self.readers:
            reader(event)

    def _is_due(self, event: Event) -> bool:
        if not isinstance(event, Progress):
            return True
        key = (event.stage, event.task)
        now = time.monotonic()
        is_last = event.total is not None and event.done >= event.total
        if is_last or now - self._last_progress_s.get(key, float("-inf")) >= _PROGRESS_EVERY_S:
            self._last_progress_s[key] = now
            return True
        return False


def read_events(path: Path) -> Iterator[tuple[float, Event]]:
    """Read events with their Unix times; a torn last line, as `kill -9` can leave, ends the reading.

    Raises:
        BurnishError: the file is missing or a line before the last is not an event.
    """
    try:
        lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise BurnishError(f"no events at {path} ({error.strerror}); give a run's folder or its id") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            kind = _TYPES[row.pop("event")]
            time_unix_s = row.pop("time_unix_s")
            event = kind(**row)
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                return
            raise BurnishError(f"{path}, line {number}: not an event ({error})") from error
        yield time_unix_s, event
