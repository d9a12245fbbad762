"""A linear layer made from a weight on a quantisation grid, and the table that says which kernel multiplies.

On a CPU every way is taken in plain torch, which computes the same function: that is what the kernels are tested by.
The ways are this module's; which of them is fastest where is `benchmarks/linear_kernels.py`'s to say.
"""

import functools
from typing import Any, Literal, assert_never

from burnish.errors import BurnishError
from burnish.nn.kernels.eight_bit_linear import fp8_dynamic, int8_dynamic, int8_weight_only, restore_rows
from burnish.nn.kernels.int4_linear import MAX_ROWS, Int4Weight, int4_linear, pack_int4, restore_int4
from burnish.runtime import need

Held = Literal["int4", "int8", "fp8"]
Way = Literal["int4_kernel", "int8_kernel", "int_mm", "scaled_mm", "restored"]

# How a weight is held -> rows of activations at most (None: any number) -> the way; the first that fits is taken.
#   int4_kernel  4-bit weights, activations as they are
#   int8_kernel  8-bit integer weights, activations as they are
#   int_mm       8-bit integer weights, each row of activations rounded to 8-bit integers; from 17 rows on, torch's rule
#   scaled_mm    e4m3 weights, each row of activations rounded to e4m3
#   restored     the weight is restored in the activations' precision, for this one product
WAYS: dict[Held, tuple[tuple[int | None, Way], ...]] = {
    "int4": ((MAX_ROWS, "int4_kernel"), (None, "restored")),
    "int8": ((16, "int8_kernel"), (None, "int_mm")),
    "fp8": ((None, "scaled_mm"),),
}

_MULTIPLES: dict[Way, int] = {"int_mm": 8, "scaled_mm": 16}  # that inputs and outputs must be of, by torch's rules


def way_for(held: Held, num_rows: int, num_inputs: int, num_outputs: int) -> Way:
    """Choose a way from the table; `restored` where the shape is not one that it takes."""
    way = next(way for bound, way in WAYS[held] if bound is None or num_rows <= bound)
    multiple = _MULTIPLES.get(way, 1)
    return "restored" if num_inputs % multiple or num_outputs % multiple else way


def from_grid(values_OI: Any, scale_OG: Any, zero_OG: Any = None, *, num_bits: int, bias_O: Any = None) -> Any:
    """Make a `torch.nn.Module` of a weight `(values_OI - zero_OG) * scale_OG`, on the device of `values_OI`.

    Args:
        values_OI: int8, uint8 where there are zero points, or float8_e4m3fn, one value an element.
        scale_OG: a scale for each group of a row's inputs, or one for a row.
        num_bits: of an integer value. Up to 4 are held in 4, with groups of 32, 64, a multiple of 128 inputs or a
            row; more in 8, symmetric with a scale for a row.

    Raises:
        BurnishError: there is no kernel for such a grid.
    """
    torch = need("torch", extra="train")
    outputs, inputs = values_OI.shape
    if values_OI.dtype != torch.float8_e4m3fn and num_bits <= 4:
        packed = pack_int4(values_OI, scale_OG, zero_OG)
        tensors = {"words": packed.words_COW, "scale": packed.scale_GO, "zero": packed.zero_GO, "locks": packed.locks}
        return _layer()("int4", (inputs, outputs), tensors, bias_O, packed.group_size)
    if scale_OG.shape[1] != 1 or zero_OG is not None:
        raise BurnishError(
            f"{scale_OG.shape[1]} scales a row{'' if zero_OG is None else ' and zero points'} of 8 bits; "
            "kernels take one scale a row without zero points, or values of at most 4 bits"
        )
    held: Held = "fp8" if values_OI.dtype == torch.float8_e4m3fn else "int8"
    tensors = {
        "values": values_OI.contiguous(),
        "scale": scale_OG[:, 0].float().contiguous() if held == "fp8" else scale_OG[:, 0].contiguous(),
        "locks": torch.zeros(-(-outputs // 16), dtype=torch.int32, device=values_OI.device),
    }
    return _layer()(held, (inputs, outputs), tensors, bias_O)


@functools.cache
def _layer() -> Any:
    """Make the layer's class; torch is imported no earlier."""
    torch = need("torch", extra="train")

    class QuantizedLinear(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Multiply by a quantised weight; nothing of it trains. One stream at a time may run a layer.

        On a GPU activations are bf16; on a CPU any floats.
        """

        def __init__(self, held: Held, shape: tuple[int, int], tensors: Any, bias: Any, group_size: int = 0) -> None:
            super().__init__()
            self.held, self.group_size = held, group_size
            self.in_features, self.out_features = shape
            for name, tensor in tensors.items():
                self.register_buffer(name, tensor, persistent=name != "locks")
            self.register_buffer("bias", None if bias is None else bias.detach())

        def forward(self, x: Any) -> Any:
            if x.is_cuda and x.dtype != torch.bfloat16:
                raise BurnishError(f"activations are {x.dtype}; quantised layers take torch.bfloat16 on a GPU")
            x_MI = x.reshape(-1, self.in_features).contiguous()
            if not len(x_MI):
                return x.new_empty(*x.shape[:-1], self.out_features)
            return _multiply(self, x_MI).view(*x.shape[:-1], self.out_features)

        def extra_repr(self) -> str:
            return f"{self.in_features}, {self.out_features}, held as {self.held}"

    return QuantizedLinear


def _multiply(layer: Any, x_MI: Any) -> Any:
    """Multiply rows the way that the table says."""
    way = way_for(layer.held, len(x_MI), layer.in_features, layer.out_features)
    match way:
        case "int4_kernel":
            return int4_linear(x_MI, _int4(layer), layer.bias)
        case "int8_kernel":
            return int8_weight_only(x_MI, layer.values, layer.scale, layer.bias, layer.locks)
        case "int_mm":
            return int8_dynamic(x_MI, layer.values, layer.scale, layer.bias)
        case "scaled_mm":
            return fp8_dynamic(x_MI, layer.values, layer.scale, layer.bias)
        case "restored":
            bias = None if layer.bias is None else layer.bias.to(x_MI.dtype)
            return need("torch", extra="train").nn.functional.linear(x_MI, _restored(layer, x_MI.dtype), bias)
        case _:
            assert_never(way)


def _restored(layer: Any, dtype: Any) -> Any:
    if layer.held == "int4":
        return restore_int4(_int4(layer), dtype)
    return restore_rows(layer.values, layer.scale).to(dtype)


def _int4(layer: Any) -> Int4Weight:
    return Int4Weight(layer.words, layer.scale, layer.zero, layer.locks, layer.in_features, layer.group_size)
