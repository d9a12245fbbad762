"""Linear layers whose weights are 8-bit integers or floats (e4m3), with a scale for each output.

For few rows integers meet 16-bit activations. Else activations are rounded too, each row by its own largest magnitude,
and the library multiplies 8 bits by 8 bits.

Legend: M rows of activations, O outputs, I inputs.
"""

import functools
from typing import Any

from burnish.nn.kernels.int4_linear import Tile
from burnish.runtime import need

_MOST = {"torch.int8": 127.0, "torch.float8_e4m3fn": 448.0}
_TINY = 1e-12  # scale of a row of zeros
_PROGRAMS = 264  # two for each of an H100's 132 multiprocessors; a choice made before any was timed
_INT8_TILE = Tile(block_n=64, block_k=128, num_warps=4, num_stages=4)
_RESCALED_OUTPUTS = 1024


def int8_weight_only(x_MI: Any, values_OI: Any, scale_O: Any, bias_O: Any, locks: Any) -> Any:
    """Multiply at most 16 rows of 16-bit activations."""
    if x_MI.is_cuda:
        return launch_int8(x_MI, values_OI, scale_O, bias_O, locks)
    torch = need("torch", extra="train")
    bias_O = None if bias_O is None else bias_O.float()
    return torch.nn.functional.linear(x_MI.float(), restore_rows(values_OI, scale_O), bias_O).to(x_MI.dtype)


def int8_dynamic(x_MI: Any, values_OI: Any, scale_O: Any, bias_O: Any) -> Any:
    """Multiply rows rounded to 8-bit integers by `torch._int_mm`, which on a GPU takes no fewer than 17 rows."""
    torch = need("torch", extra="train")
    rounded_MI, x_scale_M1 = quantize_rows(x_MI, torch.int8)
    sums_MO = torch._int_mm(rounded_MI, values_OI.t())  # column-major, which an H100 multiplies seven times as fast
    if x_MI.is_cuda:
        return launch_rescale(sums_MO, x_scale_M1, scale_O, bias_O, x_MI.dtype)
    return _with_bias(sums_MO.float() * x_scale_M1 * scale_O.float(), bias_O).to(x_MI.dtype)


def fp8_dynamic(x_MI: Any, values_OI: Any, scale_O: Any, bias_O: Any) -> Any:
    """Multiply rows rounded to e4m3 by `torch._scaled_mm`, whose inputs and outputs are multiples of 16."""
    torch = need("torch", extra="train")
    rounded_MI, x_scale_M1 = quantize_rows(x_MI, torch.float8_e4m3fn)
    if x_MI.is_cuda:
        bias_O = None if bias_O is None else bias_O.to(x_MI.dtype)
        return torch._scaled_mm(
            rounded_MI, values_OI.t(), scale_a=x_scale_M1, scale_b=scale_O[None, :], bias=bias_O, out_dtype=x_MI.dtype,
            use_fast_accum=True,
        )  # fmt: skip
    whole = restore_rows(values_OI, scale_O)
    return _with_bias((rounded_MI.float() * x_scale_M1) @ whole.t(), bias_O).to(x_MI.dtype)


def quantize_rows(x_MI: Any, dtype: Any) -> tuple[Any, Any]:
    """Round each row by its largest magnitude.

    Returns:
        the numbers in `dtype` (int8 or float8_e4m3fn), and the rows' float32 scales (M, 1).
    """
    return launch_quantize_rows(x_MI, dtype) if x_MI.is_cuda else round_rows(x_MI, dtype)


def round_rows(x_MI: Any, dtype: Any) -> tuple[Any, Any]:
    """Give what `quantize_rows` gives, in plain torch on any device."""
    torch = need("torch", extra="train")
    most = _MOST[str(dtype)]
    scale_M1 = (x_MI.float().abs().amax(1, keepdim=True) / most).clamp_min(_TINY)
    scaled_MI = (x_MI.float() * (1 / scale_M1)).clamp(-most, most)
    return (scaled_MI.round() if dtype == torch.int8 else scaled_MI).to(dtype), scale_M1


def restore_rows(values_OI: Any, scale_O: Any) -> Any:
    """Give the float32 weight that values with a scale a row stand for."""
    return values_OI.float() * scale_O.float()[:, None]


def launch_int8(
    x_MI: Any, values_OI: Any, scale_O: Any, bias_O: Any, locks: Any, *, tile: Tile | None = None
) -> Any:  # fmt: skip
    """Multiply by the kernel: contiguous bf16 rows; `locks` as `Int4Weight` has them."""
    torch = need("torch", extra="train")
    (rows, inputs), outputs = x_MI.shape, values_OI.shape[0]
    tile = tile or _INT8_TILE
    fill = max(1, min(-(-inputs // tile.block_k), round(_PROGRAMS * tile.block_n / outputs)))
    parts = tile.split_k or fill
    y_MO = torch.empty(rows, outputs, dtype=x_MI.dtype, device=x_MI.device)
    sums = torch.empty(parts, rows, outputs, dtype=torch.float32, device=x_MI.device) if parts > 1 else y_MO
    _kernels().int8_kernel[(-(-outputs // tile.block_n), parts)](
        x_MI, values_OI, scale_O, y_MO if bias_O is None else bias_O, y_MO, sums, locks, rows, outputs, inputs,
        BLOCK_M=max(16, 1 << (rows - 1).bit_length()), BLOCK_N=tile.block_n, BLOCK_K=tile.block_k, SPLIT_K=parts,
        HAS_BIAS=bias_O is not None, num_warps=tile.num_warps, num_stages=tile.num_stages,
    )  # fmt: skip
    return y_MO


def launch_quantize_rows(x_MI: Any, dtype: Any) -> tuple[Any, Any]:
    """Round contiguous rows by the kernel, a program a row."""
    torch = need("torch", extra="train")
    rows, inputs = x_MI.shape
    block = 1 << (inputs - 1).bit_length()
    rounded_MI = torch.empty(rows, inputs, dtype=dtype, device=x_MI.device)
    scale_M1 = torch.empty(rows, 1, dtype=torch.float32, device=x_MI.device)
    _kernels().quantize_rows_kernel[(rows,)](
        x_MI, rounded_MI, scale_M1, inputs, most=_MOST[str(dtype)], BLOCK=block,
        num_warps=max(4, min(32, block // 1024)),
    )  # fmt: skip
    return rounded_MI, scale_M1


def launch_rescale(sums_MO: Any, x_scale_M1: Any, scale_O: Any, bias_O: Any, dtype: Any) -> Any:
    """Scale integer sums by the kernel."""
    torch = need("torch", extra="train")
    rows, outputs = sums_MO.shape
    y_MO = torch.empty(rows, outputs, dtype=dtype, device=sums_MO.device)
    _kernels().rescale_kernel[(rows, -(-outputs // _RESCALED_OUTPUTS))](
        sums_MO, x_scale_M1, scale_O, y_MO if bias_O is None else bias_O, y_MO, outputs,
        BLOCK=_RESCALED_OUTPUTS, HAS_BIAS=bias_O is not None,
    )  # fmt: skip
    return y_MO


def _with_bias(y_MO: Any, bias_O: Any) -> Any:
    return y_MO if bias_O is None else y_MO + bias_O.float()


@functools.cache
def _kernels() -> Any:
    """Make the kernels; Triton is imported no earlier."""
    need("triton", extra="train")
    from burnish.nn.kernels import eight_bit_linear_triton

    return eight_bit_linear_triton
