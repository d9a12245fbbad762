"""Loss scaling: keep float16 gradients away from zero."""

from dataclasses import dataclass

_GROWTH_STEPS = 2000
_START = 2.0**16
_MAX = 2.0**24


@dataclass
class LossScale:
    """Scale the loss so that small gradients survive float16; halve on overflow, double after 2,000 good steps.

    Source: Micikevicius et al. 2018, arXiv 1710.03740, section 3.2; the numbers are NVIDIA's and torch's defaults.
    """

    is_on: bool
    value: float = _START
    good_steps: int = 0

    def __post_init__(self) -> None:
        if not self.is_on:
            self.value = 1.0

    def update(self, *, is_finite: bool) -> None:
        """Learn from a step's gradient."""
        if not self.is_on:
            return
        self.good_steps = self.good_steps + 1 if is_finite else 0
        if not is_finite:
            self.value /= 2
        elif self.good_steps >= _GROWTH_STEPS:
            self.value, self.good_steps = min(self.value * 2, _MAX), 0
