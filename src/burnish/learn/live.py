"""What a step of training shows: tokens a second, share of the device's peak, memory, time to go.

Every figure goes into the step's metrics event, which the console, MLflow, Weights & Biases and Prometheus read.
"""

import functools
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from burnish.nn.weights import device
from burnish.runtime import need
from burnish.runtime.hardware import PeakMemory

# Dense bf16 FLOP/s of NVIDIA's data sheets (they print twice that for A100 and later, "with sparsity"), by a word of
# the device's name; the first that fits counts. GeForce: Ada and GA102 white papers, bf16 with fp32 accumulation.
_PEAK_BF16 = (
    ("B200", 2250e12),
    ("H200 NVL", 835.5e12),
    ("H200", 989.4e12),
    ("H100 NVL", 835.5e12),
    ("H100 PCIe", 756e12),
    ("H100", 989.4e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("A10", 125e12),
    ("RTX 4090", 165.2e12),
    ("RTX 3090", 71e12),
)
_PROBE = (512, 1024, 1024)


class Live:
    """Measure steps as they end.

    Numbers that a step adds, with the names that a Prometheus exporter gives those of the field's 28 metrics:
    `tokens_total` (train_tokens_total), `step_s` (train_step_seconds), `last_snapshot_unix_s`
    (train_last_checkpoint_timestamp_seconds); the loop's `loss_nats` and `grad_norm` are train_loss_nats and
    train_gradient_norm.

    Args:
        model: with what trains requiring gradients.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._flops: dict[int, float] = {}
        self._dtype = str(max(model.parameters(), key=lambda p: p.numel()).dtype).removeprefix("torch.")
        self.last_snapshot_unix_s: float | None = None

    def step(self, *, tokens: int, tokens_total: float, seconds: float, phase: int = 0) -> dict[str, float]:
        """Give a step's figures.

        Args:
            tokens: of this step, padding left out.
            tokens_total: of all steps so far.
            seconds: that the step took.
            phase: changes whenever other parameters begin to train.
        """
        if phase not in self._flops:
            self._flops[phase] = flops_per_token(self._model)
        peak = peak_flops_per_s(self._dtype)
        shown = {
            "tokens_per_s": tokens / seconds,
            "tokens_total": tokens_total,
            "step_s": seconds,
            "memory_bytes": float(memory_bytes()),
            "mfu_frac": self._flops[phase] * tokens / seconds / peak,
        }
        return shown | (
            {} if self.last_snapshot_unix_s is None else {"last_snapshot_unix_s": self.last_snapshot_unix_s}
        )

    def snapshot_taken(self) -> None:
        """Remember when the last snapshot was taken."""
        self.last_snapshot_unix_s = time.time()

    def note(self, measured: Mapping[str, float], lr: float, shown: Mapping[str, float]) -> str:
        """Say in a line what stands beside the bar, which has the time left.

        Args:
            measured: of the step, its loss among it unless the step was left out.
        """
        name = next((name for name in ("loss_nats", "feature_loss") if name in measured), None)
        words = (
            "step left out" if name is None else f"{name.removesuffix('_nats').replace('_', ' ')} {measured[name]:.3f}"
        )
        return (
            f"{words} · lr {lr:.1e} · {shown['tokens_per_s']:,.0f} tokens/s · "
            f"MFU {shown['mfu_frac']:.0%} · {shown['memory_bytes'] / 2**30:.1f} GiB"
        )


def flops_per_token(model: Any) -> float:
    """Count the arithmetic of forward and backward for a token: 2 a weight and pass, products with weights alone.

    Forward: every matrix. Gradient of the input: every matrix above the first that trains. Gradient of the
    weights: those that train. What is computed again does not count, and attention's token-by-token products
    neither, since packed texts are short beside a row: the share of the peak is never too high.

    Source: Chowdhery et al. 2022, arXiv 2204.02311, appendix B, split by what is frozen.
    """
    torch = need("torch", extra="train")
    lowest = _lowest_training(name for name, p in model.named_parameters() if p.requires_grad)
    total = 0.0
    for name, module in model.named_modules():
        passes_below = 1 + (_layer(f"{name}.weight") >= lowest)
        if isinstance(module, torch.nn.Linear):
            total += 2.0 * module.weight.numel() * (passes_below + module.weight.requires_grad)
            continue
        for parameter in module.parameters(recurse=False):
            if parameter.ndim == 3 and name.rpartition(".")[2] == "experts":
                used = model.config.num_experts_per_tok / parameter.shape[0]
                total += 2.0 * parameter.numel() * used * (passes_below + parameter.requires_grad)
    return total


def peak_flops_per_s(dtype: str) -> float:
    """Give the device's dense peak: NVIDIA's figure for 16 bits, else the best of five products measured here once.

    Args:
        dtype: name of torch's, as "bfloat16".
    """
    torch = need("torch", extra="train")
    if device() == "cuda" and dtype in ("bfloat16", "float16"):
        listed = listed_peak(torch.cuda.get_device_name())
        if listed is not None:
            return listed
    return _measured_peak(dtype)


def listed_peak(name: str) -> float | None:
    """Look the dense bf16 peak of an NVIDIA device up; None where it is not listed."""
    return next((peak for word, peak in _PEAK_BF16 if re.search(rf"\b{word}\b", name)), None)


@functools.cache
def _measured_peak(dtype: str) -> float:
    torch = need("torch", extra="train")
    rows, inputs, outputs = _PROBE
    kind = getattr(torch, dtype)
    x, w = (torch.ones(shape, dtype=kind, device=device()) for shape in ((rows, inputs), (outputs, inputs)))
    best_s = math.inf
    for _ in range(6):
        start_s = time.perf_counter()
        torch.nn.functional.linear(x, w)
        if device() == "cuda":
            torch.cuda.synchronize()
        best_s = min(best_s, time.perf_counter() - start_s)
    return 2 * math.prod(_PROBE) / best_s


def memory_bytes() -> int:
    """Read the peak memory so far: what torch held on the GPU, or this process's resident memory."""
    torch = need("torch", extra="train")
    return int(torch.cuda.max_memory_allocated()) if device() == "cuda" else PeakMemory().peak_bytes


def _lowest_training(names: Iterable[str]) -> float:
    return min((_layer(name) for name in names), default=math.inf)


def _layer(name: str) -> float:
    """Give the number of a parameter's decoder layer; the head and last norm are above all, the rest is below."""
    found = re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    if found:
        return float(found[1])
    return math.inf if re.search(r"(?:^|\.)(lm_head|norm|score|classifier|heads?)\.", name) else -1.0
