"""AdamW in one pass over memory: gradient in, float32 master copy and moments updated, rounded weight out."""

import functools
from typing import Any

from burnish.runtime import need

_BLOCK = 4096


def adamw_step(
    weight: Any,
    gradient: Any,
    master: Any,
    moments: tuple[Any, Any],
    *,
    lr: float,
    betas: tuple[float, float],
    epsilon: float,
    weight_decay: float,
    step: int,
    factor: float,
) -> None:
    """Update one parameter in place.

    Args:
        weight: bf16 or fp16; becomes the master copy, rounded.
        gradient: in the weight's precision; multiplied by `factor` first.
        master: float32, of the weight's shape and contiguous, as `moments` are.
        step: counted from 1, for the correction of the moments' bias.

    Source: Loshchilov and Hutter 2019, arXiv 1711.05101, algorithm 2.
    """
    corrections = (1 - betas[0] ** step, 1 - betas[1] ** step)
    if weight.is_cuda:
        size = weight.numel()
        kernel = _kernel()
        kernel[(-(-size // _BLOCK),)](
            weight, gradient.contiguous(), master, *moments, size, lr, *betas, epsilon, weight_decay, *corrections,
            factor, BLOCK=_BLOCK, num_warps=8,
        )  # fmt: skip
        return
    first, second = moments
    grad = gradient.float() * factor
    first.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    second.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    master.mul_(1 - lr * weight_decay)
    master.sub_(lr * (first / corrections[0]) / ((second / corrections[1]).sqrt() + epsilon))
    weight.copy_(master)


@functools.cache
def _kernel() -> Any:
    """Make the kernel; Triton is imported no earlier."""
    need("triton", extra="train")
    from burnish.nn.kernels.adamw_triton import adamw_kernel

    return adamw_kernel
