"""Quantised layers: the table has one way for every number of rows, and a layer is the product that its grid stands for."""

import itertools
from typing import Any, get_args

import pytest
import torch
from kernel_place import apart

from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed, place
from burnish.errors import BurnishError
from burnish.nn.kernels.quantized_linear import WAYS, Held, Way, from_grid, way_for

GRIDS: list[Grid] = [IntGrid(4, 32), IntGrid(4, 128, is_symmetric=False), IntGrid(3), IntGrid(8), IntGrid(6), Fp8Grid()]
ROWS = (1, 2, 16, 17, 64, 65, 200)


def layer_of(weight: Placed, bias: Any = None) -> Any:
    return from_grid(weight.values_OI, weight.scale_OG, weight.zero_OG, num_bits=weight.num_bits, bias_O=bias)


def test_the_table_has_a_way_for_every_number_of_rows() -> None:
    assert set(WAYS) == set(get_args(Held))
    taken = {way for ways in WAYS.values() for _, way in ways}
    assert taken | {"restored"} == set(get_args(Way))
    for ways in WAYS.values():
        bounds = [bound for bound, _ in ways]
        assert bounds[-1] is None
        finite = [bound for bound in bounds if bound is not None]
        assert finite == sorted(set(finite))
        assert len(finite) == len(bounds) - 1


@pytest.mark.parametrize(
    ("held", "rows", "way"),
    [
        ("int4", 1, "int4_kernel"),
        ("int4", 64, "int4_kernel"),
        ("int4", 65, "restored"),
        ("int8", 1, "int8_kernel"),
        ("int8", 16, "int8_kernel"),
        ("int8", 17, "int_mm"),
        ("fp8", 1, "scaled_mm"),
        ("fp8", 4096, "scaled_mm"),
    ],
)
def test_ways_by_rows(held: Held, rows: int, way: Way) -> None:
    assert way_for(held, rows, 4096, 14336) == way


def test_no_library_gets_a_shape_that_it_refuses() -> None:
    for rows, inputs, outputs in itertools.product(range(1, 40), (96, 100, 104, 112), (96, 100, 104, 112)):
        if way_for("int8", rows, inputs, outputs) == "int_mm":
            assert (rows > 16, inputs % 8, outputs % 8) == (True, 0, 0)
        by_16 = inputs % 16 == 0 and outputs % 16 == 0
        assert way_for("fp8", rows, inputs, outputs) == ("scaled_mm" if by_16 else "restored")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("rows", ROWS)
def test_a_layer_is_the_product_its_grid_stands_for(grid: Grid, rows: int) -> None:
    weight, bias, x = place(torch.randn(48, 256), grid), torch.randn(48), torch.randn(rows, 256)
    layer = layer_of(weight, bias)
    expected = torch.nn.functional.linear(x, weight.dequantize(), bias)
    way = way_for(layer.held, rows, 256, 48)
    # rounding activations costs what 8 bits cost, and nothing else costs anything
    low, high = {"int_mm": (1e-4, 0.02), "scaled_mm": (1e-3, 0.05)}.get(way, (0.0, 1e-6))
    assert low <= apart(layer(x), expected) <= high


def test_odd_shapes_restore_the_weight() -> None:
    for grid in (IntGrid(8), Fp8Grid()):
        weight, x = place(torch.randn(13, 50), grid), torch.randn(40, 50)
        assert apart(layer_of(weight)(x), x @ weight.dequantize().t()) < 1e-6


def test_shapes_precisions_and_buffers() -> None:
    weight = place(torch.randn(48, 256), IntGrid(4, 64))
    layer, again = layer_of(weight, torch.randn(48)), layer_of(weight, torch.zeros(48))
    assert isinstance(layer, torch.nn.Module)
    assert layer(torch.randn(2, 3, 256)).shape == (2, 3, 48)
    assert layer(torch.randn(0, 256)).shape == (0, 48)
    assert layer(torch.randn(4, 512)[:, ::2]).shape == (4, 48)
    assert layer(torch.randn(3, 256).bfloat16()).dtype == torch.bfloat16
    assert not list(layer.parameters())
    assert set(layer.state_dict()) == {"words", "scale", "bias"}
    again.load_state_dict(layer.state_dict())
    x = torch.randn(5, 256)
    assert torch.equal(again(x), layer(x))
    assert "held as int4" in repr(layer)


@pytest.mark.parametrize("grid", [IntGrid(8, 64), IntGrid(8, is_symmetric=False), IntGrid(5, 32)])
def test_grids_without_a_kernel_are_refused(grid: Grid) -> None:
    with pytest.raises(BurnishError, match="one scale a row without zero points, or values of at most 4 bits"):
        layer_of(place(torch.randn(48, 256), grid))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("grid", GRIDS)
def test_on_a_gpu_a_layer_is_what_it_is_on_a_cpu(grid: Grid) -> None:
    weight, bias = place(torch.randn(48, 256), grid), torch.randn(48).bfloat16()
    here = layer_of(weight, bias)
    there = layer_of(weight, bias).cuda()
    for rows in ROWS:
        x = torch.randn(rows, 256).bfloat16()
        assert apart(there(x.cuda()), here(x)) < 1e-2
    with pytest.raises(BurnishError, match=r"activations are torch\.float16"):
        there(x.cuda().half())
