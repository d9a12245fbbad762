"""The kernels of `int4_linear`; imported where there is a GPU only.

Legend: M rows of activations, N outputs, K inputs, C chunks of 128 inputs, G groups of a block of inputs; T, I, B, S place
an input in its chunk, as `int4_linear` says.
"""

# mypy: ignore-errors

import triton
import triton.language as tl

from burnish.nn.kernels.split_k_triton import finish


@triton.jit
def int4_kernel(
    x, words, scales, zeros, bias, y, partials, locks, M, N, K, num_chunks, num_groups,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, SPLIT_K: tl.constexpr,
    GROUP: tl.constexpr, HAS_ZERO: tl.constexpr, HAS_BIAS: tl.constexpr,
):  # fmt: skip
    """Multiply BLOCK_N outputs' weights by all rows, over every SPLIT_K-th block of inputs."""
    CHUNKS: tl.constexpr = BLOCK_K // 128
    GROUPS: tl.constexpr = BLOCK_K // GROUP
    dtype: tl.constexpr = x.dtype.element_ty
    part = tl.program_id(1)
    m, k = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_K)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    chunk, group = tl.arange(0, CHUNKS), tl.arange(0, GROUPS)[None, :]
    at_x = x + m[:, None] * K + k[None, :]
    at_w = words + part.to(tl.int64) * CHUNKS * N * 16 + _places(rows, chunk, N)
    at_group = group * N + rows[:, None]
    at_first, of_first = part * GROUPS * N + at_group, part * GROUPS + group
    scale_NG = _of_groups(scales, at_first, of_first, num_groups, rows, N)
    zero_NG = _of_groups(zeros, at_first, of_first, num_groups, rows, N) if HAS_ZERO else scale_NG
    acc_MN = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for block in range(part, tl.cdiv(num_chunks, CHUNKS), SPLIT_K):
        x_MK = tl.load(at_x + block * BLOCK_K, mask=(m < M)[:, None] & (block * BLOCK_K + k < K)[None, :], other=0.0)
        inside = (rows < N)[None, :] & (block * CHUNKS + chunk < num_chunks)[:, None]
        w_CNTI = tl.load(at_w, mask=inside[:, :, None, None], other=0)
        # the compiler pipelines what is wide enough to copy to shared memory; scales are fetched one block ahead by hand
        ahead = block + SPLIT_K
        at_next, of_next = ahead * GROUPS * N + at_group, ahead * GROUPS + group
        next_NG = _of_groups(scales, at_next, of_next, num_groups, rows, N)
        next_zero_NG = _of_groups(zeros, at_next, of_next, num_groups, rows, N) if HAS_ZERO else next_NG
        q_NK = _integers(w_CNTI, zero_NG, BLOCK_N, BLOCK_K, GROUPS, HAS_ZERO).to(dtype)
        q_NK -= tl.full((1, 1), 144.0 if HAS_ZERO else 136.0, tl.float32).to(dtype)
        if GROUPS == 1:  # integers multiply exactly, and their sum is scaled
            scale_N = tl.reshape(scale_NG, (BLOCK_N,)).to(tl.float32)
            acc_MN += tl.dot(x_MK, tl.trans(q_NK), input_precision="ieee") * scale_N[None, :]
        else:
            q_NGK = tl.reshape(q_NK, (BLOCK_N, GROUPS, GROUP)) * scale_NG.to(dtype)[:, :, None]
            acc_MN = tl.dot(x_MK, tl.trans(tl.reshape(q_NGK, (BLOCK_N, BLOCK_K))), acc_MN, input_precision="ieee")
        scale_NG, zero_NG = next_NG, next_zero_NG
        at_w += SPLIT_K * CHUNKS * N * 16
    finish(acc_MN, bias, y, partials, locks, M, N, m, rows, SPLIT_K, HAS_BIAS)


@triton.jit
def restore_kernel(
    words, scales, zeros, out, N, K, num_groups,
    BLOCK_N: tl.constexpr, GROUP: tl.constexpr, HAS_ZERO: tl.constexpr,
):  # fmt: skip
    """Write the weight that BLOCK_N outputs have for one chunk of inputs."""
    GROUPS: tl.constexpr = 128 // GROUP
    chunk = tl.program_id(1)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    k, group = tl.arange(0, 128), chunk * GROUPS + tl.arange(0, GROUPS)[None, :]
    at_w = words + chunk.to(tl.int64) * N * 16 + _places(rows, tl.arange(0, 1), N)
    w_CNTI = tl.load(at_w, mask=(rows < N)[None, :, None, None], other=0)
    scale_NG = _of_groups(scales, group * N + rows[:, None], group, num_groups, rows, N)
    zero_NG = _of_groups(zeros, group * N + rows[:, None], group, num_groups, rows, N) if HAS_ZERO else scale_NG
    q_NK = _integers(w_CNTI, zero_NG, BLOCK_N, 128, GROUPS, HAS_ZERO).to(tl.float32) - (144 if HAS_ZERO else 136)
    w_NGK = tl.reshape(q_NK, (BLOCK_N, GROUPS, GROUP)) * scale_NG.to(tl.float32)[:, :, None]
    w_NK = tl.reshape(w_NGK, (BLOCK_N, 128))
    at = rows.to(tl.int64)[:, None] * K + chunk * 128 + k[None, :]
    tl.store(out + at, w_NK.to(out.dtype.element_ty), mask=(rows < N)[:, None] & (chunk * 128 + k < K)[None, :])


@triton.jit
def _places(rows, chunk, N):
    """Give the words of each thread's 16 bytes, next to each other: (C, N, T, I)."""
    quarter, index = tl.arange(0, 4)[None, None, :, None], tl.arange(0, 4)[None, None, None, :]
    return (chunk[:, None, None, None] * N + rows[None, :, None, None]) * 16 + quarter * 4 + index


@triton.jit
def _of_groups(numbers, at, group, num_groups, rows, N):
    return tl.load(numbers + at, mask=(rows < N)[:, None] & (group < num_groups), other=0)


@triton.jit
def _integers(
    w_CNTI, zero_NG, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUPS: tl.constexpr, HAS_ZERO: tl.constexpr
):  # fmt: skip
    """Give 144 + q - zero of the words' integers as bf16 numbers, or 128 + q without zero points, (N, K).

    The integers are written straight into the mantissa, two to an operation, and a thread's numbers are those that the
    matrix instruction wants of it: nothing passes through shared memory.
    """
    CHUNKS: tl.constexpr = BLOCK_K // 128
    w_NCIT = tl.permute(w_CNTI, (1, 0, 3, 2))
    if HAS_ZERO:
        added_NG = (16 - zero_NG.to(tl.int32)) * 0x00010001
        added_NGI = tl.broadcast_to(added_NG[:, :, None], (BLOCK_N, GROUPS, 4 * CHUNKS // GROUPS))
        added = tl.reshape(added_NGI, (BLOCK_N, CHUNKS, 4, 1))
    else:
        added = 0
    even = tl.join(_pair(w_NCIT, added, 0), _pair(w_NCIT, added, 8))
    odd = tl.join(_pair(w_NCIT, added, 4), _pair(w_NCIT, added, 12))
    q_NCITBSS = tl.join(even, odd)
    return tl.reshape(tl.permute(q_NCITBSS, (0, 1, 2, 5, 6, 3, 4)), (BLOCK_N, BLOCK_K))


@triton.jit
def _pair(words, added, shift: tl.constexpr):
    # 0x4300 is 128 in bf16, whose seven last bits count by 1: integers up to 31 fit beside it
    both = (((words >> shift) & 0x000F000F) | 0x43004300) + added
    low = (both & 0xFFFF).to(tl.int16).to(tl.bfloat16, bitcast=True)
    return tl.join(low, (both >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True))
