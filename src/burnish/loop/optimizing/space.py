"""The space: what a candidate may be, as lists of values, and the stages that those values configure."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from burnish.compress.bits import Uniform
from burnish.compress.calibration import CalibrationConfig
from burnish.compress.distill import DistillConfig
from burnish.compress.gptq import Gptq
from burnish.compress.grids import IntGrid
from burnish.compress.prune import PruneConfig
from burnish.compress.qat import QatConfig
from burnish.compress.quantize import QuantizeConfig
from burnish.errors import RecipeError
from burnish.train.learning import Learning
from burnish.train.methods import Full, Lora, Unfreeze
from burnish.train.multitask import MultitaskConfig

UNTUNED = "none"
_MAX_CANDIDATES = 100_000

Rounded = QuantizeConfig | QatConfig


@dataclass(frozen=True)
class Candidate:
    """Hold one point of the space.

    Attributes:
        tuning: name of a tuning.
        ffn_frac: share of the FFN channels that goes.
        layers_dropped: layers that go.
        heal_steps: of distillation from the whole model after the cut; 0 heals nothing.
        bits: name of a way to round.
        threads: of the engine; None takes every core.
    """

    tuning: str
    ffn_frac: float
    layers_dropped: int
    heal_steps: int
    bits: str
    threads: int | None

    @property
    def is_cut(self) -> bool:
        """Tell whether anything is taken away."""
        return self.ffn_frac > 0 or self.layers_dropped > 0

    @property
    def values(self) -> dict[str, Any]:
        """Give the values by name, as the journal holds them."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Describe the candidate in a line, what it leaves alone left out."""
        parts = [
            "" if self.tuning == UNTUNED else f"tuned by {self.tuning}",
            f"{self.ffn_frac:.0%} of the FFN gone" if self.ffn_frac else "",
            f"{self.layers_dropped} layer{'' if self.layers_dropped == 1 else 's'} dropped"
            if self.layers_dropped
            else "",
            f"{self.heal_steps} steps of healing" if self.heal_steps else "",
            self.bits,
            "" if self.threads is None else f"{self.threads} thread{'' if self.threads == 1 else 's'}",
        ]
        return ", ".join(part for part in parts if part)


def _four_bits(*, is_gptq: bool) -> QuantizeConfig:
    bits = Uniform(IntGrid(4, 32), head=IntGrid(8, 32))
    # 32 rows keep GPTQ on a 135M model to minutes on two cores
    return QuantizeConfig(bits, Gptq(), calibration=CalibrationConfig(num_rows=32)) if is_gptq else QuantizeConfig(bits)


def _ways_to_round() -> dict[str, Rounded | None]:
    return {"int8": QuantizeConfig(), "int4 gptq": _four_bits(is_gptq=True), "int4 nearest": _four_bits(is_gptq=False)}


@dataclass(frozen=True)
class Space:
    """Say what is tried: every list holds the values that a candidate may take, the safest first.

    The first of each list together are the first candidate. On a CPU pruning that is not healed costs much, and healing
    takes long; so the defaults cut little. On a GPU add steps of healing and larger cuts.

    Attributes:
        tunings: name -> a training of the base before anything is cut, its adapter merged; null leaves the base alone.
        ffn_frac: shares of the FFN channels that go.
        layers_dropped: numbers of layers that go; a student of less depth.
        heal_steps: steps of distillation from the whole model, where anything was cut.
        bits: name -> how to round: `kind: quantize`, or `kind: qat` to train on the grid; null stays in float32.
        threads: compute threads of the engine; null takes every core.
        prune: how a candidate is cut; its ffn_frac and num_layers_dropped are the candidate's.
        heal: how it is healed; its loop.num_steps are the candidate's.
    """

    tunings: dict[str, Learning | None] = field(default_factory=lambda: {UNTUNED: None})
    ffn_frac: tuple[float, ...] = (0.0, 0.05, 0.1)
    layers_dropped: tuple[int, ...] = (0, 1, 2)
    heal_steps: tuple[int, ...] = (0,)
    bits: dict[str, Rounded | None] = field(default_factory=_ways_to_round)
    threads: tuple[int | None, ...] = (None,)
    prune: PruneConfig = field(default_factory=lambda: PruneConfig(step_frac=None, held_out_records=8))
    heal: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        for name in NAMES:
            values = self.axis(name)
            if not values:
                raise RecipeError(f"space.{_AXES[name]} is empty; give it at least one value")
            if len(set(values)) < len(values):
                raise RecipeError(f"space.{_AXES[name]} is {list(values)}; each value may stand there once")
        _check_numbers(self)
        for name, tuning in self.tunings.items():
            _check_tuning(name, tuning)
        size = _product(len(self.axis(name)) for name in NAMES)
        if size > _MAX_CANDIDATES:
            raise RecipeError(
                f"the space has {size:,} points; at most {_MAX_CANDIDATES:,} are searched, give fewer values"
            )

    def axis(self, name: str) -> tuple[Any, ...]:
        """List the values of one of a candidate's fields."""
        return tuple(getattr(self, _AXES[name]))

    def candidate(self, values: Mapping[str, Any]) -> Candidate:
        """Make a candidate; what was not cut is not healed, so that one model has one name."""
        found = Candidate(**values)
        return found if found.is_cut else replace(found, heal_steps=0)

    def candidates(self) -> tuple[Candidate, ...]:
        """List every candidate once, the first of each list first."""
        axes = (self.axis(name) for name in NAMES)
        points = (self.candidate(dict(zip(NAMES, point, strict=True))) for point in itertools.product(*axes))
        return tuple(dict.fromkeys(points))

    def only(self, candidate: Candidate) -> "Space":
        """Narrow the space to one candidate, as best.yaml does."""
        return replace(
            self,
            tunings={candidate.tuning: self.tunings[candidate.tuning]},
            ffn_frac=(candidate.ffn_frac,),
            layers_dropped=(candidate.layers_dropped,),
            heal_steps=(candidate.heal_steps,),
            bits={candidate.bits: self.bits[candidate.bits]},
            threads=(candidate.threads,),
        )

    def prune_config(self, candidate: Candidate) -> PruneConfig:
        """Give the configuration of a candidate's cut."""
        return replace(self.prune, ffn_frac=candidate.ffn_frac, num_layers_dropped=candidate.layers_dropped)

    def heal_config(self, candidate: Candidate) -> DistillConfig:
        """Give the configuration of a candidate's healing."""
        return replace(self.heal, loop=replace(self.heal.loop, num_steps=candidate.heal_steps))


NAMES = tuple(each.name for each in fields(Candidate))
_AXES = {name: {"tuning": "tunings"}.get(name, name) for name in NAMES}


def _product(counts: Any) -> int:
    size = 1
    for count in counts:
        size *= count
    return size


def _check_numbers(space: Space) -> None:
    _check_all("ffn_frac", space.ffn_frac, [0 <= value < 1 for value in space.ffn_frac], "in [0, 1)")
    for name in ("layers_dropped", "heal_steps"):
        values: tuple[int, ...] = getattr(space, name)
        _check_all(name, values, [value >= 0 for value in values], "at least 0")
    _check_all(
        "threads", space.threads, [value is None or value >= 1 for value in space.threads], "at least 1, or null"
    )


def _check_all(name: str, values: Sequence[Any], are_good: Sequence[bool], allowed: str) -> None:
    if not all(are_good):
        raise RecipeError(f"space.{name} holds {values[are_good.index(False)]}; each value must be {allowed}")


def _check_tuning(name: str, tuning: Learning | None) -> None:
    if isinstance(tuning, MultitaskConfig):
        raise RecipeError(f"space.tunings.{name} is multitask, whose heads no server has; take another kind")
    if tuning is not None and not isinstance(tuning.method, Lora | Full | Unfreeze):
        raise RecipeError(
            f"space.tunings.{name}.method is {type(tuning.method).__name__.lower()}, which cannot be merged into a model; "
            "take lora, full or unfreeze"
        )
