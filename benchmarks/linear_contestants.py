"""What `linear_kernels.py` times: linear layers of one weight, ours and torch's own.

Every contestant brings its plain answer: the weight that it holds, and the activations as it rounds them, multiplied in
float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed, place
from burnish.nn.kernels.eight_bit_linear import round_rows
from burnish.nn.kernels.quantized_linear import from_grid, way_for

NAMES = ("bf16", "ours int4", "ours int8", "ours fp8", "torch int4", "torch int8", "torch fp8")
Call = Callable[[], Any]


class Unfit(Exception):
    """A contestant does not take these rows."""


@dataclass(frozen=True)
class Contestant:
    """A way to multiply.

    Attributes:
        calls: the same product, each by weights at another place in memory.
        answer: what each call should give, float32.
        weight_bytes: of one copy, scales counted.
        unit: whose rate bounds it: "bf16", "int8" or "fp8".
    """

    way: str
    calls: list[Call]
    answer: Any
    weight_bytes: int
    unit: str


def contestant(name: str, x: Any, weight: Any, num_copies: int, group: int) -> Contestant:
    """Make a contestant and its answer.

    Args:
        group: inputs that share a scale of a 4-bit weight.

    Raises:
        Unfit: it does not take such rows.
    """
    held: Any = name.rpartition(" ")[2]
    if held == "bf16":
        low = weight.bfloat16()
        calls = [bf16_call(low.clone(), x) for _ in range(num_copies)]
        return Contestant("F.linear", calls, x.float() @ low.float().t(), 2 * low.numel(), "bf16")
    placed = place(weight, grid_of(held, group))
    way, make = TORCH.get(name, ("", our_call))
    way = way or way_for(held, len(x), weight.shape[1], weight.shape[0])
    calls = [make(placed, x) for _ in range(num_copies)]
    rounds = {"int_mm": torch.int8, "scaled_mm": torch.float8_e4m3fn}.get(way.lstrip("_"))
    answer = as_multiplied(x, rounds) @ placed.dequantize().t()
    return Contestant(way, calls, answer, placed.num_bytes, "bf16" if rounds is None else held)


def grid_of(held: str, group: int) -> Grid:
    """Give the grid that weights lie on."""
    grids: dict[str, Grid] = {"int4": IntGrid(4, group), "int8": IntGrid(8), "fp8": Fp8Grid()}
    return grids[held]


def as_multiplied(x: Any, rounds: Any) -> Any:
    """Give activations in float32, rounded to `rounds` and restored where that is not None."""
    if rounds is None:
        return x.float()
    rounded, scale = round_rows(x, rounds)
    return rounded.float() * scale


def bf16_call(weight: Any, x: Any) -> Call:
    return lambda: torch.nn.functional.linear(x, weight)


def our_call(placed: Placed, x: Any) -> Call:
    layer = from_grid(placed.values_OI.clone(), placed.scale_OG.clone(), num_bits=placed.num_bits)
    return lambda: layer(x)


def tinygemm_call(placed: Placed, x: Any) -> Call:
    """torch's 4-bit kernel: values 0 to 15 less 8, times a bf16 scale."""
    held = placed.values_OI.int() + 8
    pairs = (held[:, ::2] << 4 | held[:, 1::2]).to(torch.uint8)
    packed = torch.ops.aten._convert_weight_to_int4pack(pairs, 8)
    scale = placed.scale_OG.t().bfloat16()
    scales = torch.stack([scale, torch.zeros_like(scale)], 2).contiguous()
    group = placed.values_OI.shape[1] // len(scale)
    return lambda: torch.ops.aten._weight_int4pack_mm(x, packed, group, scales)


def int_mm_call(placed: Placed, x: Any) -> Call:
    """The library's 8-bit product, with rounding and scaling in plain torch."""
    if len(x) <= 16:
        raise Unfit("torch._int_mm takes no fewer than 17 rows")
    weight, scale = placed.values_OI.clone().t(), placed.scale_OG[:, 0].float()

    def call() -> Any:
        rounded, x_scale = round_rows(x, torch.int8)
        return (torch._int_mm(rounded, weight) * x_scale * scale).to(x.dtype)

    return call


def scaled_mm_call(placed: Placed, x: Any) -> Call:
    """The library's e4m3 product, with rounding in plain torch."""
    weight, scale = placed.values_OI.clone().t(), placed.scale_OG.t().contiguous()

    def call() -> Any:
        rounded, x_scale = round_rows(x, torch.float8_e4m3fn)
        return torch._scaled_mm(rounded, weight, x_scale, scale, out_dtype=x.dtype, use_fast_accum=True)

    return call


TORCH: dict[str, tuple[str, Callable[[Placed, Any], Call]]] = {
    "torch int4": ("tinygemm", tinygemm_call),
    "torch int8": ("_int_mm", int_mm_call),
    "torch fp8": ("_scaled_mm", scaled_mm_call),
}
