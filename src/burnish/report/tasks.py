"""Tasks: what a training of several tasks learnt of each, beside the same training of that task alone."""

from dataclasses import dataclass
from typing import Any

from burnish.artifacts import Artifact, Measurement
from burnish.report.cast import look
from burnish.report.compare import Verdict
from burnish.report.figures import show, show_interval

_SCORE = "macro_f1_frac_"


@dataclass(frozen=True)
class Task:
    """Hold one task's scores on held-out texts; `alone` and `gain` are None where no control was trained."""

    name: str
    accuracy: Measurement | None
    score: Measurement
    alone: Measurement | None
    gain: Measurement | None

    @property
    def verdict(self) -> Verdict:
        """Say whether sharing the trunk helped; an interval that holds 0 is within noise."""
        if self.gain is None or self.gain.low is None or self.gain.high is None:
            return Verdict.ONE_SIDED
        if self.gain.low <= 0 <= self.gain.high:
            return Verdict.NOISE
        return Verdict.BETTER if self.gain.low > 0 else Verdict.WORSE


def read_tasks(tuned: Artifact | None) -> tuple[Task, ...]:
    """Read the tasks from a training's evidence; none where it had no tasks."""
    if tuned is None:
        return ()
    names = [m.name.removeprefix(_SCORE) for m in tuned.evidence if m.name.startswith(_SCORE)]
    return tuple(
        Task(
            name,
            look(tuned, f"accuracy_frac_{name}"),
            score,
            look(tuned, f"control_{_SCORE}{name}"),
            look(tuned, f"macro_f1_gain_frac_{name}"),
        )
        for name in names
        if (score := look(tuned, f"{_SCORE}{name}")) is not None
    )


def tasks_as_json(tasks: tuple[Task, ...]) -> list[dict[str, Any]]:
    """Give the tasks as report.json holds them."""
    return [
        {
            "task": task.name,
            "accuracy_frac": None if task.accuracy is None else task.accuracy.value,
            "macro_f1_frac": task.score.value,
            "alone_macro_f1_frac": None if task.alone is None else task.alone.value,
            "gain_frac": None if task.gain is None else task.gain.value,
            "verdict": task.verdict.value,
        }
        for task in tasks
    ]


def show_with_interval(measured: Measurement | None) -> tuple[str, str]:
    """Show a share and its interval; both empty where it is missing."""
    if measured is None:
        return "", ""
    value = show(measured.value, "1")
    if measured.low is None or measured.high is None:
        return value, ""
    return value, show_interval(measured.low, measured.high, "1", beside=measured.value)
