"""Precision: the number format in which this machine multiplies fastest."""

import functools
import statistics
import time
from typing import Literal

from burnish.nn.weights import device
from burnish.runtime import need

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_MUST_WIN_BY = 1.2  # below this bf16's rounding is not worth it, and noise must not flip the choice


def resolve(precision: Precision) -> Literal["fp32", "bf16", "fp16"]:
    """Give the precision to use: what was asked, or for "auto" what is faster here."""
    if precision == "auto":
        return "bf16" if bf16_speedup() >= _MUST_WIN_BY else "fp32"
    return precision


@functools.cache
def bf16_speedup() -> float:
    """Measure how many times faster bf16 matrix products are than fp32 ones here: median of 5, 512 x 576 x 1536."""
    torch = need("torch", extra="train")
    place = device()

    def seconds(dtype: object) -> float:
        x, w = (torch.ones(shape, dtype=dtype, device=place) for shape in ((512, 576), (1536, 576)))
        times = []
        for _ in range(6):
            start_s = time.perf_counter()
            for _ in range(8):
                torch.nn.functional.linear(x, w)
            if place == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start_s)
        return statistics.median(times[1:])

    return seconds(torch.float32) / seconds(torch.bfloat16)
