"""Quantisation grids: which values a weight may take, and the nearest ones to a given weight.

Legend: O output rows, I input columns, G groups of a row (1 where a row has one scale), S inputs of a group.
"""

from dataclasses import dataclass
from typing import Any

from burnish.errors import BurnishError, RecipeError
from burnish.runtime import need


@dataclass(frozen=True)
class IntGrid:
    """Integers of a few bits, with a float16 scale for each group of inputs.

    Attributes:
        num_bits: 2 to 8.
        group_size: inputs that share a scale; null gives each row one.
        is_symmetric: zero is the middle of the range; else each group has a zero point of its own.
    """

    num_bits: int = 8
    group_size: int | None = None
    is_symmetric: bool = True

    def __post_init__(self) -> None:
        if not 2 <= self.num_bits <= 8:
            raise RecipeError(f"num_bits is {self.num_bits}; an integer grid has 2 to 8")
        if self.group_size is not None and self.group_size < 8:
            raise RecipeError(f"group_size is {self.group_size}; it must be at least 8, 32 and 128 are common")

    @property
    def least(self) -> int:
        """Give the least value: 8 symmetric bits leave -128 out, as every runtime does."""
        if not self.is_symmetric:
            return 0
        return -127 if self.num_bits == 8 else -(1 << (self.num_bits - 1))

    @property
    def most(self) -> int:
        """Give the greatest value."""
        return (1 << (self.num_bits - self.is_symmetric)) - 1

    def __str__(self) -> str:
        group = "a row" if self.group_size is None else f"{self.group_size} inputs"
        return f"int{self.num_bits}, a scale for {group}{'' if self.is_symmetric else ' with zero point'}"


@dataclass(frozen=True)
class Fp8Grid:
    """Eight-bit floats (e4m3: 4 bits of exponent, 3 of mantissa), with a float32 scale a row.

    Source: Micikevicius et al. 2022, arXiv 2209.05433.
    """

    def __str__(self) -> str:
        return "fp8 e4m3, a scale for a row"


Grid = IntGrid | Fp8Grid


@dataclass(frozen=True)
class Placed:
    """A weight on a grid: `weight_OI = (values_OI - zero_OG) * scale_OG`, groups spread over their inputs.

    Attributes:
        values_OI: int8 (symmetric), uint8 (with zero points) or float8_e4m3fn tensor, one value an element.
        scale_OG: float16 of an integer grid, where the sign may be negative; float32 of fp8.
        zero_OG: uint8, or None where the grid is symmetric.
    """

    grid: Grid
    values_OI: Any
    scale_OG: Any
    zero_OG: Any = None

    def dequantize(self) -> Any:
        """Give the float32 weight that an engine sees, (O, I)."""
        groups = self.scale_OG.shape[1]
        values_OGS = self.values_OI.float().unflatten(1, (groups, -1))
        if self.zero_OG is not None:
            values_OGS = values_OGS - self.zero_OG.float()[..., None]
        return (values_OGS * self.scale_OG.float()[..., None]).flatten(1)

    @property
    def num_bits(self) -> int:
        """Give the bits of a value."""
        return self.grid.num_bits if isinstance(self.grid, IntGrid) else 8

    @property
    def num_bytes(self) -> int:
        """Count the bytes of values, scales and zero points, packed."""
        zeros = 0 if self.zero_OG is None else self.zero_OG.numel() * self.num_bits / 8
        scales = self.scale_OG.numel() * self.scale_OG.element_size()
        num_bytes: int = round(self.values_OI.numel() * self.num_bits / 8 + scales + zeros)
        return num_bytes


def place(weight_OI: Any, grid: Grid, *, clip: Any = 1.0) -> Placed:
    """Round a weight to its grid's nearest values.

    The scale is rounded to what is stored before the values are, so that they make its error good.

    Args:
        weight_OI: float tensor on any device.
        clip: share of a group's range that is kept, in (0, 1]; a number, or a tensor (O, G), or on a grid with zero
            points a pair of them, in [0, 1], for the least value and the greatest.

    Raises:
        BurnishError: the weight is not a finite matrix, or the group does not divide its inputs.
    """
    torch = need("torch", extra="compress")
    if weight_OI.ndim != 2 or not bool(torch.isfinite(weight_OI).all()):
        raise BurnishError(
            f"a weight of shape {tuple(weight_OI.shape)} cannot be quantised; it must be a finite matrix"
        )
    scale_OG, zero_OG = scales_of(weight_OI, grid, clip=clip)
    return Placed(grid, round_to(weight_OI, scale_OG, zero_OG, grid), scale_OG, zero_OG)


def num_groups(num_inputs: int, grid: Grid) -> int:
    """Count the groups of a row.

    Raises:
        BurnishError: the group does not divide the inputs.
    """
    size = grid.group_size if isinstance(grid, IntGrid) else None
    if size is None:
        return 1
    if num_inputs % size:
        fits = next(each for each in (128, 64, 32, 16, 8, num_inputs) if num_inputs % each == 0)
        raise BurnishError(f"group_size {size} does not divide {num_inputs} inputs; {fits} does")
    return num_inputs // size


def scales_of(weight_OI: Any, grid: Grid, *, clip: Any = 1.0) -> tuple[Any, Any]:
    """Give the scales, as they are stored, and the zero points that span each group's range times `clip`.

    Below 8 bits a symmetric group's value of greatest magnitude takes the end of the range that has one value more,
    whatever its sign: the scale's sign says which (the rule of ggml's Q4_0).
    """
    torch = need("torch", extra="compress")
    groups_OGS = weight_OI.float().unflatten(1, (num_groups(weight_OI.shape[1], grid), -1))
    match grid:
        case Fp8Grid():
            amax = groups_OGS.abs().amax(2) * clip
            return (amax / torch.finfo(torch.float8_e4m3fn).max).clamp_min(1e-12), None
        case IntGrid(is_symmetric=True, num_bits=8):
            return _stored(groups_OGS.abs().amax(2) * clip / grid.most), None
        case IntGrid(is_symmetric=True):
            furthest = groups_OGS.gather(2, groups_OGS.abs().argmax(2, keepdim=True))[..., 0]
            return _stored(furthest * clip / grid.least), None
        case IntGrid():
            low_clip, high_clip = clip if isinstance(clip, tuple) else (clip, clip)
            low, high = groups_OGS.amin(2).clamp_max(0) * low_clip, groups_OGS.amax(2).clamp_min(0) * high_clip
            scale_OG = _stored((high - low) / grid.most)
            zero_OG = (-low / scale_OG.float()).round().clamp(0, grid.most)
            return scale_OG, zero_OG.to(torch.uint8)


def round_to(weight_OI: Any, scale_OG: Any, zero_OG: Any, grid: Grid) -> Any:
    """Give the nearest values of the grid with these scales and zero points, in the dtype that `Placed` holds."""
    torch = need("torch", extra="compress")
    scaled = weight_OI.float().unflatten(1, (scale_OG.shape[1], -1)) / scale_OG.float()[..., None]
    if isinstance(grid, Fp8Grid):
        most = torch.finfo(torch.float8_e4m3fn).max
        return scaled.clamp(-most, most).flatten(1).to(torch.float8_e4m3fn)
    zero = 0 if zero_OG is None else zero_OG.float()[..., None]
    values = (scaled.round() + zero).clamp(grid.least, grid.most)
    return values.flatten(1).to(torch.int8 if grid.is_symmetric else torch.uint8)


def _stored(scale_OG: Any) -> Any:
    """Round a scale to float16, away from zero where it would vanish."""
    torch = need("torch", extra="compress")
    tiny = torch.finfo(torch.float16).tiny
    small = scale_OG.abs() < tiny
    return torch.where(small, tiny, scale_OG).to(torch.float16)
