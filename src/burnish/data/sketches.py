"""Sketches: the keys and signatures that cleaning leaves of each shard, and how they were cut."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.shingle import Bytes, Shingle, Words
from burnish.errors import ArtifactError

if TYPE_CHECKING:
    from burnish.data.kernel.measure import Readings

NUM_SLOTS = 120  # of a signature; has many divisors, so that bands fit any threshold
_SHINGLE = "sketches/shingle.json"


def write_sketches(path: Path, readings: Sequence["Readings"]) -> None:
    """Write the sketches of one shard, `.npz`."""
    keys = [reading.keys for reading in readings] or [np.zeros((0, 2), np.uint64)]
    signatures = [reading.signatures for reading in readings] or [np.zeros((0, NUM_SLOTS), np.uint16)]
    np.savez(path, keys=np.concatenate(keys), signatures=np.concatenate(signatures))


def write_shingle(path: Path, shingle: Shingle) -> None:
    """Write down how the signatures were cut."""
    path.write_text(json.dumps({"kind": type(shingle).__name__, **asdict(shingle)}), encoding="utf-8")


def sketch_paths(dataset: DatasetArtifact) -> list[Path]:
    """List the sketches of a cleaned dataset, one a shard, in order.

    Raises:
        ArtifactError: it has none.
    """
    paths = sorted((dataset.payload / "sketches").glob("*.npz"))
    if not paths:
        raise ArtifactError(f"{dataset.label} has no sketches; copies are found in what the stage clean made")
    return paths


def read_keys(path: Path) -> NDArray[np.uint64]:
    """Read the keys of one shard, (N, 2)."""
    with np.load(path) as file:
        keys: NDArray[np.uint64] = file["keys"]
    return keys


def read_signatures(path: Path) -> NDArray[np.uint16]:
    """Read the signatures of one shard, (N, 120)."""
    with np.load(path) as file:
        signatures: NDArray[np.uint16] = file["signatures"]
    return signatures


def read_shingle(dataset: DatasetArtifact) -> Shingle:
    """Read how the signatures were cut."""
    values = json.loads((dataset.payload / _SHINGLE).read_text(encoding="utf-8"))
    return Words(values["length"]) if values["kind"] == "Words" else Bytes(values["length"])
