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
        _check(self.warmup_frac, self.final_frac)

    def factor(self, step: int, num_steps: int) -> float:
        """Give the share of the peak learning rate at `step`, counted from 0."""
        warmup = round(self.warmup_frac * num_steps)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, num_steps - 1 - warmup)
        return self.final_frac + (1 - self.final_frac) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


@dataclass(frozen=True)
class WarmupLinear:
    """Rise linearly, then fall linearly to `final_frac` of the peak; 1 keeps the rate constant.

    Source: Devlin et al. 2019, arXiv 1810.04805, appendix A.2. Attributes as of `WarmupCosine`.
    """

    warmup_frac: float = 0.1
    final_frac: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_frac, self.final_frac)

    def factor(self, step: int, num_steps: int) -> float:
        """Give the share of the peak learning rate at `step`, counted from 0."""
        warmup = round(self.warmup_frac * num_steps)
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, num_steps - 1 - warmup)
        return self.final_frac + (1 - self.final_frac) * (1 - min(1.0, done))


@dataclass(frozen=True)
class WarmupStableDecay:
    """Rise linearly, stay at the peak, and fall only at the end, so that a run can be prolonged from its middle.

    Source: Hu et al. 2024, arXiv 2404.06395, section 4; the decay is 1 - sqrt, as Hägele et al. 2024, arXiv
    2405.18392, equation 3, found best.

    Attributes:
        decay_frac: share of the steps at the end that fall, in (0, 1].
    """

    warmup_frac: float = 0.1
    decay_frac: float = 0.2
    final_frac: float = 0.0

    def __post_init__(self) -> None:
        _check(self.warmup_frac, self.final_frac)
        if not 0 < self.decay_frac <= 1 - self.warmup_frac:
            raise RecipeError(
                f"decay_frac is {self.decay_frac}; it must lie above 0 and leave room for warmup_frac {self.warmup_frac}"
            )

    def factor(self, step: int, num_steps: int) -> float:
        """Give the share of the peak learning rate at `step`, counted from 0."""
        warmup = round(self.warmup_frac * num_steps)
        if step < warmup:
            return (step + 1) / warmup
        start = num_steps - max(1, round(self.decay_frac * num_steps))
        if step < start:
            return 1.0
        done = (step - start + 1) / (num_steps - start)
        return self.final_frac + (1 - self.final_frac) * (1 - math.sqrt(done))


Schedule = WarmupCosine | WarmupLinear | WarmupStableDecay


def _check(warmup_frac: float, final_frac: float) -> None:
    if not 0 <= warmup_frac < 1 or not 0 <= final_frac <= 1:
        raise RecipeError(f"warmup_frac is {warmup_frac}, final_frac {final_frac}; they must lie in [0, 1) and [0, 1]")
