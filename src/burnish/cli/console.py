"""The console on a terminal: a line for each fact that stays, bars with ETA for what is under way."""

import threading
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from burnish.cli.units import in_amount, in_time
from burnish.cli.wording import Line, Wording
from burnish.runtime import events

_REFRESH_S = 0.1


class LiveConsole:
    """Draw events with rich: a spinner for each stage that works, a bar for each of its tasks.

    Rich's own refreshing thread may write between what another thread has laid out and written, and leave torn
    bars behind; here one lock is held from layout to writing.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.wording = Wording()
        self._stages: dict[str, TaskID] = {}
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._progress = Progress(
            _Spinner(table_column=Column(width=1)),
            _Name(table_column=Column(no_wrap=True)),
            _Bar(),
            _Amount(table_column=Column(no_wrap=True, justify="right")),
            _Remaining(table_column=Column(no_wrap=True)),
            _Note(table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            transient=True,
            auto_refresh=False,
            speed_estimate_period=60.0,
        )
        self._turn = threading.RLock()
        self._ended = threading.Event()
        self._refresher = threading.Thread(target=self._refresh, name="console", daemon=True)

    def __enter__(self) -> "LiveConsole":
        self._progress.start()
        self._refresher.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        self._ended.set()
        self._refresher.join()
        with self._turn:
            self._progress.stop()

    def __call__(self, event: events.Event) -> None:
        """Read one event."""
        with self._turn:
            self._read(event)

    def _refresh(self) -> None:
        while not self._ended.wait(_REFRESH_S):
            with self._turn:
                self._progress.refresh()

    def _read(self, event: events.Event) -> None:
        line = self.wording(event)
        match event:
            case events.StageStarted(label=label, digest=digest):
                self._stages[digest] = self._progress.add_task(label, total=None, is_stage=True, unit="", note="")
                return
            case events.Progress():
                self._advance(event)
            case events.StageSealed(digest=digest) | events.StageFailed(digest=digest):
                self._clear(digest)
        if line is not None:
            self._print(line)

    def say(self, words: str) -> None:
        """Write a line above the bars."""
        with self._turn:
            self.console.print(words, markup=False, highlight=False)

    def _print(self, line: Line) -> None:
        self.console.print(Text.assemble((line.mark, line.colour), " ", line.words))

    def _advance(self, event: events.Progress) -> None:
        key = (event.stage, event.task)
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(event.task, is_stage=False, unit=event.unit, note="")
        task = self._tasks[key]
        self._progress.update(task, completed=event.done, total=event.total)
        if event.note:
            self._progress.update(task, note=event.note)

    def _clear(self, digest: str) -> None:
        """Take the stage's rows away. Stages of one run follow each other, so every bar on screen is its own."""
        for task in (self._stages.pop(digest, None), *self._tasks.values()):
            if task is not None:
                self._progress.remove_task(task)
        self._tasks.clear()


class _Spinner(ProgressColumn):
    def __init__(self, table_column: Column) -> None:
        super().__init__(table_column)
        self._spinner = SpinnerColumn()

    def render(self, task: Task) -> RenderableType:
        return self._spinner.render(task) if task.fields["is_stage"] else ""


class _Name(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.description, "bold") if task.fields["is_stage"] else Text(f"  {task.description}")


class _Bar(ProgressColumn):
    def __init__(self) -> None:
        super().__init__()
        self._bar = BarColumn(bar_width=28)

    def render(self, task: Task) -> RenderableType:
        return "" if task.fields["is_stage"] else self._bar.render(task)


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.fields["is_stage"] else in_amount(task.completed, task.total, task.fields["unit"]))


class _Remaining(ProgressColumn):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        if task.fields["is_stage"]:
            return Text(in_time(task.elapsed or 0.0), "dim")
        if task.finished:
            return Text("done", "dim")
        remaining = task.time_remaining
        return Text("ETA …" if remaining is None else f"ETA {in_time(remaining)}", "cyan")


class _Note(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(task.fields["note"], "dim")
