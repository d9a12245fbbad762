"""Clipping: how much of a group's range a grid spans; a smaller range has finer steps and loses its ends.

Legend: O output rows, I input columns, G groups of a row, S inputs of a group, R rows handled at once, B bins.
"""

from dataclasses import dataclass
from typing import Any, assert_never

from burnish.compress.grids import Grid, IntGrid, num_groups, place
from burnish.errors import RecipeError
from burnish.runtime import need

_HISTOGRAM_BYTES = 1 << 26
_DAMPING_FRAC = 0.01  # of the mean energy: an input that the text never used is not given up for nothing


@dataclass(frozen=True)
class NoClip:
    """Span the whole range."""


@dataclass(frozen=True)
class MseClip:
    """Take the share of each group's range whose rounding errs least in the mean square.

    Attributes:
        num_steps: shares tried, from the whole range down.
        least: the smallest share tried, in (0, 1).
        is_weighted: weigh each input's error by the mean square of what it is given (needs calibration text), as
            activation-aware methods do. Source: Lin et al. 2023 (AWQ), arXiv 2306.00978, section 3.2.
    """

    num_steps: int = 20
    least: float = 0.5
    is_weighted: bool = False

    def __post_init__(self) -> None:
        if self.num_steps < 2 or not 0 < self.least < 1:
            raise RecipeError(
                f"num_steps is {self.num_steps} and least {self.least}; at least 2 steps down to a share in (0, 1)"
            )


@dataclass(frozen=True)
class PercentileClip:
    """Span what holds this share of a group's values, by a histogram.

    Where zero is the middle of the grid, the values of greatest magnitude are given up; on a grid with zero points each
    end gives up half of what is not kept.

    Attributes:
        kept_frac: in (0, 1]; in a group of 32 values 0.97 gives up the one of greatest magnitude, and on a grid with
            zero points none, since half a value at each end is less than one.
        num_bins: of the histogram.
    """

    kept_frac: float = 0.999
    num_bins: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.kept_frac <= 1 or self.num_bins < 2:
            raise RecipeError(
                f"kept_frac is {self.kept_frac} and num_bins {self.num_bins}; a share in (0, 1], at least 2 bins"
            )


Clip = NoClip | MseClip | PercentileClip


def is_weighted(clip: Clip) -> bool:
    """Tell whether a clip asks for calibration text."""
    return isinstance(clip, MseClip) and clip.is_weighted


def unweighted(clip: Clip) -> Clip:
    """Give the clip of a weight whose inputs are not measured: none, where the clip would weigh them.

    Plain least squares gives up just the outliers that the inputs' energy would have kept, and then loses more than no
    clip: rows "rtn w4 g32" and "rtn w4 g32, mse" of benchmarks/results/compress_quality_rounding_h100_202611.json.
    """
    return NoClip() if is_weighted(clip) else clip


def clip_of(weight_OI: Any, grid: Grid, clip: Clip, *, energy_I: Any = None) -> Any:
    """Choose the share of each group's range that is kept, for `place(..., clip=...)`.

    Args:
        energy_I: mean square of each input, where the clip is weighted.

    Returns:
        1.0, a tensor (O, G) in (0, 1], or, of percentiles on a grid with zero points, a pair of them in [0, 1].

    Raises:
        RecipeError: the clip is weighted and there is no energy.
    """
    match clip:
        case NoClip():
            return 1.0
        case MseClip():
            if clip.is_weighted and energy_I is None:
                raise RecipeError("a weighted clip needs the energy of the inputs; give calibration text")
            return _least_error(weight_OI, grid, clip, energy_I if clip.is_weighted else None)
        case PercentileClip():
            return _percentile(weight_OI, grid, clip)
        case _:
            assert_never(clip)


def _least_error(weight_OI: Any, grid: Grid, clip: MseClip, energy_I: Any) -> Any:
    torch = need("torch", extra="compress")
    groups = num_groups(weight_OI.shape[1], grid)
    best_OG = torch.ones(len(weight_OI), groups, device=weight_OI.device)
    least_OG = torch.full_like(best_OG, torch.inf)
    for share in torch.linspace(1.0, clip.least, clip.num_steps).tolist():
        error_OI = (place(weight_OI, grid, clip=share).dequantize() - weight_OI).square()
        if energy_I is not None:
            error_OI *= energy_I + _DAMPING_FRAC * energy_I.mean()
        error_OG = error_OI.unflatten(1, (groups, -1)).sum(2)
        best_OG = torch.where(error_OG < least_OG, share, best_OG)
        least_OG = torch.minimum(error_OG, least_OG)
    return best_OG


def _percentile(weight_OI: Any, grid: Grid, clip: PercentileClip) -> Any:
    torch = need("torch", extra="compress")
    groups = num_groups(weight_OI.shape[1], grid)
    rows_at_once = max(1, _HISTOGRAM_BYTES // (4 * max(groups * clip.num_bins, weight_OI.shape[1])))
    some = [each_RI.unflatten(1, (groups, -1)) for each_RI in weight_OI.float().split(rows_at_once)]
    if isinstance(grid, IntGrid) and not grid.is_symmetric:
        both = [_end_shares(each_RGS, clip) for each_RGS in some]
        return torch.cat([low_RG for low_RG, _ in both]), torch.cat([high_RG for _, high_RG in both])
    found = []
    for each_RGS in some:
        size_RGS = each_RGS.abs()
        size_RGS = size_RGS / size_RGS.amax(2, keepdim=True).clamp_min(1e-30)
        found.append(_quantile(size_RGS, clip.kept_frac, clip.num_bins))
    return torch.cat(found)


def _end_shares(group_RGS: Any, clip: PercentileClip) -> tuple[Any, Any]:
    """Give the shares of a group's least and greatest value that are spanned; zero is spanned always."""
    low_RG1 = group_RGS.amin(2, keepdim=True).clamp_max(0)
    high_RG1 = group_RGS.amax(2, keepdim=True).clamp_min(0)
    range_RG1 = (high_RG1 - low_RG1).clamp_min(1e-30)
    place_RGS = (group_RGS - low_RG1) / range_RG1
    kept_frac = (1 + clip.kept_frac) / 2  # the other half is given up at the other end
    least_RG1 = high_RG1 - range_RG1 * _quantile(1 - place_RGS, kept_frac, clip.num_bins)[..., None]
    most_RG1 = low_RG1 + range_RG1 * _quantile(place_RGS, kept_frac, clip.num_bins)[..., None]
    low_share, high_share = (
        (end / whole.where(whole != 0, 1.0)).clamp(0, 1)[..., 0]
        for end, whole in ((least_RG1, low_RG1), (most_RG1, high_RG1))
    )
    return low_share, high_share


def _quantile(place_RGS: Any, kept_frac: float, num_bins: int) -> Any:
    """Give the upper edge of the first bin up to which a share of each group's values lies; places are in [0, 1]."""
    torch = need("torch", extra="compress")
    bin_RGS = (place_RGS * num_bins).long().clamp_max(num_bins - 1)
    count_RGB = torch.zeros(*place_RGS.shape[:2], num_bins, device=place_RGS.device)
    count_RGB.scatter_add_(2, bin_RGS, torch.ones_like(place_RGS))
    wanted = kept_frac * place_RGS.shape[2] - 1e-3  # a thousandth of a value for rounding
    return ((count_RGB.cumsum(2) < wanted).sum(2) + 1).float() / num_bins
