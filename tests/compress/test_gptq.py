"""GPTQ beside its naive form, and beside nearest rounding."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.compress.clip import NoClip
from burnish.compress.gptq import Gptq, SingularGram, gptq, output_error
from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed, place, round_to, scales_of
from burnish.errors import RecipeError

PAPER = Gptq(has_act_order=False, clip=NoClip())
GRIDS: tuple[Grid, ...] = (
    IntGrid(8), IntGrid(4), IntGrid(4, 32), IntGrid(3, 16, is_symmetric=False), IntGrid(4, is_symmetric=False), Fp8Grid(),
)  # fmt: skip


def made(seed: int, *, outputs: int = 24, inputs: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    """A weight, and the Gram matrix of inputs that go together, some far stronger than others."""
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, generator=draw)
    mixed = torch.randn(400, inputs, generator=draw) @ torch.randn(inputs, inputs, generator=draw)
    x = mixed * torch.logspace(-1, 1, inputs)[torch.randperm(inputs, generator=draw)]
    return weight, x.T @ x / len(x)


def naive(weight: torch.Tensor, gram: torch.Tensor, grid: Grid, *, damping: float, act_order: bool) -> torch.Tensor:
    """Round one column, spread its error by the inverse of what is left, take the column out of the inverse; repeat."""
    left = weight.double().clone()
    damped = gram.double() + damping * gram.double().diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    order = gram.diagonal().argsort(descending=True).tolist() if act_order else list(range(len(gram)))
    inverse = torch.linalg.inv(damped)
    found = torch.zeros_like(left)
    scale, zero = scales_of(weight, grid)
    size = weight.shape[1] // scale.shape[1]
    for column in order:
        group = column // size
        if not act_order and column % size == 0:
            some, none = scales_of(left[:, column : column + size].float(), grid)
            scale[:, group] = some[:, 0]
            if none is not None:
                zero[:, group] = none[:, 0]
        one_scale, one_zero = scale[:, [group]], None if zero is None else zero[:, [group]]
        values = round_to(left[:, [column]].float(), one_scale, one_zero, grid)
        found[:, column] = Placed(grid, values, one_scale, one_zero).dequantize()[:, 0].double()
        error = (left[:, column] - found[:, column]) / inverse[column, column]
        left -= error[:, None] * inverse[column]
        inverse = inverse - torch.outer(inverse[:, column], inverse[column]) / inverse[column, column]
        inverse[column, column] = 1.0  # taken out; never used again
    return found


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_blocks_give_what_column_by_column_gives(grid: Grid, act_order: bool) -> None:
    weight, gram = made(0)
    config = Gptq(block_columns=40, has_act_order=act_order, clip=NoClip())  # 40 divides neither groups nor columns
    expected = naive(weight, gram, grid, damping=config.damping_frac, act_order=act_order).float()
    found = gptq(weight, gram, grid, config).dequantize()
    plain = place(weight, grid).dequantize()
    is_swept = output_error(weight, expected, gram) < output_error(weight, plain, gram)
    expected = torch.where(is_swept[:, None], expected, plain)
    # a tie that float32 and float64 break differently changes the rest of its row
    same_rows = torch.isclose(found, expected, rtol=1e-5, atol=1e-6).all(1)
    assert same_rows.float().mean() >= 0.8
    assert is_swept.float().mean() > 0.5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(GRIDS), st.booleans())
def test_it_never_errs_more_than_nearest_rounding(seed: int, grid: Grid, act_order: bool) -> None:
    weight, gram = made(seed, outputs=8, inputs=32)
    found = gptq(weight, gram, grid, Gptq(block_columns=16, has_act_order=act_order, clip=NoClip()))
    error = output_error(weight, found.dequantize(), gram)
    nearest = output_error(weight, place(weight, grid).dequantize(), gram)
    assert (error <= nearest * (1 + 1e-4)).all()


@pytest.mark.parametrize(
    ("config", "most"), [(PAPER, 0.65), (replace(PAPER, has_act_order=True), 0.45), (Gptq(has_act_order=False), 0.45)]
)
def test_it_errs_far_less_where_inputs_go_together(config: Gptq, most: float) -> None:
    weight, gram = made(1)
    found = gptq(weight, gram, IntGrid(4, 32), config)
    nearest = output_error(weight, place(weight, IntGrid(4, 32)).dequantize(), gram)
    assert output_error(weight, found.dequantize(), gram).sum() < most * nearest.sum()


def test_what_it_gives_lies_on_the_grid() -> None:
    weight, gram = made(2)
    found = gptq(weight, gram, IntGrid(4, 32, is_symmetric=False), Gptq(has_act_order=True))
    assert found.values_OI.dtype == torch.uint8
    assert int(found.values_OI.max()) <= 15
    assert found.scale_OG.shape == found.zero_OG.shape == (24, 3)
    assert found.scale_OG.dtype == torch.float16


def test_an_input_that_was_never_active_is_rounded_to_the_nearest() -> None:
    weight, gram = made(3)
    gram[5], gram[:, 5] = 0, 0
    found = gptq(weight, gram, IntGrid(8), PAPER)
    step = found.scale_OG.float()[:, 0]
    assert ((found.dequantize()[:, 5] - weight[:, 5]).abs() <= 0.51 * step).all()


@pytest.mark.parametrize("gram", [torch.zeros(32, 32), torch.full((32, 32), float("nan")), -torch.eye(32)])
def test_a_matrix_without_an_inverse_is_told(gram: torch.Tensor) -> None:
    with pytest.raises(SingularGram, match="more calibration text"):
        gptq(torch.randn(4, 32, generator=torch.Generator().manual_seed(0)), gram, IntGrid(4, 32), Gptq())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    weight, gram = made(4, outputs=64, inputs=256)
    config = Gptq()
    expected = output_error(weight, gptq(weight, gram, IntGrid(4, 32), config).dequantize(), gram)
    found = gptq(weight.cuda(), gram.cuda(), IntGrid(4, 32), config).dequantize()
    assert found.is_cuda
    error = output_error(weight, found.cpu(), gram)
    assert abs(float(error.sum() / expected.sum()) - 1) < 0.02  # ties that fall otherwise change a row's rest


def test_bad_values_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"damping_frac is -0\.1"):
        Gptq(damping_frac=-0.1)
