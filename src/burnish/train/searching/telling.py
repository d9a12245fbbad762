"""Telling: the bar with its ETA, and a row of metrics for each trial that has finished."""

import math

from burnish.runtime import Workdir
from burnish.runtime.workdir import Task
from burnish.train.searching.findings import finished
from burnish.train.searching.job import Board
from burnish.train.searching.space import Value


class Teller:
    """Tell the bar and the trackers of every trial that has finished."""

    def __init__(self, out: Workdir, bar: Task) -> None:
        self._out, self._bar = out, bar
        self._told: set[int] = set()
        self._best = math.inf
        self._board: Board | None = None
        self._num_told = 0

    def open(self, board: Board) -> None:
        """Begin to follow a stage."""
        self._board, self._told = board, set()
        self.tell()

    def say(self, words: str) -> None:
        """Set the note beside the bar."""
        self._bar.advance(0, words)

    def tell(self) -> None:
        """Tell of what has finished since the last time."""
        if self._board is None:
            return
        for trial in finished(self._board):
            if trial.number in self._told:
                continue
            self._told.add(trial.number)
            self._num_told += 1
            state = trial.state.name.lower()
            loss = next(reversed(trial.intermediate_values.values()), None)
            if loss is not None:
                self._out.metrics(self._num_told, validation_loss_nats=loss, **_numbers(trial.params))
                self._best = min(self._best, loss if state == "complete" else math.inf)
            self._bar.advance(1, f"{self._board.running.stage.name} · {state} · best {self._best:.4g} nats")

    def close(self) -> None:
        """Take off the bar what the stage did not need to try: values known already, or time that was up."""
        if self._board is not None and self._bar.total is not None:
            self._bar.total -= self._board.running.stage.num_trials - len(self._told)


def _numbers(values: dict[str, Value]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
