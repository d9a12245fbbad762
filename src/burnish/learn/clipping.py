"""Clipping: by how much a step's gradient is scaled down, told from the norms seen so far.

Two rules here are readings of one published sentence, "dynamic gradient clipping, start 1.0, decay 0.99", which does
not say what decays: `DecayingNorm` takes it to be the bound, `MeanNorm` the weight of past norms. `burnish claims T6`
measures both, and `benchmarks/clipping_stability.py` all rules.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol, assert_never

from burnish.errors import RecipeError

_EPSILON = 1e-6  # of torch.nn.utils.clip_grad_norm_


@dataclass(frozen=True)
class FixedNorm:
    """Scale gradients down to a norm that never changes (Pascanu et al. 2013, arXiv 1211.5063, algorithm 1)."""

    max_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.max_norm <= 0:
            raise RecipeError(f"max_norm is {self.max_norm}; it must be above 0, 1.0 is common")


@dataclass(frozen=True)
class NoClipping:
    """Leave gradients as they are; steps that are not finite are still left out."""


@dataclass(frozen=True)
class DecayingNorm:
    """Scale gradients down to a bound that falls by a factor at every step: the published rule, read literally.

    Adam divides by the size of recent gradients, so a falling bound mostly makes late steps smaller.

    Attributes:
        start_norm: bound of the first step.
        decay: factor from a step to the next, in (0, 1].
        min_norm: the bound falls no lower; the rule as published names none, and would end all training. A tenth of
            the start is reached after 230 steps.
    """

    start_norm: float = 1.0
    decay: float = 0.99
    min_norm: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.min_norm <= self.start_norm or not 0 < self.decay <= 1:
            raise RecipeError(
                f"start_norm is {self.start_norm}, decay {self.decay}, min_norm {self.min_norm}; decay must lie in "
                "(0, 1], and min_norm above 0 and not above start_norm"
            )


@dataclass(frozen=True)
class MeanNorm:
    """Scale gradients down to a running mean of the norms before clipping: the published rule, read the other way.

    The mean is exponential: bound ← decay · bound + (1 - decay) · norm, after the step has used it.

    Attributes:
        start_norm: the mean before the first step.
        decay: weight of the past, in [0, 1); 0.99 remembers about 100 steps.
    """

    start_norm: float = 1.0
    decay: float = 0.99

    def __post_init__(self) -> None:
        if self.start_norm <= 0 or not 0 <= self.decay < 1:
            raise RecipeError(
                f"start_norm is {self.start_norm}, decay {self.decay}; the first must be above 0, the second in [0, 1)"
            )


@dataclass(frozen=True)
class PercentileNorm:
    """Scale gradients down to a percentile of recent norms, which a few wild ones do not move (AutoClip).

    Source: Seetharaman et al. 2020, arXiv 2007.14469, section 3. Ours looks back over a window, not the whole run, so
    that the bound follows norms that rise or fall, and begins with a fixed bound.

    Attributes:
        percentile: of the norms, this step's among them, in (0, 100]; 10 is the paper's choice and clips most steps,
            90 clips outliers alone.
        window_steps: how many norms are remembered.
        warmup_steps: so many steps are clipped to `start_norm`: few norms have no percentiles.
        start_norm: bound until then.
    """

    percentile: float = 10.0
    window_steps: int = 1000
    warmup_steps: int = 10
    start_norm: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.percentile <= 100 or self.start_norm <= 0:
            raise RecipeError(
                f"percentile is {self.percentile}, start_norm {self.start_norm}; the first must lie in (0, 100], "
                "the second above 0"
            )
        if not 0 <= self.warmup_steps <= self.window_steps or self.window_steps < 2:
            raise RecipeError(
                f"window_steps is {self.window_steps}, warmup_steps {self.warmup_steps}; the window must hold at least "
                "2 norms and all of the warm-up"
            )


Clipping = FixedNorm | NoClipping | DecayingNorm | MeanNorm | PercentileNorm


class Clipper(Protocol):
    """Give a step's bound, and learn from its norm."""

    def factor(self, norm: float) -> float:
        """Give what the gradient of this norm is multiplied by, in (0, 1].

        A norm that is not finite teaches nothing and gets 0: its step is one to leave out.
        """

    def state(self) -> dict[str, Any]:
        """Give what a snapshot must keep."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""


def open_clipper(config: Clipping) -> Clipper:
    """Make a clipper that has seen nothing yet."""
    match config:
        case FixedNorm(max_norm=max_norm):
            return _Bounded(max_norm)
        case NoClipping():
            return _Bounded(math.inf)
        case DecayingNorm(start_norm=start_norm):
            return _Decaying(start_norm, config)
        case MeanNorm(start_norm=start_norm):
            return _Mean(start_norm, config)
        case PercentileNorm(start_norm=start_norm):
            return _Percentile(start_norm, config)
        case _:
            assert_never(config)


@dataclass
class _Bounded:
    """Hold the bound of the next step."""

    bound: float

    def factor(self, norm: float) -> float:
        if not math.isfinite(norm):
            return 0.0
        self.see(norm)
        factor = min(1.0, self.bound / (norm + _EPSILON))
        self.go_on(norm)
        return factor

    def see(self, norm: float) -> None:
        """Learn from a norm before it is clipped."""

    def go_on(self, norm: float) -> None:
        """Set the bound of the step after this one."""

    def state(self) -> dict[str, Any]:
        return {"bound": self.bound}

    def restore(self, state: dict[str, Any]) -> None:
        self.bound = state["bound"]


@dataclass
class _Decaying(_Bounded):
    config: DecayingNorm

    def go_on(self, norm: float) -> None:
        del norm
        self.bound = max(self.config.min_norm, self.bound * self.config.decay)


@dataclass
class _Mean(_Bounded):
    config: MeanNorm

    def go_on(self, norm: float) -> None:
        decay = self.config.decay
        self.bound = decay * self.bound + (1 - decay) * norm


@dataclass
class _Percentile(_Bounded):
    config: PercentileNorm
    norms: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self.norms = deque(maxlen=self.config.window_steps)

    def see(self, norm: float) -> None:
        self.norms.append(norm)
        if len(self.norms) > self.config.warmup_steps:
            self.bound = _percentile(sorted(self.norms), self.config.percentile)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "norms": list(self.norms)}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.norms.clear()
        self.norms.extend(state["norms"])


def _percentile(ordered: list[float], percentile: float) -> float:
    """Interpolate between the two nearest of the ordered values, as numpy does."""
    place = (len(ordered) - 1) * percentile / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
