"""How `linear_kernels.py` takes a time on a GPU, and the ceilings that it sets beside it."""

import math
import statistics
from typing import Any

import torch
from linear_contestants import Call

_GRAPH_MS = 2.0  # a graph takes so long, that what its launch costs is lost in it
_MEDIAN_MS = 60.0
_COPIED_BYTES = 2**30
_SIZE = 8192  # of the square products that measure a rate


def timed(calls: list[Call]) -> tuple[float, float]:
    """Give two medians of the time of a call, in microseconds, by replays of a graph of the calls in turn."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in calls:
            call()
    torch.cuda.synchronize()
    once_ms = statistics.median(replays(captured(calls), 3))
    turns = max(1, min(math.ceil(_GRAPH_MS / once_ms), 16))
    graph = captured(calls * turns)
    num = max(5, min(30, round(_MEDIAN_MS / (once_ms * turns))))
    first, second = (statistics.median(replays(graph, num)) for _ in range(2))
    us = 1e3 / (len(calls) * turns)
    return first * us, second * us


def captured(calls: list[Call]) -> Any:
    """Record calls as a graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return graph


def replays(graph: Any, num: int) -> list[float]:
    """Time replays, in milliseconds, after one that is not counted."""
    graph.replay()
    marks = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(num)]
    for start, end in marks:
        start.record()
        graph.replay()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in marks]


def num_copies(weight_bytes: int) -> int:
    """Count copies: those used between two uses of one fill the L2 cache three times."""
    cache_bytes: int = torch.cuda.get_device_properties(0).L2_cache_size
    return 1 + math.ceil(3 * cache_bytes / weight_bytes)


def ceilings() -> dict[str, float]:
    """Measure what bounds every kernel: a copy of 1 GiB, and products of random square matrices."""
    return {"copy_bytes_per_s": copy_rate()} | {f"{name}_ops_per_s": rate(call) for name, call in products().items()}


def copy_rate() -> float:
    """Count bytes read and bytes written."""
    source = torch.randint(0, 255, (_COPIED_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2e6 * _COPIED_BYTES / statistics.median(timed([lambda: target.copy_(source)]))


def rate(call: Call) -> float:
    """Count operations, two a multiply-add."""
    return 2e6 * _SIZE**3 / statistics.median(timed([call]))


def products() -> dict[str, Call]:
    """Make the library's product in each format."""
    numbers = [torch.randn(_SIZE, _SIZE, device="cuda") for _ in range(2)]
    bf16 = [each.bfloat16() for each in numbers]
    int8 = [(each * 30).clamp(-127, 127).to(torch.int8) for each in numbers]
    fp8 = [each.to(torch.float8_e4m3fn) for each in numbers]
    ones = torch.ones(_SIZE, 1, device="cuda")
    return {
        "bf16": lambda: bf16[0] @ bf16[1].t(),
        "int8": lambda: torch._int_mm(int8[0], int8[1].t()),
        "fp8": lambda: torch._scaled_mm(
            fp8[0], fp8[1].t(), ones, ones.t().contiguous(), out_dtype=torch.bfloat16, use_fast_accum=True
        ),
    }
