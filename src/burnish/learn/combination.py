"""Combinations: what each task's loss counts where several share a trunk.

Legend: W the weights of the last shared layer, T tasks.
"""

import math
from dataclasses import dataclass
from typing import Literal

from burnish.errors import RecipeError


@dataclass(frozen=True)
class EqualWeights:
    """Add the tasks' mean losses: a task with a larger loss pulls harder."""


@dataclass(frozen=True)
class FixedWeights:
    """Add the tasks' mean losses by weights that never change.

    Attributes:
        weights: of each task by name, above 0.
    """

    weights: dict[str, float]

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not 0 < weight < math.inf:
                raise RecipeError(f"weights.{name} is {weight}; it must be a number above 0")


@dataclass(frozen=True)
class GradNorm:
    """Learn weights under which each task's gradient at the last shared layer is as long as its progress asks for.

    Source: Chen et al. 2018, arXiv 1711.02257, equations 1 and 2 and algorithm 1. The paper leaves open how the
    weights descend; ours descend the loss of equation 2 over the mean norm in log w. A weight then stays above 0 and
    finds its place whatever the losses' scale, and the loss is least at the same weights.

    Attributes:
        alpha: how hard tasks that learn slower are pulled: 0 makes all gradients alike. 1.5 is the paper's for
            tasks that differ, 0.12 for tasks that are alike.
        rate: of the weights' descent; a step changes a weight by at most a share of rate × tasks before they are
            brought back to their sum. 0.025 is ours.
        initial_loss: what progress is measured from: the loss of the first step that has the task, or log of the
            number of classes, which is what a guess without knowledge loses (the paper's advice where first losses
            are chance).
    """

    alpha: float = 1.5
    rate: float = 0.025
    initial_loss: Literal["first_step", "log_classes"] = "first_step"

    def __post_init__(self) -> None:
        if self.alpha < 0 or not 0 < self.rate <= 1:
            raise RecipeError(f"alpha is {self.alpha}, rate {self.rate}; they must be at least 0, and in (0, 1]")


@dataclass(frozen=True)
class NormalisedTrunk:
    """Bring each task's gradient at the trunk's output to length 1, whatever its loss's scale; no state, no extra pass.

    Of a step of several rows each row is normalised by itself and counts by its share of the task's labels.
    """


Combination = EqualWeights | FixedWeights | GradNorm | NormalisedTrunk
