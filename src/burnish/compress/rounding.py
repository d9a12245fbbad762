"""Rounding: how weights reach their grids, one by one, or layer by layer with a look at what each layer is given."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from burnish.compress.calibration import watched
from burnish.compress.clip import Clip, NoClip, clip_of, is_weighted
from burnish.compress.gptq import Gptq, SingularGram, gptq
from burnish.compress.grids import Grid, Placed, place
from burnish.compress.layer_walk import LayerWalk
from burnish.errors import BurnishError
from burnish.runtime import Workdir, need


@dataclass(frozen=True)
class Nearest:
    """Round each number to the nearest value of its grid.

    Attributes:
        clip: how scales are chosen.
    """

    clip: Clip = field(default_factory=NoClip)


Rounding = Nearest | Gptq


def needs_text(rounding: Rounding) -> bool:
    """Tell whether a rounding looks at what layers are given."""
    return isinstance(rounding, Gptq) or is_weighted(rounding.clip)


def place_alone(name: str, weight_OI: Any, grid: Grid, clip: Clip) -> Placed:
    """Round a weight to the nearest values without a look at its inputs.

    Raises:
        BurnishError: the weight has no place on the grid; the message names it.
    """
    try:
        return place(weight_OI, grid, clip=clip_of(weight_OI, grid, clip))
    except BurnishError as error:
        raise BurnishError(f"{name}: {error}") from error


def place_layers(
    out: Workdir,
    model: Any,
    rows: Sequence[Sequence[int]],
    grids: Mapping[str, Grid],
    rounding: Rounding,
    advance: Callable[[], None],
) -> dict[str, Placed]:
    """Round the linear layers of a decoder in order, each with what the rounded layers before it give.

    The model's weights become those of the grids, and memory holds one layer's Gram matrices at a time.

    Args:
        grids: name of a weight -> its grid; weights outside the decoder's layers are left alone.
        advance: called after each weight.
    """
    torch = need("torch", extra="compress")
    walk = LayerWalk(model, rows)
    placed: dict[str, Placed] = {}
    for index in range(len(walk.layers)):
        linears = {name: each for name, each in walk.linears(index).items() if f"{name}.weight" in grids}
        with watched(linears, _measure_of(rounding)) as inputs:
            walk.through(walk.hidden, index, index)
        for name, (mean, _) in inputs.means().items():
            weight = f"{name}.weight"
            found = _place(out, weight, linears[name].weight.detach(), grids[weight], rounding, mean)
            with torch.no_grad():
                linears[name].weight.copy_(found.dequantize())
            placed[weight] = _on_cpu(found)
            advance()
        walk.step(index)
    return placed


def _measure_of(rounding: Rounding) -> Callable[[Any], Any]:
    if isinstance(rounding, Gptq):
        return lambda x_PI: x_PI.T @ x_PI
    return lambda x_PI: x_PI.square().sum(0)


def _place(out: Workdir, name: str, weight_OI: Any, grid: Grid, rounding: Rounding, mean: Any) -> Placed:
    try:
        match rounding:
            case Nearest(clip=clip):
                return place(weight_OI, grid, clip=clip_of(weight_OI, grid, clip, energy_I=mean))
            case Gptq():
                return gptq(weight_OI, mean, grid, rounding)
            case _:
                assert_never(rounding)
    except SingularGram as error:
        out.warn(f"{name} is rounded to the nearest values: {error}")
        return place(weight_OI, grid, clip=clip_of(weight_OI, grid, rounding.clip, energy_I=mean.diagonal()))
    except BurnishError as error:
        raise BurnishError(f"{name}: {error}") from error


def _on_cpu(found: Placed) -> Placed:
    zero_OG = None if found.zero_OG is None else found.zero_OG.cpu()
    return Placed(found.grid, found.values_OI.cpu(), found.scale_OG.cpu(), zero_OG)
