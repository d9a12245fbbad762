"""Clipping of groups."""

import pytest
import torch

from burnish.compress.clip import MseClip, NoClip, PercentileClip, clip_of, unweighted
from burnish.compress.grids import Fp8Grid, Grid, IntGrid, place
from burnish.errors import RecipeError

GRIDS: tuple[Grid, ...] = (IntGrid(4, 32), IntGrid(3), IntGrid(4, 32, is_symmetric=False), IntGrid(8), Fp8Grid())


def heavy_tailed() -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(16, 128, generator=draw) ** 3


def group_errors(weight: torch.Tensor, grid: Grid, clip: float | torch.Tensor) -> torch.Tensor:
    placed = place(weight, grid, clip=clip)
    return (placed.dequantize() - weight).square().unflatten(1, (placed.scale_OG.shape[1], -1)).sum(2)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_the_clip_chosen_is_the_best_of_those_tried_group_by_group(grid: Grid) -> None:
    weight, clip = heavy_tailed(), MseClip(num_steps=6, least=0.4)
    found = group_errors(weight, grid, clip_of(weight, grid, clip))
    tried = torch.stack([group_errors(weight, grid, share) for share in torch.linspace(1, 0.4, 6).tolist()])
    torch.testing.assert_close(found, tried.amin(0))


def test_clipping_pays_at_few_bits_and_hardly_at_many() -> None:
    weight = heavy_tailed()
    gains = []
    for bits in (2, 8):
        clip = clip_of(weight, IntGrid(bits), MseClip())
        gains.append(
            float(group_errors(weight, IntGrid(bits), clip).sum() / group_errors(weight, IntGrid(bits), 1.0).sum())
        )
    assert gains[0] < 0.9
    assert gains[1] > 0.999


def test_weights_move_the_clip_to_what_the_inputs_use() -> None:
    weight = heavy_tailed()
    energy = torch.ones(128)
    energy[weight.abs().amax(0) > 3] = 0  # the outliers' inputs are never active
    weighted = clip_of(weight, IntGrid(3, 32), MseClip(is_weighted=True), energy_I=energy)
    plain = clip_of(weight, IntGrid(3, 32), MseClip())
    assert weighted.mean() < plain.mean()

    def seen_error(clip: torch.Tensor) -> torch.Tensor:
        return ((place(weight, IntGrid(3, 32), clip=clip).dequantize() - weight).square() * energy).sum()

    assert seen_error(weighted) < seen_error(plain)
    with pytest.raises(RecipeError, match="calibration text"):
        clip_of(weight, IntGrid(3, 32), MseClip(is_weighted=True))
    assert unweighted(MseClip(is_weighted=True)) == NoClip()
    assert unweighted(MseClip()) == MseClip()


@pytest.mark.parametrize("kept_frac", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("grid", [IntGrid(4, 32), IntGrid(4)], ids=str)
def test_a_percentile_keeps_its_share_to_a_bin(kept_frac: float, grid: IntGrid) -> None:
    weight = heavy_tailed()
    groups = weight.abs().unflatten(1, (-1, grid.group_size or 128))
    most = clip_of(weight, grid, PercentileClip(kept_frac)) * groups.amax(2)
    num_kept = (groups <= most[..., None]).sum(2)
    assert (num_kept >= kept_frac * groups.shape[2] - 1e-3).all()
    a_bin_less = most - groups.amax(2) / 256
    assert ((groups < a_bin_less[..., None]).sum(2) < kept_frac * groups.shape[2]).all()


@pytest.mark.parametrize("kept_frac", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("group_size", [32, None])
def test_a_percentile_gives_up_half_at_each_end_of_a_grid_with_zero_points(
    kept_frac: float, group_size: int | None
) -> None:
    weight, grid = heavy_tailed() + 0.7, IntGrid(4, group_size, is_symmetric=False)
    groups = weight.unflatten(1, (-1, group_size or 128))
    low, high = groups.amin(2).clamp_max(0), groups.amax(2).clamp_min(0)
    low_share, high_share = clip_of(weight, grid, PercentileClip(kept_frac))
    a_bin, given_up = (high - low) / 256, (1 - kept_frac) / 2 * groups.shape[2] + 1e-3
    for end, inwards in ((low * low_share, a_bin), (high * high_share, -a_bin)):
        sign = inwards.sign()[..., None]
        beyond = (sign * groups < sign * end[..., None] - 1e-5).sum(2)
        assert (beyond <= given_up).all()
        further = (sign * groups < sign * (end + 1.01 * inwards)[..., None]).sum(2)
        assert ((further > given_up) | (end == 0)).all()


def test_an_outlier_at_one_end_leaves_the_other_end_as_it_is() -> None:
    weight = torch.linspace(-1, 1, 128).repeat(2, 1)
    weight[:, 0] = -50.0
    grid, clip = IntGrid(4, is_symmetric=False), PercentileClip(0.98)
    low_share, high_share = clip_of(weight, grid, clip)
    assert bool((low_share * 50 < 1.3).all())
    assert bool((high_share > 0.75).all())
    seen = slice(1, None)
    clipped = place(weight, grid, clip=(low_share, high_share)).dequantize()
    assert float((clipped - weight)[:, seen].abs().max()) < 0.3
    assert float((place(weight, grid).dequantize() - weight)[:, seen].abs().max()) > 0.9


def test_no_clip_keeps_all_and_zeros_are_no_trouble() -> None:
    assert clip_of(heavy_tailed(), IntGrid(4), NoClip()) == 1.0
    zeros = torch.zeros(4, 64)
    for clip in (MseClip(), PercentileClip(0.9)):
        found = clip_of(zeros, IntGrid(4, 32), clip)
        assert bool(((found > 0) & (found <= 1)).all())
        assert not place(zeros, IntGrid(4, 32), clip=found).dequantize().any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: MseClip(num_steps=1),
        lambda: MseClip(least=1.0),
        lambda: PercentileClip(0.0),
        lambda: PercentileClip(1.1),
    ],
)
def test_bad_values_are_refused(make: object) -> None:
    with pytest.raises(RecipeError):
        make()  # type: ignore[operator]
