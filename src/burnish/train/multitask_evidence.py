"""What several tasks' heads answer on held-out texts, and how that compares with each task trained alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.artifacts import Measurement, counted
from burnish.learn.classify import Labelled
from burnish.learn.task_labels import LabelSource
from burnish.measure.bootstrap import DRAWS, bootstrap
from burnish.measure.metrics import macro_f1
from burnish.nn.heads import TaskLabels, best


@dataclass(frozen=True)
class Answers:
    """Labels of one task's held-out texts, and what was guessed, in the same order."""

    truths: tuple[str, ...]
    guesses: tuple[str, ...]

    def drawn(self, at: Sequence[int]) -> tuple[list[str], list[str]]:
        """Give truths and guesses of some of the texts."""
        return [self.truths[index] for index in at], [self.guesses[index] for index in at]


def answers_of(
    tasks: Sequence[TaskLabels], examples: Sequence[Labelled], given: Mapping[str, Sequence[Sequence[float]]]
) -> dict[str, Answers]:
    """Take each task's likeliest labels where the truth is known.

    Args:
        given: each task's probabilities of its classes for each example.
    """
    found = {}
    for task in tasks:
        pairs = [
            (task.labels[example.targets[task.name]], best(task.labels, row).label)
            for example, row in zip(examples, given[task.name], strict=True)
            if task.name in example.targets
        ]
        found[task.name] = Answers(tuple(truth for truth, _ in pairs), tuple(guess for _, guess in pairs))
    return found


def scored(
    task: LabelSource, answers: Answers, seed: int, *, how: str, prefix: str = ""
) -> tuple[Measurement, Measurement]:
    """Measure accuracy, and macro-F1 with its bootstrap interval."""
    count = len(answers.truths)
    hits = sum(truth == guess for truth, guess in zip(answers.truths, answers.guesses, strict=True))
    low, high = bootstrap(lambda at: macro_f1(*answers.drawn(at), task.labels), count, seed=seed)
    score = macro_f1(answers.truths, answers.guesses, task.labels)
    return (
        counted(f"{prefix}accuracy_frac_{task.name}", hits, of=count, how=how),
        Measurement(
            f"{prefix}macro_f1_frac_{task.name}", score, "1", count, low, high,
            f"{how}; bootstrap over texts, {DRAWS} draws, 95 %",
        ),
    )  # fmt: skip


def compared(task: LabelSource, shared: Answers, alone: Answers, seed: int) -> tuple[Measurement, ...]:
    """Score a task trained alone, and measure what sharing the trunk gained in macro-F1."""

    def gain(at: Sequence[int]) -> float:
        control = macro_f1(*alone.drawn(at), task.labels)
        return macro_f1(*shared.drawn(at), task.labels) / max(control, 1e-9) - 1

    count = len(shared.truths)
    low, high = bootstrap(gain, count, seed=seed)
    measured = gain(range(count))
    return (
        *scored(task, alone, seed, how="trained alone: as many steps, tokens and seed alike", prefix="control_"),
        Measurement(
            f"macro_f1_gain_frac_{task.name}", measured, "1", count, low, high,
            f"macro-F1 of the shared trunk over that of the task alone, less 1; both on the same drawn texts, {DRAWS} "
            "draws, 95 %; it does not span seeds of training",
        ),
    )  # fmt: skip
