"""8-bit weights: rows round to what they span, products are those of what was rounded, and the kernels agree."""

from typing import Any

import pytest
import torch
from kernel_place import CLOSE, DTYPE, PLACE, apart, needs_kernels, poison_empty

from burnish.compress.grids import Fp8Grid, IntGrid, place
from burnish.nn.kernels.eight_bit_linear import (
    fp8_dynamic,
    int8_dynamic,
    int8_weight_only,
    launch_int8,
    launch_quantize_rows,
    launch_rescale,
    quantize_rows,
    restore_rows,
)
from burnish.nn.kernels.int4_linear import Tile

MOST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}


def rows_of_unlike_size(rows: int, inputs: int) -> Any:
    return torch.randn(rows, inputs) * torch.logspace(-3, 3, rows)[:, None]


@pytest.mark.parametrize(("dtype", "step"), [(torch.int8, 0.5 / 127), (torch.float8_e4m3fn, 16.0 / 448)])
def test_a_row_rounds_by_its_own_largest(dtype: Any, step: float) -> None:
    x = rows_of_unlike_size(7, 100)
    x[3] = 0
    rounded, scale = quantize_rows(x, dtype)
    largest = x.abs().amax(1, keepdim=True)
    assert ((rounded.float() * scale - x).abs() <= largest * step * 1.0001).all()
    assert (rounded.float().abs().amax(1) == torch.where(largest[:, 0] > 0, MOST[dtype], 0.0)).all()
    assert (scale > 0).all()


@pytest.mark.parametrize("has_bias", [False, True])
def test_products_are_those_of_what_was_rounded(has_bias: bool) -> None:
    x, bias = rows_of_unlike_size(19, 96), torch.randn(40) if has_bias else None
    locks = torch.zeros(3, dtype=torch.int32)
    weight = place(torch.randn(40, 96), IntGrid(8))
    held = (weight.values_OI, weight.scale_OG[:, 0])
    assert torch.equal(restore_rows(*held), weight.dequantize())
    exact = torch.nn.functional.linear(x, weight.dequantize(), bias)
    assert apart(int8_weight_only(x, *held, bias, locks), exact) < 1e-6
    rounded, scale = quantize_rows(x, torch.int8)
    expected = torch.nn.functional.linear(rounded.float() * scale, weight.dequantize(), bias)
    assert apart(int8_dynamic(x, *held, bias), expected) < 1e-6
    weight = place(torch.randn(40, 96), Fp8Grid())
    rounded, scale = quantize_rows(x, torch.float8_e4m3fn)
    expected = torch.nn.functional.linear(rounded.float() * scale, weight.dequantize(), bias)
    assert apart(fp8_dynamic(x, weight.values_OI, weight.scale_OG[:, 0], bias), expected) < 1e-6


@needs_kernels
@pytest.mark.parametrize(("outputs", "inputs"), [(40, 128), (33, 200), (70, 130)])
@pytest.mark.parametrize(
    ("rows", "tile"), [(1, Tile(16, 64, 2)), (3, None), (16, Tile(32, 32, 3)), (16, Tile(64, 128, 1))]
)
def test_the_int8_kernel_is_the_oracle(
    monkeypatch: pytest.MonkeyPatch, outputs: int, inputs: int, rows: int, tile: Tile | None
) -> None:
    poison_empty(monkeypatch)
    weight = place(torch.randn(outputs, inputs), IntGrid(8))
    locks = torch.zeros(-(-outputs // 16), dtype=torch.int32, device=PLACE)
    for bias in (None, torch.randn(outputs)):
        x = torch.randn(rows, inputs).to(DTYPE)
        found = launch_int8(
            x.to(PLACE), weight.values_OI.to(PLACE), weight.scale_OG[:, 0].contiguous().to(PLACE),
            None if bias is None else bias.to(PLACE, DTYPE), locks, tile=tile,
        )  # fmt: skip
        assert apart(found, torch.nn.functional.linear(x.float(), weight.dequantize(), bias)) < CLOSE
        assert not locks.any()


@needs_kernels
@pytest.mark.parametrize("inputs", [1, 100, 128, 1500])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kernel_rounds_as_torch_does(monkeypatch: pytest.MonkeyPatch, inputs: int, dtype: Any) -> None:
    poison_empty(monkeypatch)
    x = rows_of_unlike_size(5, inputs).to(dtype)
    x[2] = 0
    for found, expected in zip(
        launch_quantize_rows(x.to(PLACE), torch.int8), quantize_rows(x, torch.int8), strict=True
    ):
        assert torch.equal(found.cpu(), expected)
    # numbers that e4m3 has, times a power of two: the interpreter's own rounding to e4m3 is not torch's
    exact = (torch.randn(5, inputs) * 50).to(torch.float8_e4m3fn).float()
    exact[:, 0] = 448.0
    x = (exact * torch.tensor([0.25, 1.0, 8.0, 2.0**-10, 2.0**10])[:, None]).to(dtype)
    found, scale = launch_quantize_rows(x.to(PLACE), torch.float8_e4m3fn)
    assert torch.equal(found.cpu().float(), exact)
    assert torch.equal(found.cpu().float() * scale.cpu(), x.float())


@needs_kernels
@pytest.mark.parametrize("outputs", [3, 1024, 1500])
def test_the_kernel_scales_integer_sums(monkeypatch: pytest.MonkeyPatch, outputs: int) -> None:
    poison_empty(monkeypatch)
    sums = torch.randint(-(10**6), 10**6, (4, outputs), dtype=torch.int32)
    x_scale, scale, bias = torch.rand(4, 1), torch.rand(outputs).half(), torch.randn(outputs)
    expected = sums.double() * x_scale * scale
    for added in (None, bias):
        on_place = [each if each is None else each.to(PLACE) for each in (sums, x_scale, scale, added)]
        found = launch_rescale(on_place[0], on_place[1], on_place[2], on_place[3], torch.float32)
        assert apart(found, expected if added is None else expected + bias) < 1e-6
