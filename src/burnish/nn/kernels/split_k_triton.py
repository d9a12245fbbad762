"""How programs that share an output tile put their sums together; imported where there is a GPU only."""

# mypy: ignore-errors

import triton
import triton.language as tl


@triton.jit
def finish(acc, bias, y, partials, locks, M, N, m, rows, SPLIT_K: tl.constexpr, HAS_BIAS: tl.constexpr):  # fmt: skip
    """Write a program's sums, or leave them in float32 for the last program of the tile, which adds all and writes.

    The order of addition is that of the programs' numbers, so that equal calls give equal bits. A lock is 0 before
    the launch, and 0 after it.
    """
    at = m[:, None] * N + rows[None, :]
    inside = (m < M)[:, None] & (rows < N)[None, :]
    if SPLIT_K > 1:
        tl.store(partials + tl.program_id(1) * M * N + at, acc, mask=inside)
        tl.debug_barrier()  # every thread's sums are out before the count says so
        arrived = tl.atomic_add(locks + tl.program_id(0), 1, sem="acq_rel")
        if arrived == SPLIT_K - 1:
            total = tl.zeros_like(acc)
            for part in range(SPLIT_K):
                total += tl.load(partials + part * M * N + at, mask=inside, other=0.0, cache_modifier=".cg")
            _write(total, bias, y + at, inside, rows, N, HAS_BIAS)
            tl.store(locks + tl.program_id(0), 0)
    else:
        _write(acc, bias, y + at, inside, rows, N, HAS_BIAS)


@triton.jit
def _write(acc, bias, at, inside, rows, N, HAS_BIAS: tl.constexpr):
    if HAS_BIAS:
        acc += tl.load(bias + rows, mask=rows < N, other=0.0).to(tl.float32)[None, :]
    tl.store(at, acc.to(at.dtype.element_ty), mask=inside)
