"""The kernels of `eight_bit_linear`; imported where there is a GPU only.

Legend: M rows of activations, N outputs, K inputs.
"""

# mypy: ignore-errors

import triton
import triton.language as tl

from burnish.nn.kernels.split_k_triton import finish


@triton.jit
def int8_kernel(
    x, values, scales, bias, y, partials, locks, M, N, K,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, SPLIT_K: tl.constexpr, HAS_BIAS: tl.constexpr,
):  # fmt: skip
    """Multiply BLOCK_N outputs' integers by all rows, over every SPLIT_K-th block of inputs, and scale the sums."""
    part = tl.program_id(1)
    m, k = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_K)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    at_x = x + m[:, None] * K + k[None, :]
    at_w = values + rows.to(tl.int64)[:, None] * K + k[None, :]
    acc_MN = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(part, tl.cdiv(K, BLOCK_K), SPLIT_K):
        inside = block * BLOCK_K + k < K
        x_MK = tl.load(at_x + block * BLOCK_K, mask=(m < M)[:, None] & inside[None, :], other=0.0)
        w_NK = tl.load(at_w + block * BLOCK_K, mask=(rows < N)[:, None] & inside[None, :], other=0)
        acc_MN = tl.dot(x_MK, tl.trans(w_NK.to(x.dtype.element_ty)), acc_MN, input_precision="ieee")
    scale_N = tl.load(scales + rows, mask=rows < N, other=0.0).to(tl.float32)
    finish(acc_MN * scale_N[None, :], bias, y, partials, locks, M, N, m, rows, SPLIT_K, HAS_BIAS)


@triton.jit
def quantize_rows_kernel(x, out, scales, K, most: tl.constexpr, BLOCK: tl.constexpr):
    """Find the largest magnitude of a row and round the row to what it spans; one read, one write."""
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    numbers = tl.load(x + row * K + k, mask=k < K, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.div_rn(tl.max(tl.abs(numbers), 0), most), 1e-12)
    scaled = tl.minimum(tl.maximum(numbers * tl.div_rn(1.0, scale), -most), most)
    if out.dtype.element_ty == tl.int8:
        scaled = (scaled + 12582912.0) - 12582912.0  # 1.5 * 2^23: rounds halves to even, as torch does
    tl.store(out + row * K + k, scaled.to(out.dtype.element_ty), mask=k < K)
    tl.store(scales + row, scale)


@triton.jit
def rescale_kernel(sums, x_scales, scales, bias, y, N, BLOCK: tl.constexpr, HAS_BIAS: tl.constexpr):
    """Scale BLOCK integer sums of a row, and add the bias."""
    row = tl.program_id(0).to(tl.int64)
    rows = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = rows < N
    total = tl.load(sums + row * N + rows, mask=inside, other=0).to(tl.float32)
    total *= tl.load(x_scales + row) * tl.load(scales + rows, mask=inside, other=0.0).to(tl.float32)
    if HAS_BIAS:
        total += tl.load(bias + rows, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + row * N + rows, total.to(y.dtype.element_ty), mask=inside)
