"""GPTQ: round a weight column by column, each column making good the errors of those before it.

Source: Frantar et al. 2022, arXiv 2210.17323, algorithm 1. Ours keeps a row as nearest rounding has it wherever that
errs less on the calibration text, so it is never worse there; and it works in float64 where matrices are inverted.

Legend: O output rows, I input columns, G groups of a row, S inputs of a group.
"""

from dataclasses import dataclass, field
from typing import Any

from burnish.compress.clip import Clip, MseClip, clip_of
from burnish.compress.grids import Grid, Placed, place, round_to, scales_of
from burnish.errors import BurnishError, RecipeError
from burnish.runtime import need


@dataclass(frozen=True)
class Gptq:
    """Round by GPTQ.

    By default columns are ordered and scales clipped by what the inputs use, so that the columns that count most meet
    the fewest errors of others. It fits the calibration text: on text of another kind it may lose more than nearest
    rounding (rows "gptq w4 g32" and "rtn w4 g32" of benchmarks/results/compress_quality_rounding_h100_202611.json).

    Attributes:
        damping_frac: of the mean energy of the inputs, added to each input's; 0.01 is the paper's.
        block_columns: columns whose errors reach the later blocks together; 128 is the paper's.
        has_act_order: columns of the greatest input energy first (the authors' `act_order`); each group's scale is then
            taken from the weight as it was, so that groups stay runs of columns as every engine has them.
        clip: how scales are chosen.
    """

    damping_frac: float = 0.01
    block_columns: int = 128
    has_act_order: bool = True
    clip: Clip = field(default_factory=lambda: MseClip(is_weighted=True))

    def __post_init__(self) -> None:
        if self.damping_frac < 0 or self.block_columns < 1:
            raise RecipeError(
                f"damping_frac is {self.damping_frac} and block_columns {self.block_columns}; "
                "a share of 0 or more (0.01 is common), and at least 1 column"
            )


class SingularGram(BurnishError):  # says what happened, as the tree's others do
    """The inputs' Gram matrix has no inverse, damped or not."""


def gptq(weight_OI: Any, gram_II: Any, grid: Grid, config: Gptq) -> Placed:
    """Place a weight such that its outputs on the calibration text err little.

    Args:
        gram_II: mean outer product of the inputs.

    Raises:
        SingularGram: it has no inverse.
        BurnishError: the weight is not a finite matrix, or the group does not divide its inputs.
    """
    torch = need("torch", extra="compress")
    weight_OI = weight_OI.float()
    energy_I = gram_II.diagonal()
    nearest = place(weight_OI, grid, clip=clip_of(weight_OI, grid, config.clip, energy_I=energy_I))
    order = torch.arange(len(gram_II), device=gram_II.device)
    if config.has_act_order:
        order = energy_I.argsort(descending=True, stable=True)
    root_II = inverse_root(gram_II[order][:, order], config.damping_frac)
    scales = _Scales(grid, config.clip, energy_I, nearest.scale_OG.clone(), nearest.zero_OG)
    found_OI = _sweep(weight_OI, root_II, order, scales, config)
    plain_OI = nearest.dequantize()
    is_better = output_error(weight_OI, found_OI, gram_II) < output_error(weight_OI, plain_OI, gram_II)
    keep = is_better[:, None]
    scale_OG = torch.where(keep, scales.scale_OG, nearest.scale_OG)
    zero_OG = None if nearest.zero_OG is None else torch.where(keep, scales.zero_OG, nearest.zero_OG)
    return Placed(grid, round_to(torch.where(keep, found_OI, plain_OI), scale_OG, zero_OG, grid), scale_OG, zero_OG)


def output_error(weight_OI: Any, rounded_OI: Any, gram_II: Any) -> Any:
    """Give the mean square error of each output on the text that the Gram matrix was measured on, (O,)."""
    error_OI = weight_OI.float() - rounded_OI
    return ((error_OI @ gram_II) * error_OI).sum(1)


def inverse_root(gram_II: Any, damping_frac: float) -> Any:
    """Give the upper Cholesky factor of the inverse of the damped Gram matrix, in float32.

    Raises:
        SingularGram: there is none.
    """
    torch = need("torch", extra="compress")
    damped_II = gram_II.double()
    damped_II = (
        damped_II + torch.eye(len(damped_II), device=gram_II.device) * damping_frac * damped_II.diagonal().mean()
    )
    lower_II, is_singular = torch.linalg.cholesky_ex(damped_II)
    if int(is_singular) or not bool(torch.isfinite(lower_II).all()):
        raise SingularGram("the Gram matrix of the inputs has no inverse; use more calibration text or more damping")
    upper_II, is_singular = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower_II), upper=True)
    if int(is_singular):
        raise SingularGram("the inverse Gram matrix of the inputs has no root; use more damping")
    return upper_II.float()


@dataclass
class _Scales:
    """Scales and zero points of all groups, as the columns are reached."""

    grid: Grid
    clip: Clip
    energy_I: Any
    scale_OG: Any
    zero_OG: Any

    def __post_init__(self) -> None:
        self.zero_OG = None if self.zero_OG is None else self.zero_OG.clone()

    def renew(self, group_OS: Any, group: int) -> None:
        """Take a group's scale from its weights as they are now, the errors of earlier columns in them."""
        size = group_OS.shape[1]
        energy_S = self.energy_I[group * size : (group + 1) * size]
        clip = clip_of(group_OS, self.grid, self.clip, energy_I=energy_S)
        scale_O1, zero_O1 = scales_of(group_OS, self.grid, clip=clip)
        self.scale_OG[:, group] = scale_O1[:, 0]
        if zero_O1 is not None:
            self.zero_OG[:, group] = zero_O1[:, 0]

    def rounded(self, column_O1: Any, group: int) -> Any:
        """Give the values of the grid nearest to a column, as numbers."""
        scale_O1 = self.scale_OG[:, group : group + 1]
        zero_O1 = None if self.zero_OG is None else self.zero_OG[:, group : group + 1]
        return Placed(self.grid, round_to(column_O1, scale_O1, zero_O1, self.grid), scale_O1, zero_O1).dequantize()


def _sweep(weight_OI: Any, root_II: Any, order: Any, scales: _Scales, config: Gptq) -> Any:
    """Round all columns in this order; give the rounded weight in its own order, and leave its scales in `scales`."""
    torch = need("torch", extra="compress")
    num_columns = weight_OI.shape[1]
    size = num_columns // scales.scale_OG.shape[1]
    makes_scales = size < num_columns and not config.has_act_order
    block = config.block_columns
    if makes_scales:  # whole groups, so that a scale is made from weights that hold all errors so far
        block = max(size, block // size * size)
    groups = [column // size for column in order.tolist()]
    left_OI = weight_OI[:, order].clone()  # what is still to be rounded, with the errors so far
    found_OI = torch.empty_like(left_OI)
    for low in range(0, num_columns, block):
        high = min(low + block, num_columns)
        errors = torch.empty_like(left_OI[:, low:high])
        for at in range(low, high):
            if makes_scales and at % size == 0:
                scales.renew(left_OI[:, at : at + size], groups[at])
            found_OI[:, at : at + 1] = scales.rounded(left_OI[:, at : at + 1], groups[at])
            error_O1 = (left_OI[:, at : at + 1] - found_OI[:, at : at + 1]) / root_II[at, at]
            left_OI[:, at + 1 : high] -= error_O1 * root_II[at, at + 1 : high]
            errors[:, at - low : at - low + 1] = error_O1
        left_OI[:, high:] -= errors @ root_II[low:high, high:]
    return found_OI[:, order.argsort()]
