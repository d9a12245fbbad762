"""Placed weights on disk: a model of the Hugging Face layout whose numbers lie on grids, with those grids beside it.

`model.safetensors` holds the numbers that an engine sees, in float32, so that any tool opens the model;
`grids.safetensors` holds values, scales and zero points, and `grids.json` says which grid each weight is on.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from burnish.compress.grids import Fp8Grid, Grid, IntGrid, Placed
from burnish.errors import ArtifactError
from burnish.runtime import need

GRIDS = "grids.json"
TENSORS = "grids.safetensors"


def write_placed(folder: Path, placed: Mapping[str, Placed]) -> None:
    """Write the grids of the named weights into a model's folder."""
    files = need("safetensors.torch", extra="compress")
    tensors: dict[str, Any] = {}
    grids: dict[str, dict[str, Any]] = {}
    for name, weight in placed.items():
        kind = "int" if isinstance(weight.grid, IntGrid) else "fp8"
        grids[name] = {"kind": kind, **asdict(weight.grid)}
        parts = {"values": weight.values_OI, "scale": weight.scale_OG, "zero": weight.zero_OG}
        tensors |= {f"{name}.{part}": one.contiguous().cpu() for part, one in parts.items() if one is not None}
    files.save_file(tensors, folder / TENSORS)
    (folder / GRIDS).write_text(json.dumps(grids, indent=1) + "\n", encoding="utf-8")


def read_placed(folder: Path) -> dict[str, Placed]:
    """Read the weights that lie on grids; {} where the model has none.

    Raises:
        ArtifactError: a weight's tensors are missing.
    """
    if not (folder / GRIDS).exists():
        return {}
    tensors = need("safetensors.torch", extra="compress").load_file(folder / TENSORS)
    found = {}
    for name, fields in json.loads((folder / GRIDS).read_text(encoding="utf-8")).items():
        parts = [tensors.get(f"{name}.{part}") for part in ("values", "scale", "zero")]
        if parts[0] is None or parts[1] is None:
            raise ArtifactError(f"{folder / TENSORS} lacks values or scales of {name}; make the model again")
        found[name] = Placed(_grid(fields), *parts)
    return found


def _grid(fields: dict[str, Any]) -> Grid:
    fields = dict(fields)
    return IntGrid(**fields) if fields.pop("kind") == "int" else Fp8Grid()
