"""Where Triton's kernels can be tested: on a GPU in bf16, or anywhere in Triton's interpreter, which has no bf16 arithmetic.

TRITON_INTERPRET=1 python -m pytest tests/nn
"""

import importlib.util
import os
from typing import Any

import pytest
import torch

_ON_GPU = torch.cuda.is_available()
_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1" and importlib.util.find_spec("triton") is not None

PLACE = "cuda" if _ON_GPU else "cpu"
DTYPE = torch.bfloat16 if _ON_GPU else torch.float32
CLOSE = 1e-2 if _ON_GPU else 1e-5  # relative error of a product


def needs_kernels(test: Any) -> Any:
    """Mark a test of kernels."""
    runs = _ON_GPU or _INTERPRETED
    return pytest.mark.gpu(
        pytest.mark.skipif(not runs, reason="needs a CUDA device, or triton and TRITON_INTERPRET=1")(test)
    )


def poison_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill what `torch.empty` gives with numbers that no test can take for a result."""
    empty = torch.empty

    def poisoned(*shape: Any, dtype: Any, device: Any = None) -> Any:
        numbers = torch.full(shape, 77.0 if dtype == torch.int8 else float("nan"), device=device)
        return empty(*shape, dtype=dtype, device=device).copy_(numbers)

    monkeypatch.setattr(torch, "empty", poisoned)


def apart(found: Any, expected: Any) -> float:
    """Give the relative error; not a number where one is."""
    found, expected = found.double().cpu(), expected.double().cpu()
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())
