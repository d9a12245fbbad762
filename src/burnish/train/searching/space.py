"""The space of a search: which values are tried, stage by stage, and how they get into a training's configuration."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import assert_never

from burnish.errors import RecipeError
from burnish.train.learning import Learning
from burnish.train.methods import Full, Lora, Method, Prefix, Prompt, Unfreeze

Value = bool | int | float
Point = dict[str, Value]

_LOOP = ("learning_rate", "rows_per_step", "weight_decay")
_RATE_FACTOR = 30.0  # down and up: three decades, as many as Bergstra and Bengio 2012 (JMLR 13, p. 281) drew from


@dataclass(frozen=True)
class Range:
    """Every number from `low` to `high`, both included, is as good a guess as any other."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise RecipeError(f"low is {self.low}, high {self.high}; low must be below high")

    def holds(self, value: Value) -> bool:
        """Tell whether a value lies inside."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class LogRange(Range):
    """Every order of magnitude from `low` to `high` is as good a guess as any other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise RecipeError(f"low is {self.low}; it must be above 0, for its logarithm is what is drawn")

    def __str__(self) -> str:
        return f"{super().__str__()}, by magnitude"


@dataclass(frozen=True)
class OneOf:
    """Any of some values."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Tell whether a value is among them."""
        return value in self.values

    def __str__(self) -> str:
        return ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in self.values)


Domain = Range | OneOf


@dataclass(frozen=True)
class Rates:
    """Stage 1: how fast to learn, by Bayesian search.

    Attributes:
        num_trials: at most; the recipe's own values are the first.
        learning_rate: null tries from a thirtieth of the recipe's own to thirty times it.
        rows_per_step: packed rows whose gradients make a step. A trial with more of them has fewer steps.
    """

    num_trials: int = 12
    learning_rate: LogRange | None = None
    rows_per_step: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        _check_trials(self.num_trials)
        if not self.rows_per_step or min(self.rows_per_step) < 1:
            raise RecipeError(f"rows_per_step is {list(self.rows_per_step)}; give at least one number, each at least 1")


@dataclass(frozen=True)
class Regularisation:
    """Stage 3: how to keep from learning by heart, by Bayesian search.

    Source: weight decay of 0.01 and 0.1 are common (Loshchilov and Hutter 2019, arXiv 1711.05101; Brown et al. 2020,
    arXiv 2005.14165, appendix B); label smoothing of 0.1 is Szegedy et al. 2016, arXiv 1512.00567, section 7.

    Attributes:
        num_trials: at most.
        weight_decay: of AdamW.
        smoothing_frac: of labels, where the training knows it; the validation loss is always measured without.
    """

    num_trials: int = 8
    weight_decay: Range = Range(0.0, 0.3)
    smoothing_frac: Range = Range(0.0, 0.2)

    def __post_init__(self) -> None:
        _check_trials(self.num_trials)
        if self.weight_decay.low < 0 or self.smoothing_frac.low < 0 or self.smoothing_frac.high >= 1:
            raise RecipeError(
                f"weight_decay goes from {self.weight_decay}, smoothing_frac from {self.smoothing_frac}; neither may "
                "be below 0, and smoothing_frac must be below 1"
            )


@dataclass(frozen=True)
class Stage:
    """One stage of the search, ready to run.

    Attributes:
        domains: by name of the value.
        is_grid: try every pair, not what promises most.
    """

    name: str
    domains: dict[str, Domain]
    num_trials: int
    is_grid: bool

    @property
    def points(self) -> list[Point]:
        """List every combination; of a grid."""
        values = [domain.values for domain in self.domains.values() if isinstance(domain, OneOf)]
        return [dict(zip(self.domains, chosen, strict=True)) for chosen in itertools.product(*values)]

    def holds(self, point: Mapping[str, Value]) -> bool:
        """Tell whether the stage could try the values that a point has for it."""
        return all(domain.holds(point[name]) for name, domain in self.domains.items())


def stages_of(
    train: Learning,
    rates: Rates | None,
    shape: Mapping[str, tuple[Value, ...]] | None,
    regularisation: Regularisation | None,
) -> tuple[Stage, ...]:
    """Give the stages in order; one that is None or has nothing to try is left out.

    Raises:
        RecipeError: the grid names what the method does not have, or a value that it refuses.
    """
    stages = []
    if rates is not None:
        own = train.loop.learning_rate
        learning_rate = rates.learning_rate or LogRange(own / _RATE_FACTOR, own * _RATE_FACTOR)
        domains: dict[str, Domain] = {"learning_rate": learning_rate, "rows_per_step": OneOf(rates.rows_per_step)}
        stages.append(Stage("rates", domains, rates.num_trials, is_grid=False))
    grid = default_grid(train.method) if shape is None else shape
    if grid:
        _check_grid(train.method, grid)
        chosen: dict[str, Domain] = {name: OneOf(tuple(values)) for name, values in grid.items()}
        stages.append(Stage("shape", chosen, math.prod(map(len, grid.values())), is_grid=True))
    if regularisation is not None:
        ranges: dict[str, Domain] = {"weight_decay": regularisation.weight_decay}
        if hasattr(train, "smoothing_frac"):
            ranges["smoothing_frac"] = regularisation.smoothing_frac
        stages.append(Stage("regularisation", ranges, regularisation.num_trials, is_grid=False))
    return tuple(stages)


def default_grid(method: Method) -> dict[str, tuple[Value, ...]]:
    """Give the values of a method that are tried where the recipe names none.

    Source: dropout and rank of Dettmers et al. 2023, arXiv 2305.14314, appendix A, ranks up to 32; alpha stays, as
    there, for it scales like the learning rate.
    """
    match method:
        case Lora():
            return {"dropout": (0.0, 0.05, 0.1), "rank": (8, 16, 32)}
        case Prefix() | Prompt():
            return {"num_virtual_tokens": (8, 16, 32)}
        case Unfreeze():
            return {"layers_per_stage": (2, 4, 8)}
        case Full():
            return {}
        case _:
            assert_never(method)


def own_point(train: Learning, stages: tuple[Stage, ...]) -> Point:
    """Read a configuration's own values of everything that the stages try."""
    return {name: _own(train, name) for stage in stages for name in stage.domains}


def with_point(train: Learning, point: Mapping[str, Value]) -> Learning:
    """Set the values of a point."""
    loop = {name: value for name, value in point.items() if name in _LOOP}
    smoothing = {name: value for name, value in point.items() if name == "smoothing_frac"}
    method = {name: value for name, value in point.items() if name not in loop and name not in smoothing}
    return replace(
        train,
        loop=replace(train.loop, **loop),  # type: ignore[arg-type]  # each domain has its field's type
        method=replace(train.method, **method),  # type: ignore[arg-type]
        **smoothing,  # type: ignore[arg-type]
    )


def _own(train: Learning, name: str) -> Value:
    holder = train.loop if name in _LOOP else train if name == "smoothing_frac" else train.method
    value: Value = getattr(holder, name)
    return value


def _check_grid(method: Method, grid: Mapping[str, tuple[Value, ...]]) -> None:
    allowed = [field.name for field in fields(method) if isinstance(getattr(method, field.name), int | float)]
    for name, values in grid.items():
        if name not in allowed:
            raise RecipeError(
                f"search.shape names {name}, which is no number of method {type(method).__name__.lower()}; "
                f"it may name: {', '.join(allowed) or 'nothing, so set it to {}'}"
            )
        if not values:
            raise RecipeError(f"search.shape.{name} is empty; give it values, or leave it out")
        for value in values:
            replace(method, **{name: value})  # type: ignore[arg-type]  # refuses what it does not allow


def _check_trials(num_trials: int) -> None:
    if num_trials < 1:
        raise RecipeError(f"num_trials is {num_trials}; it must be at least 1; null leaves the stage out")
