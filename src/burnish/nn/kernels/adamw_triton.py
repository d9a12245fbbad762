"""The kernel of `adamw_step`; imported where there is a GPU only."""

# mypy: ignore-errors

import triton
import triton.language as tl


@triton.jit
def adamw_kernel(
    weight, gradient, master, first, second, size, lr, beta1, beta2, epsilon, decay, correction1, correction2, factor,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Update BLOCK numbers."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < size
    grad = tl.load(gradient + index, mask=inside, other=0.0).to(tl.float32) * factor
    value = tl.load(master + index, mask=inside, other=0.0)
    m = beta1 * tl.load(first + index, mask=inside, other=0.0) + (1 - beta1) * grad
    v = beta2 * tl.load(second + index, mask=inside, other=0.0) + (1 - beta2) * grad * grad
    value = value * (1 - lr * decay) - lr * (m / correction1) / (tl.sqrt(v / correction2) + epsilon)
    tl.store(master + index, value, mask=inside)
    tl.store(first + index, m, mask=inside)
    tl.store(second + index, v, mask=inside)
    tl.store(weight + index, value.to(weight.dtype.element_ty), mask=inside)
