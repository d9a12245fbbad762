"""What a GPU run needs of its compiled pieces, as far as a machine without one can tell."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from burnish.errors import MissingExtra
from burnish.nn.compiled import compile_layers
from burnish.nn.kernels.adamw import adamw_step
from burnish.nn.weights import open_model


def test_layers_may_be_compiled_for_many_sizes(tiny_model: Path) -> None:
    config: Any = torch._dynamo.config
    with config.patch(recompile_limit=8):
        compile_layers(open_model(tiny_model, precision="fp32"))
        assert config.recompile_limit >= 32
    with config.patch(recompile_limit=500):
        compile_layers(open_model(tiny_model, precision="fp32"))
        assert config.recompile_limit == 500  # a user's own stays


def test_a_missing_kernel_compiler_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    on_gpu: Any = SimpleNamespace(is_cuda=True, numel=lambda: 1)
    with pytest.raises(MissingExtra, match=r"triton is not installed; type: pip install 'burnish\[train\]'"):
        adamw_step(
            on_gpu, None, None, (None, None),
            lr=0.1, betas=(0.9, 0.99), epsilon=1e-8, weight_decay=0.0, step=1, factor=1.0,
        )  # fmt: skip
