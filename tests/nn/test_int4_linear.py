"""4-bit weights: every integer comes back from its word, and products are those of the restored weight, by both ways."""

from typing import Any

import pytest
import torch
from kernel_place import CLOSE, DTYPE, PLACE, apart, needs_kernels, poison_empty

from burnish.compress.grids import IntGrid, Placed, place
from burnish.errors import BurnishError
from burnish.nn.kernels.int4_linear import (
    MAX_ROWS,
    TILES,
    Int4Weight,
    Tile,
    int4_linear,
    launch_int4,
    launch_restore,
    pack_int4,
    restore_int4,
    tile_for,
    unpack_int4,
)

# outputs, inputs, group (None: a row), symmetric
GRIDS = [
    (40, 128, 128, True),
    (33, 384, 128, False),
    (40, 256, 32, True),
    (17, 416, 32, False),
    (70, 320, 64, False),
    (24, 200, None, True),
    (8, 1024, 512, False),
]


def placed(outputs: int, inputs: int, group: int | None, is_symmetric: bool, *, num_bits: int = 4) -> Placed:
    """A random weight with rows of very unlike sizes, so that no scale can stand for another."""
    weight = torch.randn(outputs, inputs) * torch.rand(outputs, 1).add(0.1) + 0.3 * torch.rand(outputs, 1)
    return place(weight, IntGrid(num_bits, group, is_symmetric))


def packed(weight: Placed, where: str = "cpu") -> Int4Weight:
    parts = (weight.values_OI, weight.scale_OG, weight.zero_OG)
    return pack_int4(*(each if each is None else each.to(where) for each in parts))


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("num_bits", [2, 4])
def test_packing_keeps_every_integer_and_scale(grid: Any, num_bits: int) -> None:
    weight = placed(*grid, num_bits=num_bits)
    held = packed(weight)
    assert torch.equal(unpack_int4(held).int(), weight.values_OI.int() + 8 * grid[3])
    assert torch.equal(restore_int4(held, torch.float32), weight.dequantize())
    assert held.words_COW.is_contiguous()
    assert held.words_COW.numel() * 8 == grid[0] * -(-grid[1] // 128) * 128


@pytest.mark.parametrize("k", [0, 1, 2, 7, 8, 31, 32, 127, 128, 255])
def test_an_integer_lies_where_the_kernel_looks_for_it(k: int) -> None:
    values = torch.zeros(3, 256, dtype=torch.uint8)
    values[1, k] = 15
    words = pack_int4(values, torch.ones(3, 2).half(), torch.zeros(3, 2, dtype=torch.uint8)).words_COW
    chunk, i, s, t, b = k // 128, k // 32 % 4, k // 8 % 4, k // 2 % 4, k % 2
    assert words.nonzero().tolist() == [[chunk, 1, 4 * t + i]]
    assert int(words[chunk, 1, 4 * t + i]) & 0xFFFFFFFF == 15 << (4 * s + 16 * b)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_product_is_that_of_the_restored_weight(grid: Any) -> None:
    weight, x, bias = placed(*grid), torch.randn(3, grid[1]), torch.randn(grid[0])
    expected = torch.nn.functional.linear(x, weight.dequantize(), bias)
    assert apart(int4_linear(x, packed(weight), bias), expected) < 1e-6
    low = int4_linear(x.bfloat16(), packed(weight))
    assert low.dtype == torch.bfloat16
    assert apart(low, x.bfloat16().float() @ weight.dequantize().t()) < 5e-3


def test_what_the_kernel_has_no_place_for_is_refused() -> None:
    with pytest.raises(BurnishError, match=r"16 groups of 256 inputs; 4-bit kernels take groups of \(32, 64, 128\)"):
        packed(placed(4, 256, 16, True))
    with pytest.raises(BurnishError, match="do not fit 4 bits"):
        packed(placed(4, 256, 64, True, num_bits=5))
    with pytest.raises(BurnishError, match="65 rows; the 4-bit kernel takes at most 64"):
        launch_int4(torch.zeros(65, 128), packed(placed(8, 128, 128, True)))


def test_every_number_of_rows_has_a_tile_whose_parts_all_have_work() -> None:
    bounds = [bound for bound, _ in TILES]
    assert bounds == sorted(set(bounds))
    assert bounds[-1] == MAX_ROWS
    for rows in range(1, MAX_ROWS + 1):
        for outputs, inputs in ((8, 32), (4096, 4096), (14336, 4096), (4096, 14336), (128256, 2048)):
            tile = tile_for(rows, outputs, inputs)
            assert tile.split_k is not None
            assert 1 <= tile.split_k <= -(-inputs // tile.block_k)
    assert (tile_for(1, 128256, 4096).split_k or 0) < (tile_for(1, 4096, 4096).split_k or 0)


@needs_kernels
@pytest.mark.parametrize(
    ("rows", "tile"),
    [
        (1, Tile(16, 128, 1)),
        (1, None),
        (3, Tile(32, 128, 2)),
        (3, Tile(32, 256, 1)),
        (17, Tile(32, 256, 2)),
        (64, Tile(64, 128, 3)),
    ],
)
@pytest.mark.parametrize("grid", GRIDS)
def test_the_kernel_is_the_oracle(monkeypatch: pytest.MonkeyPatch, grid: Any, rows: int, tile: Tile | None) -> None:
    poison_empty(monkeypatch)
    weight = placed(*grid)
    held = packed(weight, PLACE)
    for bias in (None, torch.randn(grid[0])):
        x = torch.randn(rows, grid[1]).to(DTYPE)
        on_place = None if bias is None else bias.to(PLACE, DTYPE)
        found = launch_int4(x.to(PLACE), held, on_place, tile=tile)
        expected = torch.nn.functional.linear(x.float(), weight.dequantize(), bias)
        assert apart(found, expected) < CLOSE
        assert not held.locks.any()


@needs_kernels
def test_equal_calls_give_equal_bits() -> None:
    held, x = packed(placed(40, 1024, 128, True), PLACE), torch.randn(5, 1024).to(PLACE, DTYPE)
    first, second = (launch_int4(x, held, tile=Tile(32, 128, 4)) for _ in range(2))
    assert torch.equal(first, second)


@needs_kernels
@pytest.mark.parametrize("grid", GRIDS)
def test_the_kernel_restores_every_weight(monkeypatch: pytest.MonkeyPatch, grid: Any) -> None:
    poison_empty(monkeypatch)
    weight = placed(*grid)
    assert torch.equal(launch_restore(packed(weight, PLACE), torch.float32).cpu(), weight.dequantize())
    low = launch_restore(packed(weight, PLACE), torch.bfloat16).cpu()
    assert apart(low, weight.dequantize()) < 4e-3
