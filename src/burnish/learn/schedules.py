"""Learning-rate schedules as pure functions of the step."""

import math
from dataclasses import dataclass

from burnish.errors import RecipeError


@dataclass(frozen=True)
class WarmupCosine:
    """Rise linearly, then fall along a cosine to `final_frac` of the peak.

    Source: Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5, one cycle; warm-up as in Goyal et al.
    2017, arXiv 1706.02677, section 2.2.

    Attributes:
        warmup_frac: share of the steps that warm up, in [0, 1).
        final_frac: share of the peak at the last step, in [0, 1].
    """

    warmup_frac: float = 0.1
    final_frac: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_frac < 1 or not 0 <= self.final_frac <= 1:
            raise RecipeError(
                f"warmup_frac is {self.warmup_frac}, final_frac {self.final_frac}; they must lie in [0, 1) and [0, 1]"
            )

    def factor(self, step: int, num_steps: int) -> float:
        """Give the share of the peak learning rate at `step`, counted from 0."""
        warmup = round(self.warmup_frac * num_steps)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, num_steps - 1 - warmup)
        return self.final_frac + (1 - self.final_frac) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
