"""Allocation: which bits each part of a decoder gets, by what its rounding was measured to cost.

Each unit is rounded alone, to each candidate grid, and the divergence of the model's predictions from the float model's
is measured on text. A choice's cost is taken to be the sum of its units' costs; the joint divergence of what was chosen
is measured after, beside that of the best single grid that keeps to the same bytes, which is taken where it is lower.

Source: the sensitivities of Dong et al. 2020 (HAWQ-V2, arXiv 1911.03852), measured here as divergences and not
estimated from a trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from burnish.compress.clip import Clip
from burnish.compress.exchange import Trial, best_uniform, choose
from burnish.compress.grids import Grid, IntGrid
from burnish.compress.trials import Trying, Unit
from burnish.errors import RecipeError
from burnish.runtime import Workdir


@dataclass(frozen=True)
class Allocated:
    """Give each unit the bits that lower the divergence most for their bytes.

    Attributes:
        candidates: the grids that a unit may get.
        max_bits_mean: bits a weight over all units together, scales counted.
        unit: what shares one grid: a layer's attention or FFN, or each linear layer by itself.
        num_tokens: of calibration text that each trial reads, in whole rows.
        head: of the output head and the embedding (one matrix where they are tied); null leaves them as floats. It is
            not part of the exchange and not of `max_bits_mean`.
    """

    candidates: tuple[Grid, ...] = (IntGrid(3, 32), IntGrid(4, 32), IntGrid(8, 32))
    max_bits_mean: float = 5.5
    unit: Literal["kind", "linear"] = "kind"
    num_tokens: int = 8192
    head: Grid | None = field(default_factory=IntGrid)

    def __post_init__(self) -> None:
        if len(set(self.candidates)) < 2 or len(set(self.candidates)) < len(self.candidates):
            raise RecipeError(
                f"candidates are {', '.join(map(str, self.candidates))}; give at least two, and none twice"
            )
        if self.max_bits_mean <= 0 or self.num_tokens < 2:
            raise RecipeError(
                f"max_bits_mean is {self.max_bits_mean} and num_tokens {self.num_tokens}; "
                "some bits and at least 2 tokens are needed"
            )


@dataclass(frozen=True)
class Allocation:
    """What was measured and chosen.

    Attributes:
        trials: of each unit, one a candidate.
        chosen: of each unit, the index of its candidate.
        num_weights: numbers of all units together.
        num_positions: predictions that each divergence is the mean of.
        kl_nats: of the chosen grids together.
        uniform: the best candidate for all units alike within the same bytes, and its divergence; None where none fits.
    """

    candidates: tuple[Grid, ...]
    units: tuple[Unit, ...]
    trials: tuple[tuple[Trial, ...], ...]
    chosen: tuple[int, ...]
    num_weights: int
    num_positions: int
    kl_nats: float
    uniform: tuple[int, float] | None

    @property
    def grids(self) -> dict[str, Grid]:
        """Give each weight's grid."""
        pairs = zip(self.units, self.chosen, strict=True)
        return {name: self.candidates[index] for unit, index in pairs for name in unit.weights}

    @property
    def num_bits_mean(self) -> float:
        """Give the bits a weight of the units, scales counted."""
        picked = zip(self.trials, self.chosen, strict=True)
        return 8 * sum(row[index].num_bytes for row, index in picked) / self.num_weights

    def as_json(self) -> dict[str, Any]:
        """Write every measured unit as plain values."""
        rows = zip(self.units, self.trials, self.chosen, strict=True)
        return {
            "candidates": [str(grid) for grid in self.candidates],
            "kl_nats": self.kl_nats,
            "uniform": self.uniform
            and {"candidate": str(self.candidates[self.uniform[0]]), "kl_nats": self.uniform[1]},
            "num_positions": self.num_positions,
            "num_bits_mean": self.num_bits_mean,
            "units": [
                {
                    "unit": unit.name,
                    "weights": list(unit.weights),
                    "chosen": str(self.candidates[index]),
                    "kl_nats": [trial.kl_nats for trial in row],
                    "num_bytes": [trial.num_bytes for trial in row],
                }
                for unit, row, index in rows
            ],
        }


def allocate(
    out: Workdir, model: Any, rows: Sequence[Sequence[int]], names: Sequence[str], config: Allocated, clip: Clip
) -> Allocation:
    """Measure every unit on every candidate, and choose. The model is as it was afterwards.

    Args:
        rows: calibration rows; as many are read as `num_tokens` fills, at least one.
        names: of the weights that are to be on grids; others are left alone.
        clip: of nearest rounding, without weights.

    Raises:
        RecipeError: no choice keeps to `max_bits_mean`.
    """
    rows = rows[: max(1, config.num_tokens // len(rows[0]))]
    trying = Trying(model, rows, clip)
    units = trying.units(set(names), config.unit)
    trials: list[tuple[Trial, ...]] = []
    with out.progress("measuring bits", total=len(units) * len(config.candidates), unit="trials") as bar:
        for unit in units:
            trials.append(tuple(trying.alone(unit, grid) for grid in config.candidates))
            bar.advance(len(config.candidates))
    num_weights = sum(trying.num_weights(unit) for unit in units)
    max_bytes = int(config.max_bits_mean * num_weights / 8)
    chosen = choose(trials, max_bytes)
    if chosen is None:
        least = 8 * sum(min(trial.num_bytes for trial in row) for row in trials) / num_weights
        raise RecipeError(
            f"max_bits_mean is {config.max_bits_mean}; the smallest candidates need {least:.2f} bits with their scales"
        )
    kl_nats = trying.together({unit: config.candidates[at] for unit, at in zip(units, chosen, strict=True)})
    same = best_uniform(trials, max_bytes)
    uniform = None if same is None else (same, trying.together(dict.fromkeys(units, config.candidates[same])))
    if uniform is not None and uniform[1] <= kl_nats:  # errors of units do not quite add up
        chosen, kl_nats = [uniform[0]] * len(units), uniform[1]
    return Allocation(
        candidates=config.candidates,
        units=tuple(units),
        trials=tuple(trials),
        chosen=tuple(chosen),
        num_weights=num_weights,
        num_positions=len(rows) * len(rows[0]),
        kl_nats=kl_nats,
        uniform=uniform,
    )
