"""Tiny models on grids, and how far an export's logits are from theirs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from burnish.compress.grids import Grid, place
from burnish.compress.placed import write_placed
from burnish.evaluate.logits import Logits, model_logits
from burnish.measure.divergence import log_softmax
from conftest import make_model

IDS = [1, 50, 60, 70, 2, 9, 200, 130]


def on_grid(folder: Path, grid: Grid | Mapping[str, Grid] | None, architecture: str = "llama", **changes: Any) -> Path:
    """Make a tiny model whose matrices lie on a grid, or each on the grid of the first part of a name that fits."""
    from safetensors.torch import load_file, save_file

    make_model(folder, architecture, **changes)
    tensors = load_file(folder / "model.safetensors")
    grids = grid if isinstance(grid, Mapping) else {} if grid is None else {"": grid}
    placed = {}
    for name, weight in tensors.items():
        chosen = next((each for part, each in grids.items() if part in name), None)
        if chosen is not None and weight.ndim == 2:
            placed[name] = place(weight, chosen)
            tensors[name] = placed[name].dequantize()
    if placed:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        write_placed(folder, placed)
    return folder


def distance(folder: Path, exported: Logits) -> float:
    """Give the largest difference of a log-probability over the largest."""
    ours = log_softmax(model_logits(folder)(IDS))
    return float(np.abs(log_softmax(exported(IDS)) - ours).max() / np.abs(ours).max())
