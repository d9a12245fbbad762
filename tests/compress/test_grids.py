"""Placing weights on grids."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from burnish.compress.grids import Fp8Grid, Grid, IntGrid, place
from burnish.errors import BurnishError, RecipeError

WEIGHTS = hnp.arrays(np.float32, (3, 16), elements=st.floats(-100, 100, width=32))


@given(
    WEIGHTS,
    st.sampled_from([IntGrid(8), IntGrid(8, 8), IntGrid(4, 8, is_symmetric=False), IntGrid(2, 8, is_symmetric=False)]),
)
def test_rounding_is_within_half_a_step(weight: np.ndarray, grid: IntGrid) -> None:
    placed = place(torch.tensor(weight), grid)
    step = placed.scale_OG.float().abs().repeat_interleave(16 // placed.scale_OG.shape[1], 1).numpy()
    error = np.abs(placed.dequantize().numpy() - weight)
    # half a step; a zero point is a whole number too, which may cost another half; and what float16 takes off the ends
    halves = 0.5 if grid.is_symmetric else 1.0
    assert (error <= halves * step + 2e-3 * np.abs(weight).max() + 1e-6).all()
    assert int(placed.values_OI.min()) >= grid.least
    assert int(placed.values_OI.max()) <= grid.most


@pytest.mark.parametrize("grid", [IntGrid(8), IntGrid(4, 32), IntGrid(4, 32, is_symmetric=False), Fp8Grid()], ids=str)
def test_placing_again_changes_nothing(grid: Grid) -> None:
    once = place(torch.randn(16, 64, generator=torch.Generator().manual_seed(0)), grid).dequantize()
    torch.testing.assert_close(place(once, grid).dequantize(), once, rtol=2e-3, atol=2e-3)


def test_more_bits_err_less() -> None:
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    errors = [float((place(weight, IntGrid(bits, 32)).dequantize() - weight).norm()) for bits in range(2, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 40 * errors[-1]


@pytest.mark.parametrize("weight", [torch.full((2, 8), float("nan")), torch.ones(8)])
def test_what_is_no_finite_matrix_is_refused(weight: torch.Tensor) -> None:
    with pytest.raises(BurnishError, match="finite matrix"):
        place(weight, IntGrid())


def test_a_group_that_does_not_divide_is_refused_with_one_that_does() -> None:
    with pytest.raises(BurnishError, match="group_size 64 does not divide 96 inputs; 32 does"):
        place(torch.ones(2, 96), IntGrid(4, 64))
    with pytest.raises(RecipeError, match="2 to 8"):
        IntGrid(9)
