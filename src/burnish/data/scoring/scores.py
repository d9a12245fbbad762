"""Scores: what a first pass measured of every record, kept on disk, found again by id in the second.

A stage whose bound depends on all records (a percentile, the best F1) reads them twice. The texts are not kept:
8 bytes of key and 4 a score of each record lie in two files sorted by key, and 16 bytes a record are in memory
while they are sorted.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from burnish.artifacts import DatasetArtifact
from burnish.data.engine import Engine, Local, run_shards
from burnish.data.shards import read_tables, shard_paths
from burnish.errors import BurnishError
from burnish.runtime import Workdir

Scores = NDArray[np.float32]


class Scorer(Protocol):
    """Measures a table of records; picklable."""

    def __call__(self, rows: Any) -> Scores:
        """Give (N, K) scores of the rows of a `pyarrow.Table` with the columns of a kept record."""


@dataclass(frozen=True)
class ScoreTable:
    """Name a folder with the scores of all records; small, so that a judge can carry it to another process."""

    folder: Path

    def all(self) -> Scores:
        """Give every row's scores (N, K), in the order of keys, read from disk as they are used."""
        return _open(self.folder)[1]

    def of(self, ids: Sequence[str]) -> Scores:
        """Give the scores of some records (N, K).

        Raises:
            BurnishError: a record was not there in the first pass.
        """
        keys, scores = _open(self.folder)
        wanted = keys_of(ids)
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        if not np.array_equal(keys[places], wanted):
            raise BurnishError(f"a record has no score in {self.folder}; the dataset changed while it was read")
        found: Scores = np.asarray(scores[places])
        return found


def score_records(
    out: Workdir,
    records: DatasetArtifact,
    scorer: Scorer,
    *,
    step: str,
    engine: Engine = Local(),  # noqa: B008 - a frozen value
) -> ScoreTable:
    """Score every record of a dataset, shard by shard, going on where a killed run stopped."""
    folders = [
        folder for _, folder in run_shards(out, shard_paths(records), _Scoring(scorer), step=step, engine=engine)
    ]
    table = ScoreTable(out.snapshots / f"{step}.scores")
    table.folder.mkdir(exist_ok=True)
    _merge(folders, table.folder)
    return table


def keys_of(ids: Iterable[str]) -> NDArray[np.uint64]:
    """Hash ids to 64 bits; among a hundred million some two meet with a chance of 3 in 10,000."""
    digests = b"".join(hashlib.blake2b(identity.encode(), digest_size=8).digest() for identity in ids)
    return np.frombuffer(digests, np.uint64)


def _merge(folders: Sequence[Path], target: Path) -> None:
    """Sort all shards' keys, and put each score where its key went; finished files take their names by a rename."""
    keys = np.concatenate([np.load(folder / "keys.npy") for folder in folders])
    order = np.argsort(keys, kind="stable")
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys))
    width = max(np.load(folder / "scores.npy", mmap_mode="r").shape[1] for folder in folders)
    partial = target / "partial.npy"
    scores = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float32, shape=(len(keys), width))
    start = 0
    for folder in folders:
        part = np.load(folder / "scores.npy")
        if len(part):
            scores[rank[start : start + len(part)]] = part
        start += len(part)
    scores.flush()
    partial.replace(target / "scores.npy")
    np.save(partial, keys[order])
    partial.replace(target / "keys.npy")


@dataclass(frozen=True)
class _Scoring:
    scorer: Scorer

    def __call__(self, shard: Path, folder: Path, advance: Callable[[float], None]) -> None:
        keys: list[NDArray[np.uint64]] = []
        scores: list[Scores] = []
        for rows in read_tables(shard):
            keys.append(keys_of(rows.column("id").to_pylist()))
            scores.append(self.scorer(rows).astype(np.float32, copy=False))
            advance(rows.num_rows)
        np.save(folder / "keys.npy", np.concatenate(keys) if keys else np.zeros(0, np.uint64))
        np.save(folder / "scores.npy", np.concatenate(scores) if scores else np.zeros((0, 1), np.float32))


@lru_cache(maxsize=4)
def _open(folder: Path) -> tuple[NDArray[np.uint64], Scores]:
    return np.load(folder / "keys.npy", mmap_mode="r"), np.load(folder / "scores.npy", mmap_mode="r")
