"""Pruning: when a trial that does worse than others is ended early. Progress is per cent of a trial's rows."""

from dataclasses import dataclass
from typing import Any, assert_never

from burnish.errors import RecipeError
from burnish.runtime import need


@dataclass(frozen=True)
class Median:
    """End a trial whose best loss so far is above the median of the others' at the same progress.

    Source: Golovin et al. 2017 (Google Vizier), doi:10.1145/3097983.3098043, section 3.2.

    Attributes:
        num_startup_trials: finished trials of a stage before it ends any.
        warmup_frac: share of its rows that every trial may see.
    """

    num_startup_trials: int = 3
    warmup_frac: float = 0.25

    def __post_init__(self) -> None:
        if self.num_startup_trials < 1:
            raise RecipeError(f"num_startup_trials is {self.num_startup_trials}; it must be at least 1")
        _check_frac("warmup_frac", self.warmup_frac)


@dataclass(frozen=True)
class Halving:
    """Let the best of every `reduction_factor` trials go on, from one rung to the next, without waiting for the others.

    Source: Li et al. 2020, arXiv 1810.05934, algorithm 2 (ASHA).

    Attributes:
        reduction_factor: 4 is the paper's; 3 suits few trials.
        first_rung_frac: share of its rows after which a trial is judged first.
    """

    reduction_factor: int = 3
    first_rung_frac: float = 0.25

    def __post_init__(self) -> None:
        if self.reduction_factor < 2:
            raise RecipeError(f"reduction_factor is {self.reduction_factor}; it must be at least 2")
        _check_frac("first_rung_frac", self.first_rung_frac)


@dataclass(frozen=True)
class Unpruned:
    """Let every trial run to its end."""


Pruning = Median | Halving | Unpruned


def open_pruner(pruning: Pruning) -> Any:
    """Give Optuna's pruner."""
    pruners = need("optuna", extra="search").pruners
    match pruning:
        case Median(num_startup_trials=startup, warmup_frac=warmup):
            return pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=round(100 * warmup))
        case Halving(reduction_factor=factor, first_rung_frac=first):
            return pruners.SuccessiveHalvingPruner(
                min_resource=max(1, round(100 * first)), reduction_factor=factor, min_early_stopping_rate=0
            )
        case Unpruned():
            return pruners.NopPruner()
        case _:
            assert_never(pruning)


def _check_frac(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise RecipeError(f"{name} is {value}; it must lie in [0, 1)")
